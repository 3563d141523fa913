package adopt_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/adopt"
	"github.com/countersign/countersign/internal/adopt/adopttest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

var runs = flag.Int("adoptions", 60, "runs of the simulation of adopting and giving back")

// span is how long the actors of a run act; rest is how long nothing goes wrong behind them.
const (
	span = 5 * 24 * time.Hour
	rest = 3 * time.Hour
)

// life is a run: an adopted role whose owner's tool puts its trust policy back again and again, an operator who gives it back
// and adopts it anew, revokes it and restores it, the schedule, the timer, and calls that fail or lose their answer.
type life struct {
	*account
	dice     *rand.Rand
	over     bool
	state    []byte    // what the owner's tool knows
	free     bool      // the owner's tool, or a restore, wrote what no reconciliation has looked at yet
	mark     time.Time // since when the role is its owner's; zero: it isn't
	last     string    // the ID with which it was given back
	shut     bool      // revoked, and nobody has asked to open it
	counts   map[string]int
	broken   string
	original []string // foreign statements
}

// TestNoRunOfAnAdoptionBreaksAPromise asks at every call:
//
//	A1  the provider enters, with the ID that the secret calls current or the one before; and, once the role is given back, with
//	    the ID with which it was
//	A2  nobody enters without an ID, and no stranger
//	A3  what is revoked stays closed until a restore or a release that opens
//	A4  once the role is given back, nothing of ours writes its trust policy, but a step that began before
//	A5  no write of ours changes a statement that isn't ours
//	A6  in the end the role is wholly ours or wholly its owner's
//
// Not asked: A1 from a write by the owner's tool until a reconciliation that began behind it has ended well, and while closed.
func TestNoRunOfAnAdoptionBreaksAPromise(t *testing.T) {
	total := map[string]int{}
	for seed := range uint64(*runs) {
		l := newLife(t, seed)
		l.run()
		for k, n := range l.counts {
			total[k] += n
		}
		if l.broken != "" {
			t.Fatalf("seed %d, %s", seed, l.broken)
		}
	}
	t.Logf("%d runs: %v", *runs, total)
	for _, what := range []string{"released", "adopted anew", "reverted", "revoked", "opened", "rotated", "faults"} {
		if total[what] == 0 && *runs >= 60 {
			t.Errorf("never happened: %s", what)
		}
	}
}

func newLife(t *testing.T, seed uint64) *life {
	a := newAccount(t, []byte(plain))
	a.adopted()
	l := &life{account: a, dice: rand.New(rand.NewPCG(seed, 19)), counts: map[string]int{}, state: bytes.Clone(a.live().Trust.Bytes())}
	var err error
	l.original, err = adopttest.Foreign(l.state, adopttest.ID)
	a.must(err)
	return l
}

func (l *life) breaks(format string, args ...any) {
	if l.broken == "" {
		l.broken = l.Now().Format(time.DateTime) + ": " + fmt.Sprintf(format, args...)
	}
}

// sometimes goes on at moments between lo and hi, until the run is over.
func (l *life) sometimes(name string, lo, hi time.Duration, act func(ctx context.Context)) {
	l.Go(sim.As(l.ctx, name), name, func(ctx context.Context) error {
		for !l.over {
			if err := l.Wait(ctx, lo+time.Duration(l.dice.Int64N(int64(hi-lo)))); err != nil {
				return err
			}
			if !l.over {
				act(ctx)
			}
		}
		return nil
	})
}

