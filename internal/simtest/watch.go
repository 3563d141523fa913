package simtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// Violation is a promise that was broken.
type Violation struct {
	Seed      uint64
	Step      int
	At        time.Time
	Invariant string
	What      string
}

// Error is the violation in one line.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d, step %d, %s: %s: %s", v.Seed, v.Step, v.At.Format(time.DateTime), v.Invariant, v.What)
}

// watch sees every call and remembers what the invariants (invariants.go) need: what was promised to whom, by their own
// account of what happened and not by what tags, labels or the functions say.
type watch struct {
	*run
	violation *Violation

	plan    grant.Plan // as the parameter has it
	role    string     // name of the plan's role, which no deploy changes
	open    bool       // the grant was opened
	views   [1 + replicas]*verdicts
	lapses  [1 + replicas]time.Time // until when a view may lag behind something that excuses it
	ids     map[string]*made
	valued  map[string]string // the ID of each version that has a value
	current string            // the ID at AWSCURRENT, previous that at AWSPREVIOUS; of labels that the forger moved too
	before  string

	mislabelled bool // the forger moved a label
	deleted     bool // somebody whom the trust policy names was deleted

	byHand               // whether the trust policy is somebody else's
	revocation           // what of it stands
	asking               // what operators asked for
	post                 // what destinations were told
	confirming           // what was confirmed
	keeping              // whether the stack can be deleted
	revokes    []revoked // what operators were told
	mistagged  bool      // the forger tagged what only tags tell: who confirmed, and what was to stay until somebody does

	reads     map[*sim.Process]*verdicts // the trust policy that each process read last
	readStale map[*sim.Process]bool
	since     map[*sim.Process]int // calls of it since then
	documents [][]byte             // every trust policy of ours so far
	promoted  []string             // versions that became current while nothing said closed
}

// made is an external ID of ours.
type made struct {
	version string
	current bool      // it was current once
	let     bool      // a trust policy has accepted it
	ends    time.Time // the earliest deadline that we ever wrote for it; zero: none
	promise time.Time // the overlap from the moment in which the label moved away from it; zero: it didn't
	over    bool      // it was taken out of an open trust policy by us, or its deadline has passed
	byHand  bool      // somebody else wrote it back afterwards
	cutBy   string    // the rotation of a leaked ID that took it out before its time; given up, its time counts again
}

// revoked is a revocation that an operator was told is done.
type revoked struct {
	id  string
	at  time.Time // when the grant was opened last before it: another revocation since then says as much
	due bool      // a reconciliation has ended well behind it: it must have been announced
}

// limit is when the ID ends at the latest. A deadline may be worked out from the version's date, some seconds before the one
// that was promised when the label moved; both may be met again where an older document is put back.
func (m *made) limit() time.Time { return later(m.ends, m.promise) }

func newWatch(r *run) *watch {
	return &watch{
		run: r, plan: r.plan, role: r.plan.RoleName(), ids: map[string]*made{}, valued: map[string]string{},
		reads: map[*sim.Process]*verdicts{}, readStale: map[*sim.Process]bool{}, since: map[*sim.Process]int{},
		byHand:     byHand{under: map[*sim.Process]*look{}},
		revocation: revocation{asked: map[string]bool{}, denyRead: map[*sim.Process]string{}},
		asking:     newAsking(asking{}),
		post:       newPost(),
		confirming: newConfirming(confirming{}),
	}
}

// remember takes over what another one has seen.
func (w *watch) remember(o *watch) {
	run := w.run
	*w = *o
	w.run = run
	w.ids = make(map[string]*made, len(o.ids))
	for id, m := range o.ids {
		one := *m
		w.ids[id] = &one
	}
	w.valued = maps.Clone(o.valued)
	w.asked, w.denyRead = maps.Clone(o.asked), map[*sim.Process]string{}
	w.asking, w.post, w.confirming = newAsking(o.asking), newPost(), newConfirming(o.confirming)
	w.since, w.under = map[*sim.Process]int{}, map[*sim.Process]*look{}
	w.reads, w.readStale = map[*sim.Process]*verdicts{}, map[*sim.Process]bool{}
	w.documents, w.promoted, w.revokes = slices.Clip(o.documents), slices.Clip(o.promoted), slices.Clone(o.revokes)
}

func (w *watch) violated(invariant, format string, args ...any) error {
	if w.violation == nil {
		w.violation = &Violation{Step: w.Steps, At: w.Now(), Invariant: invariant, What: fmt.Sprintf(format, args...)}
	}
	return w.violation
}

// begin takes stock once the grant is open and before anybody acts.
func (w *watch) begin() {
	w.open, w.Rotations = true, 0
	for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
		w.value(v)
	}
	w.labels("", nil)
	w.view()
	w.documents = append(w.documents, w.views[0].doc.Bytes())
	for _, a := range w.views[0].accepted {
		w.ids[a].current, w.ids[a].let = true, true
	}
}

func (w *watch) value(v grant.Version) {
	if _, known := w.valued[v.ID]; known || v.Value == nil {
		return
	}
	id := externalID(v.Value)
	w.valued[v.ID] = id
	if id != "" && w.ids[id] == nil {
		w.ids[id] = &made{version: v.ID}
	}
}

