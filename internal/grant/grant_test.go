package grant_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

const random = "abcdefghijklmnopqrstuvwxyz012345"

func migration() grant.Plan {
	return grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-west-1",
		RoleARN:    "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
		SecretARN:  "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf",
		Principals: []string{"arn:aws:iam::111122223333:root"}, Overlap: grant.Duration(24 * time.Hour), RotateEvery: "monthly",
		Notify: grant.Notify{{Channel: grant.Mail, Address: "a@example.com"}},
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"migration": true, "a": true, "0-a": true, "": false, "-a": false, "A": false, "a_b": false, "a/b": false, "a\n": false,
		strings.Repeat("a", 40): true, strings.Repeat("a", 41): false,
	} {
		if _, err := grant.ParseName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	for arn, want := range map[string]grant.Name{
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf":     "migration",
		"arn:aws-cn:secretsmanager:cn-north-1:444455556666:secret:countersign/a-b-Ab3dEf":       "a-b",
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration":            "",
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:other/migration-Ab3dEf":           "",
		"arn:aws:ssm:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf":                "",
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/../migration-Ab3dEf":  "",
		"arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-x-Ab3dEf:x": "",
		"countersign/migration": "",
	} {
		got, err := grant.NameOfSecret(arn)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", arn, got, err)
		}
	}
}

func TestPlansAreReadBackAndRefused(t *testing.T) {
	p := migration()
	src, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := grant.ParsePlan(src, "migration")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Error(diff)
	}
	if _, err := grant.ParsePlan(src, "other"); !errors.Is(err, grant.ErrNotConfigured) {
		t.Errorf("another grant's plan: %v", err)
	}
	for name, change := range map[string]func(*grant.Plan){
		"no role":                  func(p *grant.Plan) { p.RoleARN = "" },
		"a role that is none":      func(p *grant.Plan) { p.RoleARN = "arn:aws:iam::444455556666:user/x" },
		"no principals":            func(p *grant.Plan) { p.Principals = nil },
		"neither secret nor no ID": func(p *grant.Plan) { p.SecretARN = "" },
		"a secret and no ID":       func(p *grant.Plan) { p.NoExternalID = true },
	} {
		p := migration()
		change(&p)
		src, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := grant.ParsePlan(src, "migration"); !errors.Is(err, grant.ErrNotConfigured) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, src := range []string{"", "{", `{"grant":"migration","x":1}`, `{"grant":"migration","overlap":"-1h"}`} {
		if _, err := grant.ParsePlan([]byte(src), "migration"); !errors.Is(err, grant.ErrNotConfigured) {
			t.Errorf("%s: %v", src, err)
		}
	}
	if p.RoleName() != "ServiceProvider-migration" {
		t.Errorf("role name %q", p.RoleName())
	}
}

