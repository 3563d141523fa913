package upgrade

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

var update = flag.Bool("update", false, "write the tables of the docs")

const (
	upgradeDoc = "../../docs/upgrade.md"
	begin      = "<!-- from the synthesised templates: go test ./infra/upgrade -update writes this table -->\n"
	end        = "<!-- end -->\n"
)

// callers are who gets in behind a row with the outcome others.
var callers = map[string]string{
	"account": otherAccount, "ProviderAccount: another": otherAccount,
	"principals": otherCaller, "Principals: another": otherCaller,
	"organization": engineer + member, "Organization: given": engineer + member,
}

// caller is who gets in before a row's change.
func (r row) caller() string {
	if r.yaml == "Organization: emptied" {
		return engineer + member
	}
	return engineer
}

// Each field of access.yaml, changed on a live stack: what CloudFormation does, and who gets in then. Tried three times: with
// an overlap open, while the grant is revoked, and with a deploy that fails at its last step.
func TestEachFieldOnALiveStack(t *testing.T) {
	was := synth(t, before)
	var table strings.Builder
	table.WriteString("| field | CloudFormation | who gets in |\n|---|---|---|\n")
	for _, r := range rows {
		t.Run(r.yaml, func(t *testing.T) {
			tmpl := synth(t, r.after(t))
			effects := difference(t, was, tmpl)
			fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.yaml, words(effects), r.so)
			r.tried(t, was, tmpl, effects)
		})
	}
	golden(t, upgradeDoc, begin, table.String())
}

// tried holds a change to what no change may do, and makes it on three live stacks.
func (r row) tried(t *testing.T, was, tmpl *infratest.Template, effects []effect) {
	r.holds(t, was, tmpl, effects)
	t.Run("open", func(t *testing.T) { r.open(t, was, tmpl) })
	t.Run("revoked", func(t *testing.T) { r.revoked(t, was, tmpl) })
	t.Run("taken back", func(t *testing.T) { r.takenBack(t, was, tmpl) })
}

// golden compares what stands between two marks in a page of the docs, or writes it under -update.
func golden(t *testing.T, page, begin, table string) {
	t.Helper()
	doc, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(doc), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	want := head + begin + "\n" + table + "\n" + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(doc), want); diff != "" {
		t.Errorf("%s is not what is synthesised; read the difference, then go test ./infra/upgrade -update\n%s", page, diff)
	}
}

// holds says what no row may do: replace a grant's secret or role under the same name, touch a revocation's Deny or a trust policy,
// or change a grant without Custom::Grant looking.
func (r row) holds(t *testing.T, was, tmpl *infratest.Template, effects []effect) {
	looks, touches := false, false
	for _, e := range effects {
		old, stays := was.Resources[e.id]
		switch {
		case e.what == "secret" && e.verb != changes && r.becomes != gone && r.becomes != withoutID && r.becomes != refused:
			t.Errorf("%s %s", e.verb, e.id)
		case e.what == "`"+grant.RevocationPolicy+"`" && e.verb == changes:
			t.Errorf("the deploy would overwrite a revoked grant's Deny: %s", e.id)
		case stays && e.verb == changes && old.Type == "AWS::IAM::Role":
			if diff := gocmp.Diff(old.Properties["AssumeRolePolicyDocument"], tmpl.Resources[e.id].Properties["AssumeRolePolicyDocument"]); diff != "" {
				t.Errorf("the deploy would overwrite the trust policy of %s: %s", e.id, diff)
			}
		}
		looks = looks || e.what == "Custom::Grant"
		if slices.Equal(e.properties, []string{"RotationLambdaARN"}) {
			continue // another version of rotate, the same schedule
		}
		for _, of := range []string{"role", "plan", "schedule", "secret's policy", "`" + grant.GuardPolicy + "`", "`" + grant.ExpiryPolicy + "`"} {
			touches = touches || e.what == of
		}
	}
	if touches && !looks {
		t.Error("the deploy changes the grant, and Custom::Grant doesn't look at it")
	}
}

