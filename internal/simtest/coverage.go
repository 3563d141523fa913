package simtest

// Coverage is what runs went through.
type Coverage struct {
	Runs      int
	Steps     int // AWS calls made by anybody, and waits of the clock, once all was set up
	Calls     int // AWS calls alone
	Actors    int // the most that were chosen in one run; AWS's own aside
	Rotations int // that went through, the first one aside
	Troubles  [troubles]int
	Pairs     [11][11]int // steps of an actor right behind one of another, by everybody's order
	Struck    []string    // calls that something happened to, of one run

	Hand    HandGap
	Foreign int // moments in which somebody got in by a foreign editor's own statement
	Lost    int // foreign edits lost between our last read and our write
	Stale   int // foreign edits lost because our last read was stale
}

// Add takes another run's coverage.
func (c *Coverage) Add(o Coverage) {
	c.Runs += max(o.Runs, 1)
	c.Steps += o.Steps
	c.Calls += o.Calls
	c.Actors = max(c.Actors, o.Actors)
	c.Rotations += o.Rotations
	for i, n := range o.Troubles {
		c.Troubles[i] += n
	}
	for i := range o.Pairs {
		for j, n := range o.Pairs[i] {
			c.Pairs[i][j] += n
		}
	}
	c.Hand.Times += o.Hand.Times
	c.Hand.Total += o.Hand.Total
	c.Hand.Longest = max(c.Hand.Longest, o.Hand.Longest)
	c.Foreign += o.Foreign
	c.Lost += o.Lost
	c.Stale += o.Stale
}