func TestSecretValuesAreForeignInput(t *testing.T) {
	p := migration()
	id, err := grant.NewID(rand.Reader, "")
	if err != nil {
		t.Fatal(err)
	}
	value, err := p.EncodeValue(id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.DecodeValue(value); err != nil || got != id {
		t.Errorf("read back: %v", err)
	}
	if _, err := p.DecodeValue([]byte(" " + grant.BornSecret + "\n")); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("the birth constant: %v", err)
	}
	renamed := p
	renamed.RoleARN += "2"
	if _, err := renamed.DecodeValue(value); !errors.Is(err, grant.ErrOtherRole) || !errors.Is(err, grant.ErrForeignValue) {
		t.Errorf("another role: %v", err)
	}
	ok := string(value)
	for name, bad := range map[string]string{
		"nothing":          "",
		"a bare ID":        random,
		"another grant":    strings.Replace(ok, `"migration"`, `"other"`, 1),
		"another ID":       strings.Replace(ok, id.Reveal(), "x", 1),
		"an unknown field": strings.Replace(ok, "{", `{"note":"x",`, 1),
		"more behind it":   ok + "{}",
		"no prefix at all": strings.Replace(ok, id.Reveal(), "ac-"+random, 1),
		"two prefixes":     strings.Replace(ok, id.Reveal(), "evil-acme-"+random, 1),
	} {
		if _, err := p.DecodeValue([]byte(bad)); !errors.Is(err, grant.ErrForeignValue) || errors.Is(err, grant.ErrOtherRole) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The prefix may have been another one when an ID was made; a new one has the plan's.
func TestAnIDKeepsThePrefixItWasMadeWith(t *testing.T) {
	const random = "abcdefghijklmnopqrstuvwxyz012345"
	for _, c := range []struct {
		plan, made string
		issuer     grant.Issuer
		makes      bool
	}{
		{"hestio", "hestio-" + random, "", true},
		{"hestio", "acme-" + random, "", false},
		{"hestio", random, "", false},
		{"", "acme-" + random, "", false},
		{"", random, "", true},
		{"hestio", "org@17", grant.IssuedByProvider, true},
	} {
		p := migration()
		p.Prefix, p.IssuedBy = c.plan, c.issuer
		made, err := grant.ParseID(c.made)
		if err != nil {
			t.Fatal(err)
		}
		value, err := p.EncodeValue(made)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.DecodeValue(value); err != nil || got != made || p.Makes(got) != c.makes {
			t.Errorf("prefix %q reads %q: %v; makes it: %v", c.plan, c.made, err, p.Makes(got))
		}
	}
}

func TestWhatAVersionIsFor(t *testing.T) {
	p := migration()
	for _, c := range []struct {
		id      string
		purpose grant.Purpose
		cause   string
		overlap time.Duration
	}{
		{"8c1e5f0a-6b7c-4d8e-9f10-213243546576", grant.Scheduled, "scheduled", 24 * time.Hour},
		{"rotate-0123456789abcdef0123456789abcdef", grant.Scheduled, "requested", 24 * time.Hour},
		{"cut-0123456789abcdef0123456789abcdef", grant.Cut, "leaked", 0},
		{"restore-0123456789abcdef0123456789abcdef", grant.Restore, "restored", 0},
		{"birth-0123456789abcdef0123456789abcdef", grant.Birth, "scheduled", 0},
		{"cutter-123456789abcdef0123456789abcdef", grant.Scheduled, "scheduled", 24 * time.Hour},
		{"CUT-0123456789abcdef0123456789abcdef", grant.Scheduled, "scheduled", 24 * time.Hour},
	} {
		if grant.PurposeOf(c.id) != c.purpose || grant.CauseOf(c.id) != c.cause || p.OverlapOf(c.id) != c.overlap {
			t.Errorf("%s: %q %q %s", c.id, grant.PurposeOf(c.id), grant.CauseOf(c.id), p.OverlapOf(c.id))
		}
	}
	for _, purpose := range []grant.Purpose{grant.Birth, grant.Cut, grant.Restore, grant.OnDemand} {
		token, err := grant.NewToken(rand.Reader, purpose)
		if err != nil || len(token) < 32 || len(token) > 56 || len("confirm-"+token) > 64 {
			t.Errorf("%s: %v", token, err)
		}
	}
	if a, b := grant.BirthToken("s", "r"), grant.BirthToken("s", "r"); a != b || grant.PurposeOf(a) != grant.Birth || a == grant.BirthToken("sr") {
		t.Errorf("birth tokens %s %s", a, b)
	}
}

func TestAnyOfThreeMarksCloses(t *testing.T) {
	open, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	closed, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		inline string
		doc    *trust.Document
		tags   map[string]string
		closed bool
	}{
		{"nothing", "", open, nil, false},
		{"the template's policy", grant.OpenRevocation, open, nil, false},
		{"the Deny", grant.DenyRevocation, open, nil, true},
		{"a Deny with the intent to restore", strings.Replace(grant.DenyRevocation, "CountersignRevoked", "RestoreTorestore12", 1), open, nil, true},
		{"a Deny without a list", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`, open, nil, true},
		{"a Deny in a list of lists", `{"Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"]}]}`, open, nil, true},
		{"a Deny behind others", `{"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*"}]}`, open, nil, true},
		{"a dated Deny", `{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-01-01T00:00:00Z"}}}]}`, open, nil, false},
		{"a policy that nobody understands", `{"Statement":`, open, nil, true},
		{"the trust policy", grant.OpenRevocation, closed, nil, true},
		{"the tag", grant.OpenRevocation, open, map[string]string{grant.TagRevoked: "rv-1"}, true},
		{"the tag of an older restore", grant.OpenRevocation, open, map[string]string{grant.TagRevoked: "rv-2", grant.TagRestored: "rv-1"}, true},
		{"a restored tag", grant.OpenRevocation, open, map[string]string{grant.TagRevoked: "rv-1", grant.TagRestored: "rv-1"}, false},
		{"a restored tag under a Deny", grant.DenyRevocation, open, map[string]string{grant.TagRevoked: "rv-1", grant.TagRestored: "rv-1"}, true},
		{"a document that can't be read", grant.OpenRevocation, nil, nil, false},
	} {
		got := grant.ClosureOf([]byte(c.inline), c.doc, c.tags)
		if got.Closed() != c.closed || got.Closed() == (len(got.Missing()) == 3) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// The body stands in every template. A deploy that changed it would overwrite the Deny of every revoked grant, and so
// reopen them all: these bytes can never change.
func TestTheRevocationPolicyInTheTemplateIsFrozen(t *testing.T) {
	const frozen = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignOpen","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"1970-01-01T00:00:00Z"}}}]}`
	if grant.OpenRevocation != frozen {
		t.Error("changing this reopens revoked grants")
	}
	if grant.BornSecret != `{"countersign":"born"}` {
		t.Error("changing this publishes a version without an ID at the next deploy")
	}
}

func TestRolesOfAStack(t *testing.T) {
	roles, err := grant.ParseRoles("migration,audit=Custom.Role")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(grant.Roles{"migration": "ServiceProvider-migration", "audit": "Custom.Role"}, roles); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]grant.Name{"audit", "migration"}, roles.Names()); diff != "" {
		t.Error(diff)
	}
	for arn, want := range map[string]bool{
		"arn:aws:sts::444455556666:assumed-role/ServiceProvider-migration/jdoe":        true,
		"arn:aws:sts::444455556666:assumed-role/serviceprovider-MIGRATION/jdoe":        true,
		"arn:aws:sts::444455556666:assumed-role/Custom.Role/jdoe":                      true,
		"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration":         true,
		"arn:aws:sts::444455556666:assumed-role/Admin/ServiceProvider-migration":       false,
		"arn:aws:iam::444455556666:user/ServiceProvider-migration":                     false,
		"arn:aws:iam::444455556666:root":                                               false,
		"arn:aws:sts::444455556666:assumed-role":                                       false,
		"":                                                                             false,
		"arn:aws-cn:sts::444455556666:assumed-role/ServiceProvider-migration/with/sep": true,
	} {
		if roles.HasSession(arn) != want {
			t.Errorf("%s: %v", arn, !want)
		}
	}
	for _, bad := range []string{"UPPER", "a,a", "a=", "a=b/c", "a=" + strings.Repeat("x", 65), "a b"} {
		if _, err := grant.ParseRoles(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
	if roles, err := grant.ParseRoles(""); err != nil || len(roles) != 0 {
		t.Errorf("no grants: %v %v", roles, err)
	}
}

func TestFailuresTellWhatToDo(t *testing.T) {
	for _, err := range []error{
		grant.ErrOverlapOpen, grant.ErrClosed, grant.ErrOtherRole, grant.ErrForeignValue, grant.ErrBackwards, grant.ErrDrift,
		grant.ErrUnmodifiable, grant.ErrMalformed, grant.ErrQuota, trust.ErrRefused, grant.ErrDenied, grant.ErrNotConfigured,
	} {
		f, ok := grant.FailureOf(fmt.Errorf("doing: %w", err), "version-1", "setSecret")
		reason, next := f.Words("migration")
		if !ok || reason == "" || next == "" || strings.Contains(next, "GRANT") {
			t.Errorf("%v: %q %q", err, reason, next)
		}
		if f.Meant() != (errors.Is(err, grant.ErrOverlapOpen) || errors.Is(err, grant.ErrClosed)) {
			t.Errorf("%v: meant %v", err, f.Meant())
		}
		if grant.ParseFailure(f.String()) != f {
			t.Errorf("%+v is not read back from %q", f, f.String())
		}
		if len(f.String()) > 256 || strings.ContainsAny(f.String(), "#*") {
			t.Errorf("%q is no tag", f)
		}
	}
	for _, err := range []error{nil, grant.ErrThrottled, grant.ErrUnavailable, grant.ErrConflict, grant.ErrNotYetVisible, grant.ErrBadToken, grant.ErrBusy, grant.ErrPaused} {
		if f, ok := grant.FailureOf(err, "v", "s"); ok {
			t.Errorf("%v needs nobody, got %+v", err, f)
		}
	}
	if reason, next := grant.ParseFailure("something else").Words("x"); reason == "" || next == "" {
		t.Error("an unknown tag has no words")
	}
}

func TestFactsWaitUntilTheyAreAnnounced(t *testing.T) {
	f := grant.FactRotated
	for _, c := range []struct {
		noted, announced, want string
	}{{"", "", ""}, {"a", "", "a"}, {"a", "a", ""}, {"b", "a", "b"}} {
		if got := f.Unannounced(map[string]string{f.Tag(): c.noted, f.AnnouncedTag(): c.announced}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
