package adopt_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/adopt"
	"github.com/countersign/countersign/internal/adopt/adopttest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

const plain = `{"Version":"2012-10-17","Statement":[{"Sid":"Northwind","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},` +
	`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"northwind-0042"}}}]}`

// interrupt lets call n fail, whether it worked or not, and all behind it, until the function that it returns is called.
func (a *account) interrupt(n int, fault sim.Fault) (resume func()) {
	seen := 0
	a.Schedule = func(sim.Call) sim.Outcome {
		seen++
		switch {
		case seen == n:
			return sim.Outcome{Fault: fault, Err: grant.ErrDenied}
		case seen > n:
			return sim.Outcome{Fault: sim.Fail, Err: grant.ErrDenied}
		}
		return sim.Outcome{}
	}
	return func() { a.Schedule = nil }
}

// Cut off at any call, with the answer lost or the call, and done again: the end is the same, and nobody was out on the way.
func TestCutOffAnywhereAndDoneAgain(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(a *account)
		act     func(a *account) error
		in      func(a *account) string // the ID that enters at each moment
		ended   func(l adopt.Live) error
		calls   int // at least
	}{
		"a hand-over": {
			func(*account) {},
			func(a *account) error { _, err := a.adopt(); return err },
			func(a *account) string { return adopttest.ID },
			func(l adopt.Live) error {
				if l.Tags[grant.TagGrant] != "migration" || l.Released() {
					return fmt.Errorf("tags %v", l.Tags)
				}
				return nil
			}, 6,
		},
		"a release": {
			func(a *account) { a.adopted(); a.rotated() },
			func(a *account) error {
				_, err := a.release().Do(a.ctx, a.plan, adopt.Terms{EndPrevious: true})
				return err
			},
			func(a *account) string { return a.ours[1] },
			func(l adopt.Live) error {
				if len(l.Tags) != 1 || !l.Released() || len(l.Trust.Accepted()) != 1 {
					return fmt.Errorf("tags %v, IDs %v", l.Tags, l.Trust.Accepted())
				}
				return nil
			}, 15,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, ended := 1, false
			for ; !ended; n++ {
				for _, fault := range []sim.Fault{sim.Fail, sim.Lose} {
					a := newAccount(t, []byte(plain))
					c.prepare(a)
					resume := a.interrupt(n, fault)
					err := c.act(a)
					resume()
					if ended = err == nil; ended {
						break
					}
					if !errors.Is(err, grant.ErrDenied) {
						t.Fatalf("call %d: %v", n, err)
					}
					if a.STS.Verdict(a.caller, roleARN, c.in(a), "jdoe", sim.Assume{}).Effect != "allow" {
						t.Errorf("call %d: the provider is out", n)
					}
					_, _ = a.Reconcile(a.ctx, a.plan.Grant)
					if err := c.act(a); err != nil {
						t.Fatalf("call %d, again: %v", n, err)
					}
					a.must(c.ended(a.live()))
					if a.STS.Verdict(a.caller, roleARN, c.in(a), "jdoe", sim.Assume{}).Effect != "allow" {
						t.Errorf("call %d, again: the provider is out", n)
					}
				}
			}
			if n < c.calls {
				t.Errorf("only %d calls", n)
			}
		})
	}
}

// adopted hands the ID over.
func (a *account) adopted() {
	a.Helper()
	_, err := a.adopt()
	a.must(err)
	_, err = a.Reconcile(a.ctx, a.plan.Grant)
	a.must(err)
}

// A hand-over that was worked out before the first rotation, and comes behind it, makes nothing of it undone.
func TestAHandOverThatComesLateChangesNothing(t *testing.T) {
	a := newAccount(t, []byte(plain))
	value := func() string { _, v := a.Secrets.Labelled(a.plan.SecretARN, grant.StageCurrent); return string(v) }
	before := a.live()
	a.adopted()
	fresh := a.rotated()
	rotated := value()
	id, err := grant.ParseID(adopttest.ID)
	a.must(err)
	_, err = adopt.Hand{Secrets: stale{a.Secrets}, Roles: a.IAM}.Over(a.ctx, a.plan, before, id)
	a.must(err)
	if value() != rotated {
		t.Error("the secret's current value is another one")
	}
	a.enters(adopttest.ID, fresh)
}

