package entry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/foreign/foreigntest"
	"github.com/countersign/countersign/provider"
	"github.com/countersign/countersign/provider/providertest"
)

// rows are a registry in memory.
type rows map[string]customers.Customer

func (r rows) Get(_ context.Context, name string) (customers.Customer, error) {
	if c, ok := r[name]; ok {
		return c, nil
	}
	var names []string
	for n := range r {
		names = append(names, n)
	}
	return customers.Customer{}, customers.Unknown(name, names)
}

func (r rows) All(context.Context) (all []customers.Customer, _ error) {
	for _, c := range r {
		all = append(all, c)
	}
	return all, nil
}

type broken struct{ rows }

func (broken) Get(context.Context, string) (customers.Customer, error) {
	return customers.Customer{}, errors.New("no such table")
}

type secrets map[string]string

func (s secrets) SecretString(_ context.Context, arn string) (string, error) {
	if v, ok := s[arn]; ok {
		return v, nil
	}
	return "", errors.New("AccessDeniedException")
}

const static = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:static/oldco-AbCdEf"

// provided is a provider with one customer, acme, in an account that a sandbox stands for.
func provided(t *testing.T) (*providertest.Account, *entry.Way, rows) {
	account := providertest.New(t)
	c := account.Customer()
	registry := rows{"acme": {
		Name: "acme", Account: c.Account, Prefix: c.Prefix, Grant: c.Grant, RoleARN: c.RoleARN, SecretARN: c.SecretARN,
		Kind: customers.KindCountersign, State: customers.StateAccepted, Teams: []string{"blue"},
	}}
	return account, &entry.Way{
		Customers: registry, Client: provider.New(account.Config(), &provider.Memory{}, provider.Options{}), Secrets: secrets{}, Now: time.Now,
		Who: func(context.Context) (entry.Base, error) {
			return entry.Base{Account: "111122223333", ARN: "arn:aws:sts::111122223333:assumed-role/Engineers-sandbox/jdoe@hestio.example"}, nil
		},
		Wait: func(context.Context, time.Duration) error { return nil },
	}, registry
}

func TestACustomerIsEnteredByName(t *testing.T) {
	account, way, _ := provided(t)
	for i := range 2 {
		got, err := way.Enter(t.Context(), entry.Request{Customer: "acme", Reason: "INC 812"}, nil)
		if err != nil || !got.Credentials.HasKeys() {
			t.Fatal(err)
		}
		if got.Label() != "acme" || got.Engineer != "jdoe@hestio.example" || got.Session != "jdoe@hestio.example=INC-812" || got.Region != "eu-central-1" ||
			got.RoleName() != "ServiceProvider-migration" || got.From.Account != "111122223333" || time.Until(got.Expires) < 50*time.Minute {
			t.Errorf("%+v", got.Visit)
		}
		if i == 0 {
			account.Rotate()
		}
	}
}

