package customers

import (
	"strconv"
	"strings"
	"time"
)

// Stale says whether a customer that may be entered was silent for so long. One that doesn't run Countersign is always silent.
func (c Customer) Stale(now time.Time, silent time.Duration) bool {
	return c.State == StateAccepted && c.Grant != "" && !later(c.Reported, c.Accepted).After(now.Add(-silent))
}

// Outdated says whether the customer's stack is older than a version; one that says no version is not known to be.
func (c Customer) Outdated(than string) bool {
	return c.StackVersion != "" && older(c.StackVersion, than)
}

// Newest is the newest version that any customer's stack has.
func Newest(all []Customer) string {
	newest := ""
	for _, c := range all {
		if _, ok := version(c.StackVersion); ok && (newest == "" || older(newest, c.StackVersion)) {
			newest = c.StackVersion
		}
	}
	return newest
}

// older compares two versions by their numbers. A text that is no version is older than every version.
func older(a, b string) bool {
	left, okLeft := version(a)
	right, okRight := version(b)
	if !okLeft || !okRight {
		return !okLeft && okRight
	}
	for i := range left {
		if left[i] != right[i] {
			return left[i] < right[i]
		}
	}
	return false
}

// version reads "1.2.3" or "v1.2.3-4-gabcdef", as git describes it.
func version(s string) (out [3]int, ok bool) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "v"), "-")
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return out, false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return out, false
		}
		out[i] = n
	}
	return out, true
}
