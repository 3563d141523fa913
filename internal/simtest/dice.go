package simtest

import "time"

// dice decide everything that is random in a run. What they show is a function of the seed and of what is asked, not of how
// often they were asked: leaving one actor or one fault out of a run changes no decision about the others, which is what
// makes shrinking work.
type dice uint64

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// on are the dice of one subject.
func (d dice) on(what string) dice {
	h := uint64(14695981039346656037)
	for i := range len(what) {
		h = (h ^ uint64(what[i])) * 1099511628211
	}
	return dice(mix(uint64(d) ^ h))
}

// nth are the dice of its nth decision.
func (d dice) nth(n int) dice { return dice(mix(uint64(d) + uint64(n)*0xd1342543de82ef95)) }

// below is a number from 0 to n-1.
func (d dice) below(n int) int { return int(mix(uint64(d)) >> 33 % uint64(n)) }

// share is a number from 0 up to 1.
func (d dice) share() float64 { return float64(mix(uint64(d))>>11) / (1 << 53) }

// chance says yes with a probability.
func (d dice) chance(p float64) bool { return d.share() < p }

// between is a whole number of seconds from lo to hi.
func (d dice) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(d.below(int((hi-lo)/time.Second)+1))*time.Second
}

// pick is one of a list.
func pick[T any](d dice, list []T) T { return list[d.below(len(list))] }