func TestAnyKindOfCustomerIsEnteredAlike(t *testing.T) {
	account, way, registry := provided(t)
	c := account.Customer()
	id, err := account.Store().Load(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	oldco := customers.Customer{Name: "oldco", Account: c.Account, RoleARN: c.RoleARN, Kind: customers.KindStatic, StaticSecretARN: static, State: customers.StateAccepted}
	registry["oldco"] = oldco
	for name, value := range map[string]string{"the value": id.ID.Reveal() + "\n", "JSON": `{"externalId": "` + id.ID.Reveal() + `"}`} {
		way.Secrets = secrets{static: value}
		if got, err := way.Enter(t.Context(), entry.Request{Customer: "oldco"}, nil); err != nil || got.Kind != customers.KindStatic {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := way.Enter(t.Context(), entry.Request{RoleARN: c.RoleARN, ID: id.ID}, nil); err != nil || got.Kind != entry.KindAdHoc || got.Label() != c.Account {
		t.Errorf("by ARN: %v", err)
	}
	oldco.Name, oldco.StaticSecretARN = "openco", ""
	for _, kind := range []customers.Kind{customers.KindNone, customers.KindCountersign} { // the second is a grant without an external ID
		oldco.Kind = kind
		registry["openco"] = oldco
		if got := refusal(t, way, entry.Request{Customer: "openco"}); got.Cause != entry.CauseDenied {
			t.Errorf("%s, without an ID: %+v", kind, got) // this role wants one
		}
	}
}

func refusal(t *testing.T, way *entry.Way, r entry.Request) *entry.Refusal {
	t.Helper()
	_, err := way.Enter(t.Context(), r, nil)
	no, ok := errors.AsType[*entry.Refusal](err)
	if !ok {
		t.Fatalf("%+v: %v", r, err)
	}
	if !foreigntest.Tame(no.Says + no.Next) {
		t.Errorf("says %q, %q", no.Says, no.Next)
	}
	return no
}

// Who isn't let in hears the likely cause, and no role is tried.
func TestRefusalsNameTheirCause(t *testing.T) {
	since := time.Date(2026, 9, 1, 16, 2, 0, 0, time.UTC)
	for _, tc := range []struct {
		name       string
		change     func(c *customers.Customer)
		cause      entry.Cause
		says, next string
	}{
		{"revoked", func(c *customers.Customer) {
			c.State, c.Since, c.Reason, c.RevokedBy = customers.StateRevoked, since, "project ended", "arn:aws:sts::444455556666:assumed-role/ops/ines"
		}, entry.CauseRevoked, `acme revoked this access on 1 Sep 2026 16:02 UTC by ines ("project ended")`, "countersign restore migration"},
		{"expired", func(c *customers.Customer) { c.State, c.Since = customers.StateExpired, since }, entry.CauseExpired, "ended on 1 Sep 2026", "expires of migration"},
		{"invited", func(c *customers.Customer) { c.State = customers.StateInvited }, entry.CauseNotAccepted, "is invited", "has said nothing yet"},
		{"pending", func(c *customers.Customer) { c.State = customers.StatePending }, entry.CauseNotAccepted, "is pending", "countersign customers accept acme"},
		{"a role of another account", func(c *customers.Customer) { c.RoleARN = strings.Replace(c.RoleARN, "444455556666", "777788889999", 1) }, entry.CauseNotBound, "not in 444455556666", "Nothing was done"},
		{"another account", func(c *customers.Customer) { c.Account = "777788889999" }, entry.CauseNotBound, "not in 777788889999", "Nothing was done"},
		{"a secret of another grant", func(c *customers.Customer) { c.SecretARN = strings.Replace(c.SecretARN, "migration", "nightly", 1) }, entry.CauseNotBound, "", "Nothing was done"},
		{"a prefix that was never issued", func(c *customers.Customer) { c.Prefix = "other" }, entry.CauseNotBound, "", "Nothing was done"},
		{"a fixed ID's role of another account", func(c *customers.Customer) {
			c.Kind, c.StaticSecretARN, c.RoleARN = customers.KindStatic, static, strings.Replace(c.RoleARN, "444455556666", "777788889999", 1)
		}, entry.CauseNotBound, "not in 444455556666", "Nothing was done"},
		{"no permission on one's own secret", func(c *customers.Customer) { c.Kind, c.StaticSecretARN = customers.KindStatic, static }, entry.CauseUnreadable, "may not read", static},
	} {
		t.Run(tc.name, func(t *testing.T) {
			account, way, registry := provided(t)
			c := registry["acme"]
			tc.change(&c)
			registry["acme"] = c
			got := refusal(t, way, entry.Request{Customer: "acme"})
			if got.Cause != tc.cause || !strings.Contains(got.Says, tc.says) || !strings.Contains(got.Next, tc.next) {
				t.Errorf("%+v", got)
			}
			for _, call := range account.Calls() {
				if call.Action == "AssumeRole" {
					t.Errorf("tried %s", call.On)
				}
			}
		})
	}
}

func TestWhoIsNotKnownIsRefused(t *testing.T) {
	account, way, _ := provided(t)
	if got := refusal(t, way, entry.Request{Customer: "acne"}); got.Cause != entry.CauseUnknown || !strings.Contains(got.Says, "did you mean acme?") {
		t.Errorf("%+v", got)
	}
	account.Revoke() // and the registry doesn't know yet
	if got := refusal(t, way, entry.Request{Customer: "acme"}); got.Cause != entry.CauseUnreadable || !strings.Contains(got.Next, "blue") {
		t.Errorf("%+v", got)
	}
	way.Customers = broken{}
	if got := refusal(t, way, entry.Request{Customer: "acme"}); got.Cause != entry.CauseNoRegistry {
		t.Errorf("%+v", got)
	}
	way.Who = func(context.Context) (entry.Base, error) { return entry.Base{}, errors.New("no EC2 IMDS role found") }
	if got := refusal(t, way, entry.Request{Customer: "acme"}); got.Cause != entry.CauseNobody {
		t.Errorf("%+v", got)
	}
}

// What AWS answers says whose fault it is.
func TestAWSsAnswersAreToldApart(t *testing.T) {
	_, way, _ := provided(t)
	for code, want := range map[string]entry.Cause{
		"ExpiredToken": entry.CauseNobody, "InvalidClientTokenId": entry.CauseNobody, "UnrecognizedClientException": entry.CauseNobody,
		"RequestTimeTooSkewed": entry.CauseClock, "RequestExpired": entry.CauseClock, "InternalFailure": entry.CauseOther,
	} {
		way.Who = func(context.Context) (entry.Base, error) {
			return entry.Base{}, fmt.Errorf("asking who this is: %w", &smithy.GenericAPIError{Code: code, Message: "\x1b[2Jno"})
		}
		if got := refusal(t, way, entry.Request{Customer: "acme"}); got.Cause != want {
			t.Errorf("%s: %+v", code, got)
		}
	}
}

// Each kind of customer is proven as it can be, and who may not be entered is not tried.
func TestWhatIsProven(t *testing.T) {
	account, way, registry := provided(t)
	store := &provider.Memory{}
	way.Client = provider.New(account.Config(), store, provider.Options{ByAccount: true})
	if err := store.Save(t.Context(), "acme", provider.State{}); err != nil {
		t.Fatal(err)
	}
	r, err := way.Verify(t.Context(), "acme", provider.VerifyOptions{})
	if err != nil || r.RoleARN != account.Customer().RoleARN || r.VersionID != account.Version() {
		t.Errorf("%v %+v", err, r)
	}
	another := registry["acme"]
	another.Prefix = "another1"
	registry["another"] = another
	if err := store.Save(t.Context(), "another", provider.State{}); err != nil {
		t.Fatal(err)
	}
	if _, err := way.Verify(t.Context(), "another", provider.VerifyOptions{}); !errors.Is(err, provider.ErrNotAccepted) {
		t.Errorf("with another prefix than was accepted: %v", err)
	}
	id, err := account.Store().Load(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	way.Secrets = secrets{static: id.ID.Reveal()}
	fixed := func(c *customers.Customer) {
		c.Kind, c.Grant, c.SecretARN, c.StaticSecretARN = customers.KindStatic, "", "", static
	}
	registry["oldco"] = registry["acme"]
	oldco := registry["oldco"]
	fixed(&oldco)
	registry["oldco"] = oldco
	if r, err := way.Verify(t.Context(), "oldco", provider.VerifyOptions{}); err != nil || len(r.Checks) != 3 || r.Checks[2] != (provider.Check{Name: provider.CheckFixed, Opens: true, Good: true}) {
		t.Errorf("%v %+v", err, r)
	}
	for name, tc := range map[string]struct {
		cause   entry.Cause
		confirm bool
		change  func(*customers.Customer)
	}{
		"confirmed, and fixed": {cause: entry.CauseNothing, confirm: true, change: fixed},
		"without an ID":        {cause: entry.CauseNothing, change: func(c *customers.Customer) { c.Kind, c.Grant, c.SecretARN = customers.KindNone, "", "" }},
		"pending":              {cause: entry.CauseNotAccepted, change: func(c *customers.Customer) { c.State = customers.StatePending }},
		"of another account":   {cause: entry.CauseNotBound, change: func(c *customers.Customer) { c.Account = "777788889999" }},
		"a secret of one's own that isn't there": {cause: entry.CauseUnreadable, change: func(c *customers.Customer) {
			fixed(c)
			c.StaticSecretARN += "x"
		}},
	} {
		c := registry["acme"]
		tc.change(&c)
		registry["other"] = c
		_, err := way.Verify(t.Context(), "other", provider.VerifyOptions{Confirm: tc.confirm})
		if no, ok := errors.AsType[*entry.Refusal](err); !ok || no.Cause != tc.cause {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatTheCustomerWritesStaysText(t *testing.T) {
	for _, s := range foreigntest.Strings("canary") {
		_, way, registry := provided(t)
		c := registry["acme"]
		c.State, c.Reason, c.RevokedBy, c.StackVersion = customers.StateRevoked, s, s, s
		registry["acme"] = c
		if got := refusal(t, way, entry.Request{Customer: "acme"}); got.Cause != entry.CauseRevoked {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

func TestSessionNames(t *testing.T) {
	long := strings.Repeat("x", 80)
	for _, tc := range [][3]string{
		{"jdoe", "", "jdoe"}, {"jdoe", "INC-812", "jdoe=INC-812"}, {"jdoe", "a b\n$(c)", "jdoe=a-b-c"}, {"confirm-me", "", "as-confirm-me"},
		{long, "why", long[:40] + "=why"}, {"jdoe", long, ("jdoe=" + long)[:64]}, {"jdoe", "…", "jdoe"},
	} {
		if got := entry.SessionName(tc[0], tc[1]); got != tc[2] {
			t.Errorf("SessionName(%q, %q) = %q, want %q", tc[0], tc[1], got, tc[2])
		}
	}
	for arn, want := range map[string]string{
		"arn:aws:iam::111122223333:user/ops/jdoe": "jdoe", "arn:aws:sts::111122223333:assumed-role/Engineers/j doe": "j-doe",
		"arn:aws:iam::111122223333:root": "arn-aws-iam-111122223333-root", "": "countersign",
	} {
		if got := entry.Engineer(arn); got != want {
			t.Errorf("Engineer(%q) = %q, want %q", arn, got, want)
		}
	}
}

// shelf keeps in memory.
type shelf map[string][]byte

func (s shelf) Get(name string) ([]byte, bool)        { b, ok := s[name]; return b, ok }
func (s shelf) Put(name string, content []byte) error { s[name] = content; return nil }
func (s shelf) Drop(name string) error                { delete(s, name); return nil }

func TestAKeptSessionIsThePersonsAndTheRegistrysWord(t *testing.T) {
	_, way, registry := provided(t)
	kept := shelf{}
	way.Keep = kept
	enter := func(reason string) string {
		t.Helper()
		got, err := way.Enter(t.Context(), entry.Request{Customer: "acme", Reason: reason}, nil)
		if err != nil || !got.Credentials.HasKeys() || time.Until(got.Credentials.Expires) < 50*time.Minute {
			t.Fatalf("%v: %+v", err, got.Visit)
		}
		return got.Credentials.AccessKeyID
	}
	first := enter("INC-812")
	if again := enter("INC-812"); again != first {
		t.Error("a session that still lasts was opened anew")
	}
	if other := enter("INC-813"); other == first {
		t.Error("another reason has the same session")
	}
	first = enter("INC-812")
	now := time.Now()
	way.Now = func() time.Time { return now.Add(51 * time.Minute) }
	if later, err := way.Enter(t.Context(), entry.Request{Customer: "acme", Reason: "INC-812"}, nil); err != nil || later.Credentials.AccessKeyID == first {
		t.Errorf("a session that ends in nine minutes was given: %v", err)
	}
	way.Now = time.Now
	first = enter("INC-812")
	was := registry["acme"]
	for what, change := range map[string]func(*customers.Customer){
		"what was accepted anew":        func(c *customers.Customer) { c.RoleARN = strings.Replace(c.RoleARN, "migration", "nightly", 1) },
		"given back after a revocation": func(c *customers.Customer) { c.Since = time.Now().Add(time.Hour) },
	} {
		c := was
		change(&c)
		registry["acme"] = c
		if got, err := way.Enter(t.Context(), entry.Request{Customer: "acme", Reason: "INC-812"}, nil); err == nil && got.Credentials.AccessKeyID == first {
			t.Errorf("%s has the session from before", what)
		}
		registry["acme"] = was
		first = enter("INC-812")
	}
	for _, other := range []string{"Engineers-others/jdoe@hestio.example", "Engineers-others/other"} {
		way.Who = func(context.Context) (entry.Base, error) {
			return entry.Base{Account: "111122223333", ARN: "arn:aws:sts::111122223333:assumed-role/" + other}, nil
		}
		now := enter("INC-812")
		if now == first {
			t.Errorf("%s has somebody else's session", other)
		}
		first = now
	}
	c := registry["acme"]
	c.State = customers.StateRevoked
	registry["acme"] = c
	if got := refusal(t, way, entry.Request{Customer: "acme"}); got.Cause != entry.CauseRevoked || len(kept) != 0 {
		t.Errorf("%+v, kept %d", got, len(kept))
	}
}
