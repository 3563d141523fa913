package sim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// open lets the provider in with currentID.
func open(t *testing.T, w *sim.World) {
	t.Helper()
	must(t, w.IAM.SetTrust(t.Context(), roleName, trusting(providerRoot, currentID)))
}

// enter opens a session that must come about.
func enter(t *testing.T, w *sim.World, options ...sim.Assume) *sim.Session {
	t.Helper()
	s, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session", options...)
	must(t, err)
	return s
}

func TestTheTrustPolicyDecidesWhoEnters(t *testing.T) {
	w := deployed(t, sim.Config{})
	if _, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session"); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("the birth document let somebody in: %v", err)
	}
	open(t, w)
	for _, c := range []struct {
		name, principal, role, id, session string
		err                                error
		code                               string
	}{
		{"the right ID", providerRole, roleARN, currentID, "session", nil, ""},
		{"no ID", providerRole, roleARN, "", "session", grant.ErrDenied, "AccessDenied"},
		{"a wrong ID", providerRole, roleARN, currentID[1:], "session", grant.ErrDenied, "AccessDenied"},
		{"a third account", "arn:aws:iam::999988887777:role/Engineers", roleARN, currentID, "session", grant.ErrDenied, "AccessDenied"},
		{"a role that is not there", providerRole, roleARN + "x", currentID, "session", grant.ErrDenied, "AccessDenied"},
		{"the role's ARN without its path", providerRole, strings.Replace(roleARN, "countersign/", "", 1), currentID, "session", grant.ErrDenied, "AccessDenied"},
		{"an ID with a space", providerRole, roleARN, "not an ID", "session", nil, "ValidationError"},
		{"an ID of one character", providerRole, roleARN, "x", "session", nil, "ValidationError"},
		{"an ID of 1,225 characters", providerRole, roleARN, strings.Repeat("x", 1225), "session", nil, "ValidationError"},
		{"a session name of one character", providerRole, roleARN, currentID, "s", nil, "ValidationError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := w.STS.AssumeRole(t.Context(), c.principal, c.role, c.id, c.session)
			var e *sim.Error
			switch {
			case c.code == "" && (err != nil || s.ARN != "arn:aws:sts::444455556666:assumed-role/"+roleName+"/session"):
				t.Errorf("session %+v, %v", s, err)
			case c.code != "" && (!errors.As(err, &e) || e.Code != c.code || !is(err, c.err) && c.err != nil):
				t.Errorf("error %v, want %s", err, c.code)
			case err != nil && strings.Contains(err.Error(), currentID):
				t.Error("the error tells the ID")
			}
		})
	}
}

func TestSessionsLastAsLongAsTheRoleLetsThem(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	first := enter(t, w)
	for _, d := range []time.Duration{14 * time.Minute, 2 * time.Hour, 13 * time.Hour} {
		if _, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session", sim.Assume{Duration: d}); err == nil {
			t.Errorf("a session of %s was given", d)
		}
	}
	if err := first.Do(t.Context(), "s3:ListBucket", "arn:aws:s3:::data"); err != nil {
		t.Error(err)
	}
	w.Advance(time.Hour)
	if err := first.Do(t.Context(), "s3:ListBucket", "arn:aws:s3:::data"); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("an expired session: %v", err)
	}
	if err := first.Do(t.Context(), "sts:GetCallerIdentity", "*"); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("an expired session asked who it is: %v", err)
	}
}

func TestADenyEndsALiveSessionAtItsNextCallAndATrustPolicyDoesNot(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	s := enter(t, w)
	allowed := func(when string, want bool) {
		t.Helper()
		if err := s.Do(t.Context(), "s3:GetObject", "arn:aws:s3:::data/x"); (err == nil) != want {
			t.Errorf("%s: %v", when, err)
		}
	}
	allowed("at first", true)
	must(t, w.IAM.SetTrust(t.Context(), roleName, []byte(trust.BornDocument)))
	allowed("after the trust policy was closed", true)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, []byte(grant.DenyRevocation)))
	allowed("after the Deny", false)
	if err := s.Do(t.Context(), "sts:GetCallerIdentity", "*"); err != nil {
		t.Errorf("GetCallerIdentity works under any Deny: %v", err)
	}
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, []byte(grant.OpenRevocation)))
	allowed("after the Deny was lifted", true)
}

func TestADatedDenyLeavesLaterSessionsAlone(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	old := enter(t, w)
	w.Advance(time.Minute)
	stamp := w.Now().Format(time.RFC3339)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, fmt.Appendf(nil,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":%q}}}]}`, stamp)))
	w.Advance(time.Minute)
	young := enter(t, w)
	if old.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("a session from before works")
	}
	if !young.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("a session from after does not work")
	}
}

func TestTheEndOfAGrantStopsItsSessions(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	end := w.Now().Add(30 * time.Minute)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.ExpiryPolicy, fmt.Appendf(nil,
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":%q}}}}`, end.Format(time.RFC3339))))
	s := enter(t, w)
	if !s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("denied before the end")
	}
	w.Advance(30*time.Minute + time.Second)
	if s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("allowed after the end")
	}
}

