package trust

import (
	"slices"
	"time"
)

// wrongID is an external ID that no plan holds.
const wrongID = "countersign-no-such-id"

// Check proves by evaluation that a document, as read back after a write, does what its plan asked, at a given time:
// the plan's IDs get in; no ID, a wrong one and those that are over do not; nobody gets in whom the document before did
// not let in, but those of the plan. Countersign's own Denies are set aside for that; where the role is to be closed, the
// Deny must stand and must stop everybody. Its error is a *Refusal that says which of it failed.
func Check(before, after *Document, p Plan, at time.Time) error {
	if before == nil || after == nil {
		return refuse("", "there is no document")
	}
	c := checker{p: p, at: at, full: after}
	secret := slices.Concat(p.ids(), before.policy.ids, after.policy.ids)
	var err error
	if c.was, err = before.withoutDenies(); err == nil {
		c.open, err = after.withoutDenies()
	}
	if err != nil {
		return hidden(err, secret)
	}
	c.closed = p.Gate == Close || p.Gate == Keep && before.marked(SidClosed)
	for _, id := range append([]string{"", wrongID}, secret...) {
		if !slices.Contains(c.ids, id) { // most stand in the plan and in both documents
			c.ids = append(c.ids, id)
		}
	}
	for _, step := range []func() error{c.readPlan, c.gate, c.in, c.out} {
		if err := step(); err != nil {
			return hidden(err, secret)
		}
	}
	return nil
}

type checker struct {
	p               Plan
	at              time.Time
	was, open, full *Document // before and after without our Denies; after as it is
	plan            *Document // what the plan asks of a created role; nil otherwise
	closed          bool
	ids             []string
}

// readPlan builds what the plan alone would let in.
func (c *checker) readPlan() error {
	if c.p.Role == Adopted || checkPlan(c.p) != nil || checkCreated(c.p) != nil {
		return nil
	}
	c.plan = &Document{policy: policy{version: "2012-10-17"}}
	for _, b := range wanted(c.p) {
		_, s, err := readBlock(b)
		if err != nil {
			return err
		}
		c.plan.policy.statements = append(c.plan.policy.statements, *s)
	}
	return nil
}

// gate asserts the Denies.
func (c *checker) gate() error {
	switch {
	case c.closed && !c.full.Closed():
		return refuse("", "the role is to be closed, but %s doesn't deny everybody", SidClosed)
	case c.closed:
		return nil
	case c.full.marked(SidClosed):
		return refuse("", "the role is to be open, but %s stands in the document", SidClosed)
	case c.p.Role == Created && c.full.Born():
		return refuse("", "the role is to be open, but %s stands in the document", SidBorn)
	}
	return nil
}

// in asserts that the plan's IDs get in, our Denies aside.
func (c *checker) in() error {
	if c.p.Gate == Close || c.p.Current == "" && !c.p.NoExternalID {
		return nil
	}
	if c.p.Role == Adopted {
		return c.adoptedIn()
	}
	if c.plan == nil {
		return refuse("", "the plan can't be followed")
	}
	if c.closed && !c.open.marked(SidCurrent) {
		return nil // no room beside the Deny
	}
	for i := range c.plan.policy.statements {
		want := &c.plan.policy.statements[i]
		if !slices.ContainsFunc(c.open.policy.statements, func(s statement) bool { return s.meaning == want.meaning }) {
			return refuse(want.sid, "it is not in the document as the plan asks")
		}
		ids := ids(want)
		if len(ids) == 0 {
			ids = []string{""}
		}
		for _, q := range want.probes(c.at) {
			for _, id := range ids {
				q := q.with(id)
				if c.plan.Effect(q) != Allow {
					continue // not at this time
				}
				if v := c.open.Evaluate(q); v.Effect != Allow {
					return refuse(want.sid, "%s with %s should get in, and doesn't: %s", q.Principal, Fingerprint(id), v.Why[len(v.Why)-1])
				}
			}
		}
	}
	return nil
}