func (l *life) run() {
	l.Schedule = func(c sim.Call) sim.Outcome {
		quiet := l.Schedule
		l.Schedule = nil
		l.check()
		l.Schedule = quiet
		if l.over || l.dice.IntN(40) > 0 || c.Actor == "setup" {
			return sim.Outcome{}
		}
		l.counts["faults"]++
		return sim.Outcome{Fault: []sim.Fault{sim.Fail, sim.Lose}[l.dice.IntN(2)]}
	}
	l.Rotator.Roles, l.Reconciler.Roles = watched{l.IAM, l, "rotate"}, watched{l.IAM, l, "reconcile"}
	l.sometimes("timer", 50*time.Minute, 70*time.Minute, func(ctx context.Context) { l.look(ctx) })
	l.sometimes("schedule", 3*time.Hour, 9*time.Hour, func(ctx context.Context) {
		if l.Secrets.Rotate(ctx, l.plan.SecretARN, fmt.Sprintf("rotate-%032x", l.dice.Uint64())) == nil {
			l.counts["rotated"]++
		}
	})
	l.sometimes("terraform", 5*time.Hour, 20*time.Hour, l.reverts)
	l.sometimes("operator", 4*time.Hour, 16*time.Hour, l.operates)
	l.RunUntil(l.ctx, l.Now().Add(span), l.AnyOrder())
	l.over = true
	l.RunUntil(l.ctx, l.Now().Add(rest), l.AnyOrder())
	l.Schedule = nil
	if live := l.live(); l.mark.IsZero() == live.Released() || !l.mark.IsZero() && len(live.Tags) > 1 {
		l.givesAndTakes(l.ctx) // a release, or an adoption, that was cut off: run again
	}
	l.look(l.ctx)
	l.look(l.ctx)
	l.ends()
}

func (l *life) look(ctx context.Context) {
	before := l.counts["reverted"]
	if state, err := l.Reconcile(ctx, l.plan.Grant); err == nil && state != reconcile.Released && before == l.counts["reverted"] {
		l.free = false
	}
}

// reverts is one apply of the owner's tool.
func (l *life) reverts(ctx context.Context) {
	role, err := l.IAM.Role(ctx, "NorthwindAccess")
	if err != nil || bytes.Equal(role.Trust, l.state) {
		return
	}
	if !l.mark.IsZero() && l.dice.IntN(2) == 0 { // it is the owner's: the tool learns what stands there
		l.state = role.Trust
		return
	}
	l.free = true // lost answers count
	if l.IAM.SetTrust(ctx, "NorthwindAccess", l.state) == nil {
		l.counts["reverted"]++
	}
}

// operates is one act of the operator's.
func (l *life) operates(ctx context.Context) {
	switch n := l.dice.IntN(10); {
	case !l.mark.IsZero() || n < 5:
		l.givesAndTakes(ctx)
	case n < 7:
		if _, err := l.Revoke(ctx, l.plan.Grant, "project ended"); err == nil {
			l.counts["revoked"]++
			l.shut = true
		}
	default:
		if s, err := l.Status(ctx, l.plan.Grant); err == nil && s.RevokeID != "" {
			l.free, l.shut = true, false // opens once its ID is in
			_, _ = l.Restore(ctx, l.plan.Grant, s.RevokeID, "it goes on")
		}
	}
}

// givesAndTakes gives the role back, or adopts it anew.
func (l *life) givesAndTakes(ctx context.Context) {
	if l.mark.IsZero() {
		l.free = l.free || l.closed()
		terms, was := adopt.Terms{EndPrevious: true, Open: l.dice.IntN(2) == 0}, l.closed()
		l.shut = l.shut && !terms.Open
		given, err := l.release().Do(ctx, l.plan, terms)
		if err == nil && was && !given.Closed {
			l.counts["opened"]++
		}
		if err == nil && !given.Closed {
			l.counts["released"]++
			l.mark, l.last, l.free = l.Now(), given.ExternalID.Reveal(), false
			l.free = given.ExternalID.IsZero() // its owner's tool was there already
		}
		if err == nil && given.Closed {
			l.counts["kept closed"]++
		}
		return
	}
	live, err := adopt.Look(ctx, l.IAM, roleARN)
	if err != nil {
		return
	}
	accepted := live.Trust.Accepted()
	if len(accepted) != 1 {
		l.breaks("A6: given back, it accepts %d IDs", len(accepted))
		return
	}
	id, err := grant.ParseID(accepted[0].ID)
	l.must(err)
	mark := l.mark
	l.mark = time.Time{}
	if _, err := (adopt.Hand{Secrets: l.Secrets, Roles: l.IAM}).Over(ctx, l.plan, live, id); err != nil {
		if errors.Is(err, grant.ErrDrift) || errors.Is(err, grant.ErrForeignValue) {
			l.breaks("A6: not adopted again: %v", err)
		}
		if live, err := adopt.Look(sim.As(l.ctx, "setup"), l.IAM, roleARN); err == nil && live.Released() {
			l.mark = mark
		}
		return
	}
	l.counts["adopted anew"]++
}