// stale shows the secret as it was before the hand-over.
type stale struct{ *sim.Secrets }

func (s stale) Describe(ctx context.Context, arn string) (grant.Secret, error) {
	secret, err := s.Secrets.Describe(ctx, arn)
	for id := range secret.Stages {
		delete(secret.Stages, id)
		if !grant.IsAdopted(id) && len(id) == 36 {
			secret.Stages[id] = []string{grant.StageCurrent}
		}
	}
	return secret, err
}

func (s stale) History(context.Context, string) ([]grant.VersionInfo, error) { return nil, nil }

func (s stale) Version(context.Context, string, string) (grant.Version, error) {
	return grant.Version{Value: []byte(grant.BornSecret)}, nil
}

// In whatever order the turns of two hand-overs, a release and the functions come, the provider is in, and the role ends as
// one that is ours or its owner's.
func TestTwoAtOnceDoNoHarm(t *testing.T) {
	for seed := range uint64(60) {
		w := newAccount(t, []byte(plain))
		w.adopted()
		w.rotated()
		w.Sleep(w.ctx, 48*time.Hour)
		_, err := w.Reconcile(w.ctx, w.plan.Grant)
		w.must(err)
		doc := w.live()
		id := doc.Trust.Accepted()[0].ID
		for i, act := range []func(context.Context) error{
			func(ctx context.Context) error {
				_, err := w.release().Do(ctx, w.plan, adopt.Terms{EndPrevious: true})
				return err
			},
			func(ctx context.Context) error {
				_, err := w.release().Do(ctx, w.plan, adopt.Terms{EndPrevious: true})
				return err
			},
			func(ctx context.Context) error { _, err := w.Reconciler.Grant(ctx, w.plan.Grant); return err },
		} {
			w.Go(w.ctx, fmt.Sprintf("actor-%d", i), act)
		}
		w.RunUntil(w.ctx, w.Now().Add(30*time.Minute), w.AnyOrder())
		l := w.live()
		if w.STS.Verdict(w.caller, roleARN, id, "jdoe", sim.Assume{}).Effect != "allow" {
			t.Fatalf("seed %d: the provider is out", seed)
		}
		if !l.Released() || len(l.Trust.Accepted()) != 1 || len(l.Tags) != 1 {
			t.Fatalf("seed %d: %v, IDs %v, tags %v", seed, l.Released(), l.Trust.Accepted(), l.Tags)
		}
	}
}

