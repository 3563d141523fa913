package simtest

import "maps"

// Shrink looks for the least of a run that still breaks the same promise: without actors, without kinds of trouble, and
// with as few calls as possible that something happens to. The dice say the same of what is left, so each try is another
// run of the same seed.
func (s *Shop) Shrink(seed uint64) (Options, Result) {
	least := Options{Without: map[string]bool{}, Calm: map[string]bool{}}
	result := s.Run(seed, least)
	if result.Violation == nil {
		return least, result
	}
	broken := bare(result.Violation.Invariant)
	try := func(change func(Options)) bool {
		o := Options{Without: maps.Clone(least.Without), Calm: maps.Clone(least.Calm)}
		change(o)
		if r := s.Run(seed, o); r.Violation != nil && bare(r.Violation.Invariant) == broken {
			least, result = o, r
			return true
		}
		return false
	}
	for _, a := range everybody {
		if a.act != nil {
			try(func(o Options) { o.Without[a.name] = true })
		}
	}
	for t := range troubles {
		try(func(o Options) { o.Without[t.String()] = true })
	}
	for size := (len(result.Struck) + 1) / 2; size > 0 && len(result.Struck) > 0; size /= 2 {
		for from := 0; from < len(result.Struck); {
			some := result.Struck[from:min(from+size, len(result.Struck))]
			if !try(func(o Options) {
				for _, call := range some {
					o.Calm[call] = true
				}
			}) {
				from += size
			}
		}
	}
	return least, result
}

// bare is an invariant without what tells of the forger, who may turn out to have nothing to do with it.
func bare(invariant string) string {
	if len(invariant) > 4 && invariant[:4] == "I9 (" {
		return invariant[4:6]
	}
	return invariant
}