// open changes the field while the previous ID still has some hours.
func (r row) open(t *testing.T, was, tmpl *infratest.Template) {
	l := deployed(t, was)
	old := map[grant.Name]state{}
	for name := range l.plans {
		old[name] = l.look(name, cmp.Or(neighbours[name], r.caller()))
	}
	if m := old[migration]; !m.CurrentIn || !m.PastIn || m.NothingIn || m.WrongIn || m.StrangerIn || m.Denied || m.Deadline.IsZero() {
		t.Fatalf("before: %+v", m)
	}
	session := l.session(r.caller(), old[migration].Role)
	failed := l.deploy(was, tmpl)
	if (failed != nil) != (r.becomes == refused) {
		t.Fatalf("deployed: %v", failed)
	}
	l.neighbours(r, old)

	m := old[migration]
	switch who := r.caller(); r.becomes {
	case same, others, sooner, refused:
		want, now := m, state{}
		if r.becomes == others {
			if l.enters(who, m.Role, l.value(migration)) {
				t.Error("who is not in the plan any more gets in")
			}
			who = callers[r.yaml]
		}
		now = l.look(migration, who)
		if r.becomes == sooner {
			if !now.Deadline.Before(m.Deadline) || now.Deadline.Before(l.Now()) {
				t.Errorf("the previous ID ends %s, and it was %s", now.Deadline, m.Deadline)
			}
			want.Deadline = now.Deadline
		}
		if diff := differs(want, now); diff != "" {
			t.Error(diff)
		}
		l.Sleep(l.ctx, now.Deadline.Sub(l.Now())+time.Second)
		if now = l.look(migration, who); now.PastIn || !now.CurrentIn {
			t.Errorf("behind the deadline: %+v", now)
		}
		l.Sleep(l.ctx, 48*time.Hour) // a longer overlap has to be over by then, too
		l.rotatesOn(who)
	case withoutID:
		if now := l.look(migration, engineer); !now.NothingIn || now.StrangerIn || now.Role != m.Role {
			t.Errorf("without an ID: %+v", now)
		}
	case anew:
		now := l.look(migration, engineer)
		if now.Current == m.Current || now.Role == m.Role || !now.CurrentIn || now.PastIn || now.NothingIn || now.WrongIn || now.StrangerIn {
			t.Errorf("in another role: %+v", now)
		}
		l.roleIsGone(m.Role, session)
		l.Sleep(l.ctx, 25*time.Hour)
		l.rotatesOn(engineer)
	case gone:
		l.roleIsGone(m.Role, session)
		if name := grant.Name("moving"); l.plans[name].Grant != "" {
			if now := l.look(name, engineer); now.Current == m.Current || !now.CurrentIn || now.PastIn || now.NothingIn {
				t.Errorf("the new grant: %+v", now)
			}
		}
	}
}

// session is one that the provider has with the ID that is current.
func (l *live) session(who, role string) *sim.Session {
	l.t.Helper()
	principal, keys := asPrincipal(who)
	session, err := l.STS.AssumeRole(l.ctx, principal, role, l.value(migration), "jdoe", sim.Assume{Keys: keys})
	l.must(err)
	return session
}

// value is a grant's external ID.
func (l *live) value(name grant.Name) string {
	l.t.Helper()
	_, id, err := l.Read(l.ctx, name, grant.StageCurrent)
	l.must(err)
	return id
}

// neighbours are the callers of the other grants, where the stack has any.
var neighbours = map[grant.Name]string{audit: engineer, console: legacy}

// neighbours are as they were.
func (l *live) neighbours(r row, old map[grant.Name]state) {
	l.t.Helper()
	for name, who := range neighbours {
		if _, stands := old[name]; !stands {
			continue
		}
		if r.becomes == others && name == audit { // the same provider's
			who = callers[r.yaml]
		}
		if diff := differs(old[name], l.look(name, who)); diff != "" {
			l.t.Errorf("%s, another grant: %s", name, diff)
		}
	}
}