func TestReplicasShowWritesLate(t *testing.T) {
	lags := []time.Duration{10 * time.Second, 90 * time.Second}
	w := deployed(t, sim.Config{Replicas: 2, Lag: func(replica int) time.Duration { return lags[replica-1] }})
	open(t, w)
	enters := func(replica int) bool {
		return w.STS.Verdict(providerRole, roleARN, currentID, "session", sim.Assume{Replica: replica}).Effect == trust.Allow
	}
	shows := func(replica int) bool {
		w.Schedule = func(sim.Call) sim.Outcome { return sim.Outcome{Replica: replica} }
		defer func() { w.Schedule = nil }()
		role, err := w.IAM.Role(t.Context(), roleName)
		must(t, err)
		return strings.Contains(string(role.Trust), currentID)
	}
	for _, c := range []struct {
		after         time.Duration
		first, second bool
	}{{0, false, false}, {9 * time.Second, false, false}, {10 * time.Second, true, false}, {89 * time.Second, true, false}, {90 * time.Second, true, true}} {
		w.Advance(c.after - w.Now().Sub(sim.New(sim.Config{}).Now()))
		if !shows(0) {
			t.Errorf("after %s the control plane does not show the write", c.after)
		}
		if enters(1) != c.first || enters(2) != c.second || shows(1) != c.first || shows(2) != c.second {
			t.Errorf("after %s: replica 1 %t %t, want %t; replica 2 %t %t, want %t", c.after, enters(1), shows(1), c.first, enters(2), shows(2), c.second)
		}
	}
	if _, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session"); err != nil {
		t.Errorf("STS asks the first replica: %v", err)
	}
}

func TestALaterWriteHidesAnEarlierOneThatSpreadsMoreSlowly(t *testing.T) {
	slow := true
	w := deployed(t, sim.Config{Replicas: 1, Lag: func(int) time.Duration {
		if slow {
			return time.Minute
		}
		return time.Second
	}})
	open(t, w)
	slow = false
	must(t, w.IAM.SetTrust(t.Context(), roleName, []byte(trust.BornDocument)))
	for range 3 {
		w.Advance(40 * time.Second)
		if w.STS.Verdict(providerRole, roleARN, currentID, "session", sim.Assume{}).Effect == trust.Allow {
			t.Errorf("at %s the earlier write shows", w.Now())
		}
	}
}

func TestADenySpreadsToo(t *testing.T) {
	w := deployed(t, sim.Config{Replicas: 1, Lag: func(int) time.Duration { return 4 * time.Second }})
	open(t, w)
	w.Advance(time.Minute)
	s := enter(t, w)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, []byte(grant.DenyRevocation)))
	if !s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("the Deny was there at once")
	}
	w.Advance(4 * time.Second)
	if s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
		t.Error("the Deny did not spread")
	}
}

func TestChainingNeedsThePermissionAndLastsAnHour(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	other, err := w.IAM.CreateRole("Other", trusting("arn:aws:iam::444455556666:root", ""), sim.RoleOptions{MaxSession: 12 * time.Hour})
	must(t, err)
	s := enter(t, w)
	if _, err := w.STS.AssumeRole(t.Context(), "", other, "", "chained", sim.Assume{From: s}); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("chaining without permission: %v", err)
	}
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, "MayAssume", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)))
	chained, err := w.STS.AssumeRole(t.Context(), "", other, "", "chained", sim.Assume{From: s})
	must(t, err)
	if chained.Principal != s.ARN || chained.Expires.Sub(chained.Issued) != time.Hour {
		t.Errorf("session %+v", chained)
	}
	if _, err := w.STS.AssumeRole(t.Context(), "", other, "", "chained", sim.Assume{From: s, Duration: 2 * time.Hour}); err == nil {
		t.Error("a chained session of two hours was given")
	}
}

func TestARecreatedPrincipalIsAnotherOne(t *testing.T) {
	w := deployed(t, sim.Config{})
	if err := w.IAM.SetTrust(t.Context(), roleName, trusting(providerRole, currentID)); !errors.Is(err, grant.ErrMalformed) {
		t.Errorf("a principal that is not there: %v", err)
	}
	w.IAM.AddPrincipal(providerRole)
	must(t, w.IAM.SetTrust(t.Context(), roleName, trusting(providerRole, currentID)))
	enter(t, w)
	w.IAM.DeletePrincipal(providerRole)
	w.IAM.AddPrincipal(providerRole)
	if _, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session"); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("the recreated role came in: %v", err)
	}
}

func TestSourceIdentityNeedsAStatementOfItsOwn(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	named := sim.Assume{SourceIdentity: "ada"}
	if _, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID, "session", named); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("a source identity that nobody allowed: %v", err)
	}
	both := strings.Replace(string(trusting(providerRoot, currentID)), `[{`, `[{"Effect":"Allow","Principal":{"AWS":"`+providerRoot+`"},"Action":"sts:SetSourceIdentity"},{`, 1)
	must(t, w.IAM.SetTrust(t.Context(), roleName, []byte(both)))
	if s := enter(t, w, named); s.SourceIdentity != "ada" {
		t.Errorf("session %+v", s)
	}
}

func TestCallerIsWhoseCredentialsTheActorHas(t *testing.T) {
	w := sim.New(sim.Config{})
	for _, c := range []struct{ given, want, account string }{
		{"", "arn:aws:sts::444455556666:assumed-role/operator/operator", "444455556666"},
		{"arn:aws:iam::111122223333:user/ada", "arn:aws:iam::111122223333:user/ada", "111122223333"},
	} {
		account, arn, err := w.STS.Caller(sim.AsPrincipal(t.Context(), "operator", c.given))
		if err != nil || arn != c.want || account != c.account {
			t.Errorf("Caller = %s, %s, %v, want %s", account, arn, err, c.want)
		}
	}
}
