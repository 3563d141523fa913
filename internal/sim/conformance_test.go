package sim_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/sim/conformance"
)

const stranger = "999900001111"

func account(w *sim.World) conformance.Account {
	const engineer = "arn:aws:iam::111122223333:user/engineer"
	n := 0
	next := func() string { n++; return fmt.Sprintf("Conformance-%d", n) }
	newRole := func(t testing.TB, trust string, o sim.RoleOptions) string {
		t.Helper()
		name := next()
		if _, err := w.IAM.CreateRole(name, []byte(trust), o); err != nil {
			t.Fatal(err)
		}
		return name
	}
	newSecret := func(t testing.TB, key, value string) string {
		t.Helper()
		arn, err := w.Secrets.Create(next(), key, []byte(value), nil)
		if err != nil {
			t.Fatal(err)
		}
		return arn
	}
	ok := func(t testing.TB, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	bus := w.Bus("conformance")
	return conformance.Account{
		ID: w.Account(), Provider: "111122223333",
		Roles: w.IAM, Inline: w.IAM, Versions: w.Secrets, Secrets: w.Secrets, Plans: w.Parameters, Stacks: w.Stacks,
		Publish: w.Topics.Publish, Outputs: w.Stacks.Outputs,
		Engineer: user{w, engineer}, Stranger: user{w, "arn:aws:iam::" + stranger + ":user/mallory"},
		Bus: entryway{bus, ""}, ForeignBus: entryway{bus, engineer},
		Archived: func(t testing.TB, detailType string) events.Envelope {
			for _, e := range bus.Archive() {
				if string(e.DetailType) == detailType {
					return e
				}
			}
			t.Fatalf("no event %q", detailType)
			return events.Envelope{}
		},
		NewRole: func(t testing.TB, trust string, maxSession time.Duration) string {
			return newRole(t, trust, sim.RoleOptions{Path: grant.DefaultRolePath, MaxSession: maxSession})
		},
		NewLinkedRole: func(t testing.TB) string {
			return newRole(t, conformance.Closed, sim.RoleOptions{Path: "/aws-service-role/", ServiceLinked: true})
		},
		NewSecret: func(t testing.TB, value string, rotates bool) string {
			arn := newSecret(t, "", value)
			if rotates {
				ok(t, w.Secrets.EnableRotation(arn, 0, 0))
			}
			return arn
		},
		NewKeyedSecret: func(t testing.TB, value string) (string, func(bool)) {
			key := "arn:aws:kms:eu-central-1:444455556666:key/" + next()
			return newSecret(t, key, value), func(enabled bool) { w.Secrets.SetKey(key, enabled) }
		},
		Delete:  func(t testing.TB, arn string) { ok(t, w.Secrets.Delete(arn)) },
		Restore: func(t testing.TB, arn string) { ok(t, w.Secrets.Restore(arn)) },
		NewPrincipal: func(testing.TB) conformance.Roled {
			arn := "arn:aws:iam::111122223333:role/" + next()
			w.IAM.AddPrincipal(arn)
			return conformance.Roled{ARN: arn, Remove: func() { w.IAM.DeletePrincipal(arn) }, Remake: func() { w.IAM.AddPrincipal(arn) }}
		},
		NewTopic: func(testing.TB) string {
			arn := "arn:aws:sns:eu-central-1:444455556666:" + next()
			w.Topics.Create(arn)
			return arn
		},
		NewQueue: func(testing.TB) conformance.Queue {
			q := w.Queue(next())
			q.Configure(2*time.Second, nil, 0)
			return queue{q}
		},
		NewStack: func(t testing.TB) (string, func() error, func() error) {
			name := next()
			w.Stacks.Stands(name)
			return w.Stacks.ARN(name), func() error { return w.Stacks.Delete(t.Context(), name) }, func() error { return w.Stacks.Unprotect(t.Context(), name) }
		},
		SetParameter: func(_ context.Context, name, value string) error { return w.Parameters.Put(name, value) },
		Now:          w.Now, Pass: w.Advance, Settle: func() {},
	}
}

// user is somebody with an IAM user's credentials.
type user struct {
	w   *sim.World
	arn string
}

func (u user) Enter(ctx context.Context, e conformance.Entry) (conformance.Session, error) {
	return enterAs(ctx, u.w, u.arn, nil, e)
}

func enterAs(ctx context.Context, w *sim.World, arn string, from *sim.Session, e conformance.Entry) (conformance.Session, error) {
	s, err := w.STS.AssumeRole(ctx, arn, e.RoleARN, e.ExternalID, e.SessionName, sim.Assume{Duration: e.Duration, SourceIdentity: e.SourceIdentity, From: from})
	if err != nil {
		return nil, err
	}
	return session{w, s}, nil
}

type session struct {
	w *sim.World
	*sim.Session
}

func (s session) Enter(ctx context.Context, e conformance.Entry) (conformance.Session, error) {
	return enterAs(ctx, s.w, s.ARN, s.Session, e)
}

func (s session) Caller(ctx context.Context) (account, arn string, err error) {
	if err := s.Do(ctx, "sts:GetCallerIdentity", "*"); err != nil {
		return "", "", err
	}
	return s.w.STS.Caller(sim.AsPrincipal(ctx, "session", s.ARN))
}

func (s session) ReadRole(ctx context.Context, roleName string) error {
	return s.Do(ctx, "iam:GetRole", "arn:aws:iam::"+s.w.Account()+":role"+grant.DefaultRolePath+roleName)
}

// queue is a queue as its consumer sees it.
type queue struct{ *sim.Queue }

func (q queue) Receive(context.Context) (out []conformance.Received, err error) {
	for _, m := range q.Queue.Receive(10) {
		out = append(out, conformance.Received{Receipt: m.Receipt, Body: string(m.Body), Receives: m.Receives})
	}
	return out, nil
}

// entryway puts entries as one principal; "" is one of the customer's account.
type entryway struct {
	bus *sim.Bus
	arn string
}

func (e entryway) PutEntry(ctx context.Context, source, detailType, detail string) error {
	return e.bus.PutEnvelope(sim.AsPrincipal(ctx, "sender", e.arn), events.Envelope{Source: source, DetailType: events.Type(detailType), Detail: []byte(detail)})
}

// TestTheEmbeddedAWSDoesWhatAWSDocuments runs the suite that an emulator has to pass too.
func TestTheEmbeddedAWSDoesWhatAWSDocuments(t *testing.T) {
	for _, c := range conformance.All() {
		t.Run(c.Name, func(t *testing.T) { c.Check(t, account(sim.New(sim.Config{}))) })
	}
}

func TestTheSuiteNoticesAServiceThatIsTooLenient(t *testing.T) {
	w := sim.New(sim.Config{})
	a := account(w)
	a.Versions, a.Roles, a.Engineer = lenientVersions{w.Secrets}, lenientRoles{w.IAM}, lenientUser{a.Engineer}
	failed := map[string]bool{}
	for _, c := range conformance.All() {
		failed[c.Name] = len(conformance.Run(t, c, a)) > 0
	}
	for _, name := range []string{
		"a label that is attached elsewhere needs RemoveFromVersionId",
		"a trust policy with a hyphen in a Sid is malformed",
		"a trust policy with another service's action is malformed",
		"the external ID opens the role, and nothing else does",
		"an external ID has 2 to 1,224 characters of a set",
	} {
		if !failed[name] {
			t.Errorf("%q passes where everything is taken", name)
		}
	}
	if failed["a tag leaves the others alone"] {
		t.Error("a case fails that has nothing to do with it")
	}
}

// lenientUser gets in with whatever ID it says, as long as the right one would do.
type lenientUser struct{ conformance.Principal }

func (l lenientUser) Enter(ctx context.Context, e conformance.Entry) (conformance.Session, error) {
	e.ExternalID = "ExternalIdExternalIdExternalId01"
	return l.Principal.Enter(ctx, e)
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
