package sim_test

import (
	"errors"
	"testing"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// Who reads a secret is decided by the reader's policies and the secret's own, with the tags that stand.
func TestWhoReadsASecretByItsPolicy(t *testing.T) {
	const nothing = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}`
	w := sim.New(sim.Config{})
	arn, err := w.Secrets.Create("countersign/a", "", []byte("value"), map[string]string{"team": "red"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Secrets.SetPolicy(arn, []byte(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Principal":{"AWS":"arn:aws:iam::111122223333:root"},
		 "Condition":{"StringEquals":{"aws:ResourceTag/team":"red"}}},
		{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Principal":{"AWS":"arn:aws:iam::444455556666:user/named"}},
		{"Effect":"Deny","Action":"secretsmanager:*","Resource":"*","Principal":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/barred"}}}]}`)); err != nil {
		t.Fatal(err)
	}
	const home, abroad = "arn:aws:iam::444455556666:user/", "arn:aws:iam::111122223333:user/"
	read := func(who sim.Caller) error {
		_, _, err := w.Secrets.Get(t.Context(), who, arn, "", "")
		return err
	}
	for name, c := range map[string]struct {
		who  sim.Caller
		may  bool
		kind error
	}{
		"an administrator of the account":     {sim.Caller{ARN: home + "ann"}, true, nil},
		"somebody who may nothing":            {sim.Caller{ARN: home + "bob", Policy: nothing}, false, grant.ErrDenied},
		"somebody who may nothing, but named": {sim.Caller{ARN: home + "named", Policy: nothing}, true, nil},
		"an administrator who is denied":      {sim.Caller{ARN: home + "barred"}, false, grant.ErrDenied},
		"another account, let and let":        {sim.Caller{ARN: abroad + "eve"}, true, nil},
		"another account, not let by its own": {sim.Caller{ARN: abroad + "eve", Policy: nothing}, false, grant.ErrDenied},
		"another account, denied":             {sim.Caller{ARN: abroad + "barred"}, false, grant.ErrDenied},
		"a third account":                     {sim.Caller{ARN: "arn:aws:iam::999900001111:user/eve"}, false, grant.ErrDenied},
		"nobody":                              {sim.Caller{}, false, grant.ErrDenied},
	} {
		if err := read(c.who); (err == nil) != c.may || !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Secrets.Tag(t.Context(), arn, map[string]string{"team": "blue"}); err != nil {
		t.Fatal(err)
	}
	if err := read(sim.Caller{ARN: abroad + "eve"}); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("another account, once the tag has changed: %v", err)
	}
	_, _, gone := w.Secrets.Get(t.Context(), sim.Caller{ARN: abroad + "eve"}, arn+"x", "", "")
	_, _, own := w.Secrets.Get(t.Context(), sim.Caller{ARN: home + "ann"}, arn+"x", "", "")
	if !errors.Is(gone, grant.ErrDenied) || !errors.Is(own, grant.ErrNotFound) {
		t.Errorf("a secret that isn't there: %v; %v", gone, own)
	}
	if err := w.Secrets.SetPolicy(arn, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)); err == nil {
		t.Error("a resource policy without a principal was taken")
	}
}