// rotatesOn holds that the next rotation works, with the overlap of the ID that is in now.
func (l *live) rotatesOn(who string) {
	l.t.Helper()
	if l.plans[migration].IssuedBy == grant.IssuedByProvider {
		return // the next one is the provider's
	}
	old := l.look(migration, who)
	_, err := l.Rotate(l.ctx, migration, false)
	l.must(err)
	l.must(l.RunRotations(l.ctx))
	if now := l.look(migration, who); now.Previous != old.Current || !now.CurrentIn || !now.PastIn {
		l.t.Errorf("the next rotation: %+v", now)
	}
}

func (l *live) roleIsGone(arn string, session *sim.Session) {
	l.t.Helper()
	if _, err := l.IAM.Role(l.ctx, arn[strings.LastIndexByte(arn, '/')+1:]); !errors.Is(err, grant.ErrNotFound) {
		l.t.Errorf("the role %s: %v", arn, err)
	}
	if session.Allowed("s3:PutObject", "arn:aws:s3:::uploads/x", 0) {
		l.t.Error("a session of the role that is gone still acts")
	}
}

// revoked changes the field while the grant is revoked: nobody gets in before, nor after, nor behind the next look.
func (r row) revoked(t *testing.T, was, tmpl *infratest.Template) {
	l := deployed(t, was)
	_, err := l.Revoke(l.ctx, migration, "project ended")
	l.must(err)
	l.must(l.Reconciler.Timer(l.ctx))
	old := l.look(migration, r.caller())
	failed := l.deploy(was, tmpl)
	if want := r.becomes == refused || r.becomes == gone; (failed != nil) != want {
		t.Fatalf("deployed: %v", failed)
	}
	who := r.caller()
	if r.becomes == others {
		who = callers[r.yaml]
	}
	for range 2 {
		now := l.look(migration, who)
		if now.CurrentIn || now.PastIn || now.NothingIn || now.WrongIn || now.StrangerIn || !now.Denied {
			t.Errorf("the revoked grant is open: %+v", now)
		}
		if r.becomes != anew && r.becomes != withoutID && now.Current != old.Current {
			t.Error("the revoked grant has another ID")
		}
		l.must(l.Reconciler.Timer(l.ctx))
	}
}

// takenBack lets the deploy fail at its last step.
func (r row) takenBack(t *testing.T, was, tmpl *infratest.Template) {
	l := deployed(t, was)
	old := l.look(migration, r.caller())
	broken := errors.New("broken")
	l.fail = func(e cfn.Event) error {
		if e.ResourceType == "Custom::Grant" && e.RequestType != cfn.RequestDelete && broken != nil {
			err := broken
			broken = nil
			return err
		}
		return nil
	}
	failed := l.deploy(was, tmpl)
	if failed == nil && broken == nil {
		t.Fatal("deployed")
	}
	if got := l.Stacks.Status(stackName); got != sim.UpdateRolledBack && got != sim.CreateComplete && got != sim.UpdateComplete {
		t.Errorf("status %s: %v", got, failed)
	}
	if broken != nil {
		return // Custom::Grant was never asked
	}
	want := old
	now := l.look(migration, r.caller())
	if r.becomes == sooner {
		want.Deadline = now.Deadline // a deadline that came sooner stays: none is ever put off
	}
	if r.becomes == anew { // the labels tell of the new role's ID; the old role has its own
		if now.Previous != old.Current || !now.PastIn || now.NothingIn || now.StrangerIn || now.Denied {
			t.Errorf("back in the old role: %+v", now)
		}
		return
	}
	if diff := differs(want, now); diff != "" && r.becomes != withoutID {
		t.Error(diff)
	}
	if !now.CurrentIn || now.NothingIn || now.WrongIn || now.StrangerIn || now.Denied {
		t.Errorf("taken back: %+v", now)
	}
}
