package sim

import (
	"slices"
	"time"
)

// longestStale is how far back a stale read can look.
const longestStale = 2 * time.Minute

// past is how a secret's labels stood until a moment.
type past struct {
	until  time.Time
	labels map[string][]string // version id → labels
}

// remember keeps how the labels stand now, before a call changes them.
func (s *secret) remember(now time.Time) {
	s.past = slices.DeleteFunc(s.past, func(p past) bool { return now.Sub(p.until) > longestStale })
	s.past = append(s.past, past{now, s.stages()})
}

// stages are the labels as they stand, by version.
func (s *secret) stages() map[string][]string {
	out := make(map[string][]string, 3)
	for _, v := range s.versions {
		if len(v.stages) > 0 {
			out[v.id] = slices.Clone(v.stages)
		}
	}
	return out
}

// seen are the labels as a read sees them that lags behind by d.
func (s *secret) seen(now time.Time, d time.Duration) map[string][]string {
	if d > 0 {
		for _, p := range s.past {
			if p.until.After(now.Add(-d)) {
				return p.labels
			}
		}
	}
	return s.stages()
}

// seenAt is the version that a read sees at a label; nil where it sees none.
func (s *secret) seenAt(stage string, now time.Time, d time.Duration) *version {
	if d <= 0 {
		return s.at(stage)
	}
	for id, stages := range s.seen(now, d) {
		if slices.Contains(stages, stage) {
			return s.version(id)
		}
	}
	return nil
}