func (l *life) closed() bool {
	return l.IAM.ShownRevocation("NorthwindAccess", 0).Denies || l.IAM.Shown("NorthwindAccess", 0).Closed()
}

// check asks A1, A2 and A3.
func (l *life) check() {
	lets := func(who, id string) bool {
		return l.STS.Verdict(who, roleARN, id, "jdoe", sim.Assume{}).Effect == "allow"
	}
	if lets("arn:aws:iam::999900001111:role/Engineers-eve", l.last) || lets(l.caller, "") {
		l.breaks("A2: somebody else enters")
	}
	if l.shut && !l.closed() {
		l.breaks("A3: revoked, and open")
	}
	if l.closed() || l.free {
		return
	}
	if !l.mark.IsZero() {
		if !lets(l.caller, l.last) {
			l.breaks("A1: given back, and the provider is out")
		}
		return
	}
	in := false
	for _, stage := range []string{grant.StageCurrent, grant.StagePrevious} {
		version, value := l.Secrets.Labelled(l.plan.SecretARN, stage)
		if id, err := l.plan.DecodeVersion(grant.Version{ID: version, Value: value}); err == nil {
			in = in || lets(l.caller, id.Reveal())
		}
	}
	if !in {
		l.breaks("A1: the provider is out")
	}
}

// ends asks A6.
func (l *life) ends() {
	live, err := adopt.Look(sim.As(l.ctx, "setup"), l.IAM, roleARN)
	l.must(err)
	if l.mark.IsZero() != !live.Released() && !l.closed() {
		l.breaks("A6: its owner's: %v, and marked so: %v", !l.mark.IsZero(), live.Released())
	}
	if !l.mark.IsZero() && (len(live.Tags) != 1 || len(live.Trust.Accepted()) != 1) {
		l.breaks("A6: given back with tags %v and IDs %v", live.Tags, live.Trust.Accepted())
	}
	if !l.closed() {
		if l.free && l.mark.IsZero() {
			l.breaks("A6: no reconciliation has ended well since somebody else wrote the trust policy")
		}
		l.check()
	}
}

// watched is IAM for a function: its writes of the trust policy are judged.
type watched struct {
	*sim.IAM
	l    *life
	name string
}

// grace is how long a step that looked before the role was given back may go on writing.
const grace = 5 * time.Minute

func (w watched) SetTrust(ctx context.Context, name string, document []byte) error {
	if at := w.l.mark; !at.IsZero() && w.l.Now().Sub(at) > grace && !w.l.closed() {
		w.l.breaks("A4: %s writes a trust policy that was given back at %s", w.name, at.Format(time.TimeOnly))
	}
	doc := mustParse(document)
	var all []string
	for _, a := range doc.Accepted() {
		all = append(all, a.ID)
	}
	got, err := adopttest.Foreign(document, all...)
	if err != nil || len(got) != len(w.l.original) {
		w.l.breaks("A5: %s changes what isn't ours: %d statements, %v", w.name, len(got), err)
	}
	if slices.Contains(all, "") {
		w.l.breaks("A5: an empty ID")
	}
	return w.IAM.SetTrust(ctx, name, document)
}

func mustParse(document []byte) *trust.Document {
	doc, err := trust.Parse(document)
	if err != nil {
		panic(err)
	}
	return doc
}