// adoptedIn asks of each statement that holds the current ID what it answered before: with the plan's IDs it must answer
// the same. What a sample can't meet, an MFA condition of another statement say, then counts on neither side.
func (c *checker) adoptedIn() error {
	found := false
	for i := range c.open.policy.statements {
		s := &c.open.policy.statements[i]
		if !foreign(s) || !slices.Contains(ids(s), c.p.Current) {
			continue
		}
		found = true
		if c.p.Pending != "" && !slices.Contains(ids(s), c.p.Pending) && c.coversAll(s) {
			return refuse(s.name(), "it holds the current ID and not the pending one")
		}
		for _, q := range s.probes(c.at) {
			entered := slices.ContainsFunc(c.p.ids(), func(id string) bool { return c.was.Effect(q.with(id)) == Allow })
			if !entered || !c.covers(q) {
				continue
			}
			for _, id := range []string{c.p.Current, c.p.Pending} {
				if id != "" && c.open.Effect(q.with(id)) != Allow {
					return refuse(s.name(), "%s with %s should get in, and doesn't", q.Principal, Fingerprint(id))
				}
			}
		}
	}
	if !found {
		return refuse("", "the current ID %s is in no statement", Fingerprint(c.p.Current))
	}
	return nil
}

// covers says whether a caller is one of the plan's.
func (c *checker) covers(q Request) bool {
	caller := readPrincipal(q.Principal)
	return len(c.p.Principals) == 0 || slices.ContainsFunc(c.p.Principals, func(raw string) bool {
		return readPrincipal(raw).matches(caller, "") == yes
	})
}

func (c *checker) coversAll(s *statement) bool {
	var who []principal
	for _, raw := range c.p.Principals {
		who = append(who, readPrincipal(raw))
	}
	return len(who) == 0 || !slices.ContainsFunc(s.principals.list, func(p principal) bool { return !p.coveredBy(who) })
}

// out asserts who must not get in.
func (c *checker) out() error {
	var asked []Request
	for _, d := range []*Document{c.was, c.open, c.plan} {
		if d == nil {
			continue
		}
		for i := range d.policy.statements {
			for _, q := range d.policy.statements[i].probes(c.at) {
				if slices.ContainsFunc(asked, q.same) {
					continue // most statements stand in all three
				}
				asked = append(asked, q)
				f := newFacts(q)
				f.silent = true
				for _, id := range c.ids {
					f.give(id)
					if err := c.judge(q, f, id); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// judge refuses one request that gets in although it must not. The ID is among its facts.
func (c *checker) judge(q Request, f *facts, id string) error {
	if c.closed && q.Action == ActionAssumeRole && c.full.evaluate(f).Effect != Deny {
		return refuse("", "the role is to be closed, but %s with %s is not denied", q.Principal, Fingerprint(id))
	}
	now := c.open.evaluate(f).Effect
	if now == Deny || c.planned(q, f, id, now) {
		return nil
	}
	before := c.was.evaluate(f).Effect
	switch {
	case now == Allow && before != Allow:
		return refuse("", "%s with %s gets in, whom neither the document before nor the plan lets in", q.Principal, Fingerprint(id))
	case now == Unknown && before == Deny:
		return refuse("", "%s with %s may get in, whom the document before kept out", q.Principal, Fingerprint(id))
	case now == Allow && c.p.Role == Created && c.p.Gate != Close && (id == "" || id == wrongID):
		return refuse("", "%s gets in with %s as external ID: a statement that isn't Countersign's allows it", q.Principal, Fingerprint(id))
	case now == Allow && c.p.Gate != Close && c.over(id) && c.covers(q) && c.open.Effect(q.with(wrongID)) != Allow:
		return refuse("", "%s with %s gets in, although that ID is over", q.Principal, Fingerprint(id))
	}
	return nil
}

// planned says whether the plan lets a request in, or, where it names no principals, whether one of its IDs did before.
func (c *checker) planned(q Request, f *facts, id string, now Effect) bool {
	if c.p.Role == Created {
		return c.plan != nil && c.plan.evaluate(f).Effect == Allow
	}
	if id == "" || c.over(id) || !slices.Contains([]string{c.p.Current, c.p.Pending, c.p.Previous.ID}, id) {
		return false
	}
	if len(c.p.Principals) > 0 {
		return c.covers(q)
	}
	return slices.ContainsFunc(c.p.ids(), func(id string) bool {
		before := c.was.Effect(q.with(id))
		return before == Allow || before == now
	})
}

// over says whether an ID may not be used any more.
func (c *checker) over(id string) bool {
	previous := c.p.Previous
	return id != "" && (slices.Contains(c.p.Retired, id) || id == previous.ID && !previous.Until.IsZero() && !c.at.Before(previous.Until))
}
