package simtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// Options narrow a run down. The zero value is the run as its seed gives it.
type Options struct {
	Without map[string]bool // actors and kinds of trouble that are left out
	Calm    map[string]bool // calls that nothing happens to, by their mark
	Tell    func(Line)      // gets the story; nil: nobody listens

	mutate func(*World) // tests only: breaks something that the invariants must notice
}

// Result is what came of a run.
type Result struct {
	Seed      uint64
	Violation *Violation // nil: none
	Coverage
}

// Period is how often reconcile looks at every grant by itself.
const Period = time.Hour

// most bounds the steps of a run: one that doesn't end is a violation too.
const most = 20_000

// Shop is what the runs of one goroutine share: documents that were read and judged already.
type Shop struct {
	policies *sim.PolicyCache
	judge    judge
	founded  map[foundation]*founded
}

// NewShop makes an empty one.
func NewShop() *Shop {
	return &Shop{
		policies: sim.NewPolicyCache(), judge: judge{map[*trust.Document]*verdicts{}},
		founded: map[foundation]*founded{},
	}
}

// trim forgets between two runs what there is much of. Few documents are seen in two runs, and a small heap is a fast one.
func (s *Shop) trim() {
	const most = 500
	s.policies.Trim(most)
	if len(s.judge.known) > most {
		clear(s.judge.known)
	}
}

// run is one run under way.
type run struct {
	*World
	Options
	dice
	shop    *Shop
	ctx     context.Context
	profile profile
	plan    grant.Plan
	weather weather
	watch   *watch
	turns   []*turn
	started map[string]int // processes of a name so far
	writes  int            // of IAM, for their lags
	began   time.Time      // when the actors came
	over    bool           // nothing goes wrong any more, and actors end
	locked  bool           // the key is disabled
	logged  []byte         // see log
	last    *turn
	Coverage
}

// turn is a process and what the dice say of its next call.
type turn struct {
	process *sim.Process
	actor   int // of everybody
	mark    dice
	name    string // of the process, to be told and shrunk by: provider#1
	calls   int
	key     uint64
}

// Run runs a seed.
func (s *Shop) Run(seed uint64, o Options) Result {
	s.trim()
	r := &run{Options: o, dice: dice(seed), shop: s, ctx: context.Background(), started: map[string]int{}}
	r.profile = profileOf(r.dice)
	r.plan = r.profile.plan
	r.World = New(Config{
		Log: r.log(),
		AWS: sim.Config{
			Seed: seed, Replicas: replicas, Lag: r.lag, Observe: func(s sim.Seen) { r.watch.saw(s) }, Forget: true, Policies: s.policies,
		},
		Period: Period, Workers: true,
	})
	r.watch = newWatch(r)
	r.looking = r.watch.looks
	err := r.found()
	if err == nil {
		err = r.set()
	}
	if err == nil {
		err = r.play()
	}
	if err == nil {
		err = r.watch.converged()
	}
	if err == nil {
		err = r.leave()
	}
	for _, p := range r.Processes() {
		p.Kill()
	}
	result := Result{Seed: seed, Coverage: r.Coverage}
	if v := (*Violation)(nil); errors.As(err, &v) {
		v.Seed, result.Violation = seed, v
	} else if err != nil {
		result.Violation = &Violation{Seed: seed, Step: r.Steps, Invariant: "setting up", What: err.Error()}
	}
	return result
}

