package simtest

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Coverage is what runs went through.
type Coverage struct {
	Steps     int // AWS calls made by anybody, and waits of the clock, once all was set up
	Calls     int // AWS calls alone
	Actors    int // that took part
	Rotations int // that moved the label, the first one aside
	Troubles  [troubles]int
	Pairs     [crowd][crowd]int // steps of an actor right behind one of another, by everybody's order
	Struck    []string          // calls that something happened to

	Hand     HandGap
	Deployed HandGap // of these, behind a deploy, with nothing that went wrong meanwhile
	Reverted int     // times that the owner of an adopted role put the trust policy back to what its tool knows
	Foreign  int     // moments in which the provider got in by a foreign editor's own value on an adopted role
	Lost     int     // foreign edits lost between our last read and our write
	Stale    int     // foreign edits lost because our last read was stale

	Overtaken   int // writes of the trust policy over one that came after our last read
	Lines       int // of the functions' logs that were searched for external IDs
	Extended    int // previous IDs that were to stay until somebody confirms
	Confirmed   int // confirmations that counted
	Lateness    int // of an older version, over the current one's
	Pauses      int // of the schedule, and ends of pauses
	PutOff      int // steps of rotations that a pause put off
	Restores    int // that lifted a Deny
	Forgotten   int // previous IDs whose end nobody knew any more, as an older document was put back
	Mislabelled int // retired IDs let in because the birth document was put back after the forger had moved labels
	Returned    int // previous IDs let in once more by an old reading of IAM, for what they had been promised
	Taken       int // messages that a webhook took
	Gone        int // webhooks that were disabled
	Digests     int // mails of a week
	Refused     int // deletions of a revoked grant's stack
	Left        int // stacks that were deleted in the end, and left their role
	Overwritten int // revocations that a restore overwrote between its last read and its write
}

// HandGap is how long the trust policy stood as somebody else wrote it, until a reconciliation ended well.
type HandGap struct {
	Times   int
	Total   time.Duration
	Longest time.Duration
}

func (g *HandGap) mean() time.Duration {
	return (g.Total / time.Duration(max(g.Times, 1))).Round(time.Millisecond)
}

func (g *HandGap) add(o HandGap) {
	g.Times += o.Times
	g.Total += o.Total
	g.Longest = max(g.Longest, o.Longest)
}

// Report is what many runs came to.
type Report struct {
	Coverage
	First, Runs uint64 // seeds First to First+Runs-1
	Took        time.Duration
	Violations  []*Violation

	Few, Unrotated int   // runs with fewer than three actors, without a complete rotation
	calls          []int // of each run
}

// take adds a run. Of the violations it keeps the first ones.
func (r *Report) take(one Result) {
	r.Runs++
	r.Steps += one.Steps
	r.Calls += one.Calls
	r.Rotations += one.Rotations
	r.calls = append(r.calls, one.Calls)
	if one.Actors < 3 {
		r.Few++
	}
	if one.Rotations == 0 && one.Violation == nil {
		r.Unrotated++
	}
	r.Actors = max(r.Actors, one.Actors)
	r.addCounts(one.Coverage)
	if one.Violation != nil {
		r.Violations = append(r.Violations, one.Violation)
	}
}

func (c *Coverage) addCounts(o Coverage) {
	for i, n := range o.Troubles {
		c.Troubles[i] += n
	}
	for i := range o.Pairs {
		for j, n := range o.Pairs[i] {
			c.Pairs[i][j] += n
		}
	}
	c.Hand.add(o.Hand)
	c.Deployed.add(o.Deployed)
	c.Foreign += o.Foreign
	c.Reverted += o.Reverted
	c.Lost += o.Lost
	c.Stale += o.Stale
	c.Overtaken += o.Overtaken
	c.Lines += o.Lines
	c.Pauses += o.Pauses
	c.Extended += o.Extended
	c.Confirmed += o.Confirmed
	c.Lateness += o.Lateness
	c.PutOff += o.PutOff
	c.Restores += o.Restores
	c.Taken += o.Taken
	c.Gone += o.Gone
	c.Digests += o.Digests
	c.Refused += o.Refused
	c.Left += o.Left
	c.Overwritten += o.Overwritten
	c.Mislabelled += o.Mislabelled
	c.Forgotten += o.Forgotten
	c.Returned += o.Returned
}

