package sim_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/sim/conformance"
)

func account(w *sim.World) conformance.Account {
	n := 0
	next := func() int { n++; return n }
	return conformance.Account{
		Roles: w.IAM, Inline: w.IAM, Versions: w.Secrets, Secrets: w.Secrets, Plans: w.Parameters, Queue: w.Queue("conformance"),
		NewRole: func(t testing.TB, trust string) string {
			name := fmt.Sprintf("Conformance-%d", next())
			if _, err := w.IAM.CreateRole(name, []byte(trust), sim.RoleOptions{Path: grant.DefaultRolePath}); err != nil {
				t.Fatal(err)
			}
			return name
		},
		NewSecret: func(t testing.TB, value string, rotates bool) string {
			arn, err := w.Secrets.Create(fmt.Sprintf("conformance/%d", next()), "", []byte(value), nil)
			if err != nil {
				t.Fatal(err)
			}
			if rotates {
				if err := w.Secrets.EnableRotation(arn, 0, 0); err != nil {
					t.Fatal(err)
				}
			}
			return arn
		},
		NewPrincipal: func(testing.TB) (string, func()) {
			arn := fmt.Sprintf("arn:aws:iam::111122223333:role/Conformance-%d", next())
			w.IAM.AddPrincipal(arn)
			return arn, func() { w.IAM.DeletePrincipal(arn) }
		},
		SetPlan: func(t testing.TB, name grant.Name, value string) {
			if err := w.Parameters.Put(name.Parameter(), value); err != nil {
				t.Fatal(err)
			}
		},
		Settle: func() {},
	}
}

// TestTheEmbeddedAWSDoesWhatAWSDocuments runs the suite that an emulator has to pass too.
func TestTheEmbeddedAWSDoesWhatAWSDocuments(t *testing.T) {
	for _, c := range conformance.All() {
		t.Run(c.Name, func(t *testing.T) { c.Check(t, account(sim.New(sim.Config{}))) })
	}
}

// tally counts failures instead of failing.
type tally struct {
	testing.TB
	failed bool
}

func (c *tally) Error(...any)          { c.failed = true }
func (c *tally) Errorf(string, ...any) { c.failed = true }
func (c *tally) Fatalf(string, ...any) { c.failed = true; runtime.Goexit() }

func TestTheSuiteNoticesAServiceThatIsTooLenient(t *testing.T) {
	w := sim.New(sim.Config{})
	a := account(w)
	a.Versions, a.Roles = lenientVersions{w.Secrets}, lenientRoles{w.IAM}
	failed := map[string]bool{}
	for _, c := range conformance.All() {
		count := &tally{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Check(count, a)
		}()
		<-done
		if count.failed {
			failed[c.Name] = true
		}
	}
	for _, name := range []string{
		"a label that is attached elsewhere needs RemoveFromVersionId",
		"a trust policy with a hyphen in a Sid is malformed",
		"a trust policy with another service's action is malformed",
	} {
		if !failed[name] {
			t.Errorf("%q passes where everything is taken", name)
		}
	}
	if failed["a tag leaves the others alone"] {
		t.Error("a case fails that has nothing to do with it")
	}
}

// lenientVersions moves labels wherever they are.
type lenientVersions struct{ *sim.Secrets }

func (l lenientVersions) MoveStage(ctx context.Context, secretARN, stage, to, from string) error {
	if from == "" {
		if s, err := l.Describe(ctx, secretARN); err == nil {
			from = s.At(stage)
		}
	}
	return l.Secrets.MoveStage(ctx, secretARN, stage, to, from)
}

// lenientRoles says that every write of a trust policy worked.
type lenientRoles struct{ *sim.IAM }

func (l lenientRoles) SetTrust(ctx context.Context, roleName string, document []byte) error {
	_ = l.IAM.SetTrust(ctx, roleName, document)
	return nil
}
