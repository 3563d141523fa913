package oneclick_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"
)

// difference is where the one-click stack is not what CDK deploys for the same access.yaml, and why.
type difference struct {
	where string // a resource's type or "Outputs", and the path within it
	why   string
}

// version is a function's ARN, with the version or alias that is called, if it says one.
var version = regexp.MustCompile(`arn:aws:lambda:[a-z0-9-]+:\d{12}:function:(countersign-[a-z-]+)(?::(?:1|deployed|\*))?`)

// explains says whether this is why two values of a field differ.
func (d difference) explains(field, a, b string) bool {
	return regexp.MustCompile(d.where).MatchString(kindOf(field)) && (!slices.Contains(ofVersions, d) || called(a) == called(b))
}

// called is a value with functions named as an event source names them.
func called(value string) string { return version.ReplaceAllString(value, "$1") }

// met are the differences that were met, by where they are.
type met map[string]bool

// compare holds a route's fields to CDK's. What differs must be known; at least so many fields there are.
func (m met) compare(t *testing.T, route string, a, b map[string]string, known []difference, least int) {
	t.Helper()
	for _, field := range slices.Sorted(maps.Keys(union(a, b))) {
		if a[field] == b[field] {
			continue
		}
		at := slices.IndexFunc(known, func(d difference) bool { return d.explains(field, a[field], b[field]) })
		if at < 0 {
			t.Errorf("%s\n  %-10s %s\n  CDK:       %s", field, route+":", a[field], b[field])
			continue
		}
		m[known[at].where] = true
	}
	if len(a) < least {
		t.Errorf("compared %d fields only", len(a))
	}
}

// all holds what is explained to have been met.
func (m met) all(t *testing.T, known []difference) {
	t.Helper()
	for _, d := range known {
		if !m[d.where] {
			t.Errorf("explained and not found: %s", d.where)
		}
	}
}

func union(a, b map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