// labels notes what is current and previous.
func (w *watch) labels(actor string, p *sim.Process) {
	version, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StageCurrent)
	id := w.valued[version]
	if id != w.current {
		if m := w.ids[w.current]; m != nil && actor == "rotate" {
			m.promise = w.Now().Add(w.overlapOf(version, p)).Truncate(time.Second)
		}
		if m := w.ids[id]; m != nil {
			m.current = true
			if !w.closed() {
				w.promoted = append(w.promoted, version)
			}
		}
		if actor == "rotate" {
			w.Rotations++
			w.owes(w.version(w.current), version, p)
		} else if actor != "" {
			w.owed = "" // the forger moved it
		}
		if w.plan.OverlapOf(version) == 0 { // a replica may not know it yet, and the one before is no help
			w.excuse(Propagation)
		}
	}
	w.current = id
	version, _ = w.Secrets.Labelled(w.plan.SecretARN, grant.StagePrevious)
	w.before = w.valued[version]
	pending, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePending)
	for _, m := range w.ids {
		if m.cutBy != "" && m.cutBy != pending && m.cutBy != w.version(w.current) {
			m.over, m.cutBy = false, ""
		}
	}
}

// excuse lets the replicas, not the control plane, lag behind something for a while.
func (w *watch) excuse(d time.Duration) {
	for i := range w.lapses[1:] {
		w.lapses[i+1] = later(w.lapses[i+1], w.Now().Add(d))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// view looks at the trust policy as the control plane and each replica show it.
func (w *watch) view() {
	for i := range w.views {
		doc := w.IAM.Shown(w.role, i)
		if w.views[i] == nil || w.views[i].doc != doc {
			w.views[i] = w.shop.judge.of(doc)
		}
	}
}

// closed says whether any mark of a closed grant stands at the control plane.
func (w *watch) closed() bool {
	return w.denies(0) || w.views[0] != nil && w.views[0].closed || grant.ClosureOf(nil, nil, w.Secrets.Tags(w.plan.SecretARN)).Closed()
}

// deny is the revocation policy as a view shows it.
func (w *watch) deny(view int) grant.Revocation {
	return w.IAM.ShownRevocation(w.role, view)
}

// denies says whether the Deny of a revocation stands, as a view shows it.
func (w *watch) denies(view int) bool { return w.deny(view).Denies }

// saw is told of every call right after its service has dealt with it.
func (w *watch) saw(s sim.Seen) {
	if w.Tell != nil {
		w.tell(s)
	}
	if !w.open {
		return
	}
	w.since[s.Process]++
	w.attempted(s)
	w.noted(s)
	w.hinders(s)
	w.posted(s)
	switch s.Action {
	case "GetRole":
		if s.Done {
			w.since[s.Process] = 0
			w.reads[s.Process] = w.shop.judge.of(w.IAM.Shown(w.role, s.Replica))
			w.readStale[s.Process] = s.Replica > 0
		}
	case "UpdateAssumeRolePolicy":
		if s.Done {
			w.written(s)
		}
	case "GetRolePolicy":
		if s.Done && strings.HasSuffix(s.Resource, grant.RevocationPolicy) {
			w.denyRead[s.Process] = w.deny(s.Replica).RevokeID
		}
	case "PutRolePolicy":
		if s.Done && strings.HasSuffix(s.Resource, grant.RevocationPolicy) {
			w.denyWritten(s)
		}
	case "PutSecretValue":
		if s.Done {
			for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
				w.value(v)
			}
			w.labels(s.Actor, s.Process)
		}
	case "UpdateSecretVersionStage":
		if s.Done {
			w.mislabelled = w.mislabelled || s.Actor == "forger"
			w.labels(s.Actor, s.Process)
		}
	case "PutParameter":
		if plan, err := w.Parameters.Standing(w.plan.Grant); s.Done && err == nil {
			if plan.WhenUnconfirmed != w.plan.WhenUnconfirmed {
				w.owed, w.replanned = "", true
			}
			w.shortened = w.shortened || plan.Overlap != w.plan.Overlap
			w.plan, w.planned = plan, w.Steps
		}
	case "GetParameter":
		if s.Done {
			w.plans[s.Process] = w.plan
		}
	case "Invoke":
		if s.Answer != nil {
			w.told([]byte(s.Answer.Error()))
		}
	case "UpdateTerminationProtection":
		w.protected(s)
	case "PutEvents":
		if detail, ok := w.Bus(BusName).Last(); s.Done && ok {
			w.told(detail)
		}
	case "TagResource", "TagRole":
		for _, value := range w.Secrets.Tags(w.plan.SecretARN) {
			w.told([]byte(value))
		}
	}
}

// told searches for external IDs what was said where they don't belong (I7): events, tags, errors, mails, logs.
func (w *watch) told(text []byte) {
	for id := range w.ids {
		if random := id[len(prefix)+1:]; bytes.Contains(text, []byte(random[:12])) || bytes.Contains(text, []byte(random[20:])) {
			_ = w.violated("I7", "an external ID stands in %q", strings.ReplaceAll(string(text), random, "…"))
		}
	}
}

// older are the documents that a rollback may put back. On an adopted role only those that hold the current ID or the one
// before: Countersign refuses to guess where it belongs in any other, and says so.
func (w *watch) older() (list [][]byte) {
	if w.plan.Adopted && w.closed() {
		return nil // a restore could not find the new ID's place any more, and the grant would stay closed
	}
	for _, d := range w.documents {
		if !w.plan.Adopted || bytes.Contains(d, []byte(w.current)) || bytes.Contains(d, []byte(w.before)) {
			list = append(list, d)
		}
	}
	return list
}

// documentOf is the trust policy as the control plane has it.
func (w *watch) documentOf() *trust.Document { return w.views[0].doc }