// log is where the functions log: in one run of eight to somebody who looks for external IDs there (I7), which takes time.
func (r *run) log() *slog.Logger {
	if !r.on("log").chance(1. / 8) {
		return nil
	}
	return slog.New(slog.NewJSONHandler(ear{r}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// ear hears what is logged. It is searched at the end, when all external IDs are known.
type ear struct{ *run }

// Write hears a line.
func (e ear) Write(line []byte) (int, error) {
	e.Lines++
	e.logged = append(e.logged, line...)
	return len(line), nil
}

// lag is how long one write takes to one replica. In the calm at the end, and while all is set up, it is at once.
func (r *run) lag(replica int) time.Duration {
	if r.weather.lag == 0 || r.over {
		return 0
	}
	r.writes++
	return r.on("lag").nth(r.writes).between(0, r.weather.lag)
}

// set lets the actors come.
func (r *run) set() error {
	if r.mutate != nil {
		r.mutate(r.World)
	}
	r.began = r.Now()
	r.weather = forecast(r.dice, r.began, r.profile.span)
	r.Receiver.Behave = r.answers
	for t := range troubles {
		if r.Without[t.String()] {
			r.weather.rates[t], r.weather.outages[t] = 0, nil
		}
	}
	if twice := r.weather.rates[MessageTwice]; twice > 0 {
		sent := 0
		r.Queue(CheckQueue).Copies = func([]byte) []time.Duration {
			sent++
			of := r.on("copies").nth(sent)
			copies := []time.Duration{of.between(0, time.Minute)}
			if of.nth(1).chance(twice) {
				r.Troubles[MessageTwice]++
				copies = append(copies, of.nth(2).between(0, 10*time.Minute))
			}
			return copies
		}
	}
	for i, present := range r.profile.present {
		if present && !r.Without[everybody[i].name] {
			r.Actors++
		}
	}
	for i := range crowd {
		a := &everybody[i]
		if a.act == nil || r.Without[a.name] || !r.profile.present[i] {
			continue
		}
		r.start(a.name, func(ctx context.Context) error {
			return a.act(&acting{run: r, ctx: ctx, dice: r.on(a.name)})
		})
	}
	return nil
}

// start starts a process.
func (r *run) start(name string, act func(context.Context) error) {
	r.started[name]++
	t := &turn{actor: actorOf(name), name: fmt.Sprintf("%s#%d", name, r.started[name])}
	t.mark = r.on(t.name)
	t.process = r.Go(r.ctx, name, act)
	r.turns = append(r.turns, t)
	t.next()
}

// next shuffles the cards for the process's next call.
func (t *turn) next() {
	t.calls++
	t.key = uint64(t.mark.nth(t.calls).on("turn"))
}

// play lets the actors act until their time is over, and then everything come to rest.
func (r *run) play() error {
	end := r.Now().Add(r.profile.span)
	jumps := 0
	for r.Steps < most {
		if !r.over && !r.Now().Before(end) {
			r.calm()
			end = r.Now().Add(2*Period + 10*time.Minute)
		}
		r.key()
		for _, task := range r.Due() {
			r.start(task.Name, task.Run)
		}
		t, wake := r.choose(end)
		if t == nil {
			if r.over && !r.Now().Before(end) {
				return nil
			}
			if jump := r.on("jump").nth(jumps); !r.over && !r.Without[ClockJump.String()] && r.profile.jumps && jump.chance(0.02) {
				wake = wake.Add(jump.nth(1).between(time.Second, 20*time.Minute))
				r.Troubles[ClockJump]++
				r.watch.slowed()
			}
			jumps++
			if err := r.wait(wake); err != nil {
				return err
			}
			continue
		}
		if err := r.step(t); err != nil {
			return err
		}
	}
	return r.watch.violated("I6", "after %d steps there is still no end", r.Steps)
}

// choose is whose turn it is: of those who can go on the one with the lowest card. With nobody there the clock moves to wake.
func (r *run) choose(end time.Time) (t *turn, wake time.Time) {
	wake = end
	for _, one := range r.turns {
		switch until, waits := one.process.Waits(); {
		case waits && until.After(r.Now()):
			if until.Before(wake) {
				wake = until
			}
		case t == nil || one.key < t.key || one.key == t.key && one.name < t.name:
			t = one
		}
	}
	if t == nil {
		if at, ok := r.NextDue(); ok && at.Before(wake) {
			wake = at
		}
		return nil, wake
	}
	if r.profile.sticky > 0 && r.last != nil && slices.Contains(r.turns, r.last) && r.last.mark.nth(r.last.calls).on("stay").chance(r.profile.sticky) {
		if until, waits := r.last.process.Waits(); !waits || !until.After(r.Now()) {
			t = r.last
		}
	}
	return t, wake
}

// wait is a step in which only the clock moves.
func (r *run) wait(until time.Time) error {
	r.Steps++
	if d := until.Sub(r.Now()); d > 0 {
		r.Advance(d)
	}
	return r.watch.check()
}

// step gives a process its turn, and asks the promises.
func (r *run) step(t *turn) error {
	r.act(t)
	if r.watch.violation != nil {
		return r.watch.violation
	}
	return r.watch.check()
}

// act gives a process its turn.
func (r *run) act(t *turn) {
	call, calls := t.process.Call()
	var outcome sim.Outcome
	if calls {
		r.Steps++
		r.Calls++
		if !r.over && (len(r.Calm) == 0 || !r.Calm[t.callName()]) {
			var trouble Trouble
			var struck bool
			if outcome, trouble, struck = r.weather.struck(call, t.mark.nth(t.calls), r.Now()); struck {
				r.Troubles[trouble]++
				r.Struck = append(r.Struck, t.callName())
			}
		}
		if r.last != nil {
			r.Pairs[r.last.actor][t.actor]++
		}
		r.last = t
	}
	t.process.Resume(outcome)
	t.next()
	if ended, _ := t.process.Ended(); ended {
		r.turns = slices.DeleteFunc(r.turns, func(one *turn) bool { return one == t })
	}
}

// callName is by which Options.Calm knows the call that the process stands before.
func (t *turn) callName() string { return fmt.Sprintf("%s/%d", t.name, t.calls) }

// key disables the secrets' key while the weather says so.
func (r *run) key() {
	if len(r.weather.outages[KeyDisabled]) == 0 {
		return
	}
	down := !r.over && r.weather.down(KeyDisabled, r.Now())
	if down && !r.locked {
		r.Troubles[KeyDisabled]++
	}
	r.locked = down
	r.Secrets.SetKey(simulatedKey, !down)
}

// calm ends all trouble and lets the actors end.
func (r *run) calm() {
	r.over = true
}