// merge adds another goroutine's report.
func (r *Report) merge(o *Report) {
	r.Runs += o.Runs
	r.Steps += o.Steps
	r.Calls += o.Calls
	r.Rotations += o.Rotations
	r.Few += o.Few
	r.Unrotated += o.Unrotated
	r.Actors = max(r.Actors, o.Actors)
	r.addCounts(o.Coverage)
	r.calls = append(r.calls, o.calls...)
	r.Violations = append(r.Violations, o.Violations...)
}

// Median is the median number of AWS calls of a run.
func (r *Report) Median() int {
	if len(r.calls) == 0 {
		return 0
	}
	slices.Sort(r.calls)
	return r.calls[len(r.calls)/2]
}

// Complaints are why the runs prove less than they should: something never happened. Enough runs have none.
func (r *Report) Complaints() (list []string) {
	for t, n := range r.Troubles {
		if n == 0 {
			list = append(list, "never: "+troubleNames[t])
		}
	}
	for i := range r.Pairs {
		for j, n := range r.Pairs[i] {
			if n == 0 {
				list = append(list, "never: "+everybody[j].name+" right behind "+everybody[i].name)
			}
		}
	}
	if n := r.Median(); n < 120 {
		list = append(list, fmt.Sprintf("the median run has %d AWS calls, fewer than 120", n))
	}
	if r.Few > 0 || r.Unrotated > 0 {
		list = append(list, fmt.Sprintf("%d runs with fewer than three actors, %d without a complete rotation", r.Few, r.Unrotated))
	}
	return list
}

// Print writes the report.
func (r *Report) Print(w io.Writer) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	p("runs         %d, seeds %d to %d\n", r.Runs, r.First, r.First+r.Runs-1)
	p("steps        %d, of which %d AWS calls; %.0f steps a second\n", r.Steps, r.Calls, float64(r.Steps)/r.Took.Seconds())
	p("median       %d AWS calls a run\n", r.Median())
	p("rotations    %d\n", r.Rotations)
	p("by hand      the trust policy stood %d times as somebody else wrote it: %s in the mean, %s at most\n", r.Hand.Times, r.Hand.mean(), r.Hand.Longest)
	p("deployed     of these, behind a deploy while nothing went wrong: %d times, %s in the mean, %s at most\n", r.Deployed.Times, r.Deployed.mean(), r.Deployed.Longest)
	p("reverted     %d times the owner of an adopted role put the trust policy back\n", r.Reverted)
	p("foreign      %d edits lost between our last read and our write, %d because that read was stale\n", r.Lost, r.Stale)
	p("overtaken    %d writes of ours over one that came between our last read and our write\n", r.Overtaken)
	p("restores     %d; %d revocations overwritten between a restore's last read and its write, and put back\n", r.Restores, r.Overwritten)
	p("deletions    %d of a revoked grant's stack, refused; %d in the end, of a stack that leaves its role\n", r.Refused, r.Left)
	p("mislabelled  %d times a retired ID was let in, as labels were moved and an older document was put back\n", r.Mislabelled)
	p("forgotten    %d times nobody knew any more when a previous ID ends: an older document was put back, and a tag forged or the plan changed\n", r.Forgotten)
	p("returned     %d times an old reading of IAM gave a previous ID back what it had been promised\n", r.Returned)
	p("pauses       %d, ends of them included; %d tries of rotations put off\n", r.Pauses, r.PutOff)
	p("confirmed    %d times; %d previous IDs were to stay until then; %d late confirmations over the current one's\n", r.Confirmed, r.Extended, r.Lateness)
	p("webhooks     %d messages taken, %d endpoints disabled; %d digests mailed\n", r.Taken, r.Gone, r.Digests)
	p("logs         %d lines searched for external IDs\n", r.Lines)
	p("\ntrouble\n")
	for t, n := range r.Troubles {
		p("  %-24s %d\n", troubleNames[t], n)
	}
	p("\nsteps of an actor (column) right behind one of another (row)\n%14s", "")
	for _, a := range everybody {
		p(" %9.9s", a.name)
	}
	p("\n")
	for i, a := range everybody {
		p("%-14s", a.name)
		for _, n := range r.Pairs[i] {
			p(" %9d", n)
		}
		p("\n")
	}
	p("\nviolations   %d\n", len(r.Violations))
}
