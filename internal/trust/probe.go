package trust

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// probeName is what samples are called where any name will do.
const probeName = "countersign-probe"

// probes are sample requests that a statement would answer yes to, but for the external ID and the date: one for each of
// its principals. A condition that can't be met by a sample is left open; whoever uses them evaluates the statement first.
func (s *statement) probes(at time.Time) []Request {
	context := map[string][]string{}
	absent := map[string]bool{}
	conditions := slices.Clone(s.conditions)
	slices.SortStableFunc(conditions, func(x, y condition) int { return cmp.Compare(x.vague(), y.vague()) })
	for i := range conditions {
		c := &conditions[i]
		if c.lower == keyExternalID || c.lower == keyCurrentTime || c.lower == keyEpochTime || len(context[c.lower]) > 0 {
			continue
		}
		if c.operator.family == familyNull {
			absent[c.lower] = slices.Contains(c.values, "true")
			if !absent[c.lower] {
				context[c.lower] = []string{probeName}
			}
			continue
		}
		if v, ok := c.sample(); ok {
			context[c.lower] = []string{v}
		}
	}
	maps.DeleteFunc(context, func(key string, _ []string) bool { return absent[key] })
	action := ActionAssumeRole
	if !s.matchesAction(action) {
		action = ActionSetSourceIdentity
	}
	var list []Request
	for _, p := range s.principals.list {
		if caller := p.sample(context); caller != "" {
			list = append(list, Request{Principal: caller, Action: action, At: at, Context: context})
		}
	}
	return list
}

// vague says how little a condition tells of the value that meets it.
func (c condition) vague() int {
	switch {
	case c.operator.family == familyNull:
		return 2
	case c.operator.negated:
		return 1
	}
	return 0
}

// sample is somebody whom a principal names.
func (p principal) sample(context map[string][]string) string {
	arn := "arn:" + p.partition + ":"
	if p.partition == "" {
		arn = "arn:aws:"
	}
	switch p.kind {
	case principalEveryone:
		return "arn:aws:iam::999999999999:role/" + probeName
	case principalAccount:
		if named := context[keyPrincipalARN]; len(named) == 1 {
			if q := readPrincipal(named[0]); q.account == p.account && q.kind != principalUnclear {
				return named[0]
			}
		}
		return arn + "iam::" + p.account + ":role/" + probeName
	case principalRole:
		return arn + "sts::" + p.account + ":assumed-role/" + p.name + "/" + probeName
	case principalUser, principalSession, principalFederated:
		return p.raw
	}
	return ""
}

// anyText puts a character in place of each wildcard.
var anyText = strings.NewReplacer("*", "x", "?", "x")

// sample is a value that meets the condition, as far as one value of the policy tells.
func (c *condition) sample() (string, bool) {
	if c.operator.negated || len(c.values) == 0 {
		return probeName, true
	}
	v := c.values[0]
	if strings.Contains(v, "${") {
		return "", false
	}
	switch c.operator.family {
	case familyLike, familyARN:
		return anyText.Replace(v), true
	case familyIP:
		v, _, _ = strings.Cut(v, "/")
	case familyNumeric:
		if n, ok := number(v); ok {
			return strconv.FormatFloat(n+float64(c.operator.order.side()), 'f', -1, 64), true
		}
	case familyDate:
		if t, ok := readDate(v); ok {
			return formatDate(t.Add(time.Duration(c.operator.order.side()) * time.Hour)), true
		}
	}
	return v, true
}

// side is on which side of a bound the order holds.
func (o order) side() int {
	switch o {
	case less:
		return -1
	case greater:
		return 1
	}
	return 0
}

// with is the request with an external ID, without one if it is empty.
func (r Request) with(id string) Request {
	if id == "" {
		return r
	}
	r.Context = maps.Clone(r.Context)
	r.Context["sts:ExternalId"] = []string{id}
	return r
}

// same says whether two samples ask the same.
func (r Request) same(other Request) bool {
	return r.Principal == other.Principal && r.Action == other.Action && r.At.Equal(other.At) &&
		maps.EqualFunc(r.Context, other.Context, slices.Equal[[]string])
}