// What stands in the way of giving back, and what is asked for then.
func TestHowARoleIsGivenBack(t *testing.T) {
	closed := func(a *account) bool {
		return a.STS.Verdict(a.caller, roleARN, adopttest.ID, "jdoe", sim.Assume{}).Effect != "allow"
	}
	revoked := func(a *account) {
		a.adopted()
		_, err := a.Revoke(a.ctx, a.plan.Grant, "project ended")
		a.must(err)
		_, err = a.Reconcile(a.ctx, a.plan.Grant)
		a.must(err)
	}
	for name, c := range map[string]struct {
		prepare func(a *account)
		terms   adopt.Terms
		err     error
		closed  bool
		kept    bool // a Deny outlives the grant
	}{
		"before the hand-over":       {func(*account) {}, adopt.Terms{}, nil, false, false},
		"adopted":                    {func(a *account) { a.adopted() }, adopt.Terms{}, nil, false, false},
		"revoked":                    {revoked, adopt.Terms{}, nil, true, true},
		"revoked, to be opened":      {revoked, adopt.Terms{Open: true}, nil, false, false},
		"revoked before, and closed": {func(a *account) { revoked(a); a.given(adopt.Terms{}) }, adopt.Terms{Open: true}, nil, false, false},
		"called revoked by a tag alone": {func(a *account) {
			a.adopted()
			a.must(a.Secrets.Tag(a.ctx, a.plan.SecretARN, map[string]string{grant.TagRevoked: "rv-20260101T000000Z-00000000"}))
		}, adopt.Terms{}, nil, true, true},
		"in an overlap":              {func(a *account) { a.adopted(); a.rotated() }, adopt.Terms{}, adopt.ErrPrevious, false, false},
		"in an overlap that may end": {func(a *account) { a.adopted(); a.rotated() }, adopt.Terms{EndPrevious: true}, nil, true, false}, // the first ID is over
		"while a rotation is stuck": {func(a *account) {
			a.adopted()
			a.must(a.Secrets.Rotate(a.ctx, a.plan.SecretARN, "rotate-00000000000000000000000000000009"))
			a.must(a.Secrets.InvokeStep(a.ctx, sim.RotationEvent{Step: "createSecret", SecretID: a.plan.SecretARN, ClientRequestToken: "rotate-00000000000000000000000000000009"}))
			a.must(a.Secrets.InvokeStep(a.ctx, sim.RotationEvent{Step: "setSecret", SecretID: a.plan.SecretARN, ClientRequestToken: "rotate-00000000000000000000000000000009"}))
		}, adopt.Terms{}, nil, false, false},
		"its owner wrote another ID": {func(a *account) {
			a.adopted()
			a.given(adopt.Terms{})
			a.must(a.IAM.SetTrust(a.ctx, "NorthwindAccess", []byte(replaceID(plain, "northwind-0043"))))
		}, adopt.Terms{}, nil, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, []byte(plain))
			c.prepare(a)
			_, err := a.release().Do(a.ctx, a.plan, c.terms)
			if !errors.Is(err, c.err) {
				t.Fatal(err)
			}
			if closed(a) != c.closed {
				t.Errorf("closed to the first ID: %v", !c.closed)
			}
			l := a.live()
			if kept := grant.ReadRevocation(l.Inline[grant.KeptClosedPolicy]).Denies; kept != c.kept {
				t.Errorf("a Deny outlives the grant: %v", kept)
			}
			if c.err == nil && len(l.Tags) != 1 {
				t.Errorf("tags %v", l.Tags)
			}
			for _, s := range l.Trust.Accepted() {
				if _, previous := l.Trust.Deadline(s.ID); previous && c.err == nil {
					t.Error("a statement of ours stands")
				}
			}
			if secret, err := a.Secrets.Describe(a.ctx, a.plan.SecretARN); err != nil || c.err == nil && secret.At(grant.StagePending) != "" && secret.At(grant.StagePending) != secret.At(grant.StageCurrent) {
				t.Errorf("a version is pending: %v", err)
			}
		})
	}
	if _, err := newAccount(t, []byte(plain)).release().Look(t.Context(), simtest.Migration()); !errors.Is(err, adopt.ErrNotOurs) {
		t.Errorf("a role of ours: %v", err)
	}
}

func (a *account) given(terms adopt.Terms) {
	a.Helper()
	_, err := a.release().Do(a.ctx, a.plan, terms)
	a.must(err)
}

// A released role is adopted again, with the ID that it has by then.
func TestAReleasedRoleIsAdoptedAgain(t *testing.T) {
	for name, other := range map[string]string{"as it was": adopttest.ID, "with another ID of its owner's": "northwind-0043"} {
		a := newAccount(t, []byte(plain))
		a.adopted()
		a.given(adopt.Terms{})
		doc, err := trust.Parse(a.live().Trust.Bytes())
		a.must(err)
		a.must(a.IAM.SetTrust(a.ctx, "NorthwindAccess", []byte(replaceID(string(doc.Bytes()), other))))
		id, err := grant.ParseID(other)
		a.must(err)
		_, err = adopt.Hand{Secrets: a.Secrets, Roles: a.IAM}.Over(a.ctx, a.plan, a.live(), id)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		a.ours = []string{other}
		a.Sleep(a.ctx, 48*time.Hour)
		fresh := a.rotated()
		a.enters(other, fresh)
	}
}

func replaceID(document, by string) string { return strings.ReplaceAll(document, adopttest.ID, by) }
