package sim

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// comparisons are the condition operators without their prefixes, suffixes and negations.
var comparisons = map[string]func(want, have string) bool{
	"StringEquals":             func(want, have string) bool { return unmark(want) == have },
	"StringEqualsIgnoreCase":   func(want, have string) bool { return strings.EqualFold(unmark(want), have) },
	"StringLike":               wildcard,
	"ArnEquals":                arnLike,
	"ArnLike":                  arnLike,
	"Bool":                     func(want, have string) bool { return strings.EqualFold(want, have) },
	"BinaryEquals":             func(want, have string) bool { return want == have },
	"IpAddress":                inNetwork,
	"NumericEquals":            numbers(func(c int) bool { return c == 0 }),
	"NumericLessThan":          numbers(func(c int) bool { return c < 0 }),
	"NumericLessThanEquals":    numbers(func(c int) bool { return c <= 0 }),
	"NumericGreaterThan":       numbers(func(c int) bool { return c > 0 }),
	"NumericGreaterThanEquals": numbers(func(c int) bool { return c >= 0 }),
	"DateEquals":               dates(func(c int) bool { return c == 0 }),
	"DateLessThan":             dates(func(c int) bool { return c < 0 }),
	"DateLessThanEquals":       dates(func(c int) bool { return c <= 0 }),
	"DateGreaterThan":          dates(func(c int) bool { return c > 0 }),
	"DateGreaterThanEquals":    dates(func(c int) bool { return c >= 0 }),
}

// negations are the operators that hold where another one doesn't, also where the key is absent.
var negations = map[string]string{
	"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase", "StringNotLike": "StringLike",
	"ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike", "NotIpAddress": "IpAddress",
	"NumericNotEquals": "NumericEquals", "DateNotEquals": "DateEquals",
}

// operator is a condition operator taken apart.
type operator struct {
	compare        func(want, have string) bool // nil: Null
	not            bool
	ifExists       bool
	forAll, forAny bool
}

func operatorOf(name string) (o operator, ok bool) {
	name, o.forAll = strings.CutPrefix(name, "ForAllValues:")
	if !o.forAll {
		name, o.forAny = strings.CutPrefix(name, "ForAnyValue:")
	}
	if name == "Null" {
		return o, !o.forAll && !o.forAny
	}
	name, o.ifExists = strings.CutSuffix(name, "IfExists")
	if base, negated := negations[name]; negated {
		name, o.not = base, true
	}
	o.compare, ok = comparisons[name]
	return o, ok
}

func knownOperator(name string) bool {
	_, ok := operatorOf(name)
	return ok
}

// holds says whether one condition of a policy holds for the request's values of its key.
func (o operator) holds(wanted, have []string, present bool) bool {
	if o.compare == nil {
		return slices.ContainsFunc(wanted, func(want string) bool { return strings.EqualFold(want, "true") == !present })
	}
	if !present || len(have) == 0 {
		return o.ifExists || o.forAll || o.not && !o.forAny
	}
	one := func(value string) bool {
		return slices.ContainsFunc(wanted, func(want string) bool { return o.compare(want, value) }) != o.not
	}
	if o.forAll || o.not && !o.forAny {
		return !slices.ContainsFunc(have, func(value string) bool { return !one(value) })
	}
	return slices.ContainsFunc(have, one)
}

// literalStar and literalMark stand for * and ? that came out of a policy variable: they are no wildcards.
const (
	literalStar = '\uE000'
	literalMark = '\uE001'
)

var (
	marker   = strings.NewReplacer("*", string(literalStar), "?", string(literalMark))
	unmarker = strings.NewReplacer(string(literalStar), "*", string(literalMark), "?")
)

func unmark(s string) string {
	if strings.IndexByte(s, string(literalStar)[0]) < 0 { // both begin with it, and hardly anything else does
		return s
	}
	return unmarker.Replace(s)
}

// wildcard matches * and ?.
func wildcard(pattern, s string) bool {
	if pattern == "*" {
		return true
	}
	p, t := []rune(pattern), []rune(s)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j] || p[i] == literalStar && t[j] == '*' || p[i] == literalMark && t[j] == '?'):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// arnLike matches each of the six parts of an ARN.
func arnLike(pattern, arn string) bool {
	want, whole := arnParts(pattern)
	have, ok := arnParts(arn)
	if !ok || !whole {
		return pattern == "*" && ok
	}
	for i := range want {
		if !wildcard(want[i], have[i]) {
			return false
		}
	}
	return true
}

// arnParts are the six parts of an ARN. ok is false, and there are none, where there are fewer.
func arnParts(arn string) (parts [6]string, ok bool) {
	for i := range 5 {
		if parts[i], arn, ok = strings.Cut(arn, ":"); !ok {
			return [6]string{}, false
		}
	}
	parts[5] = arn
	return parts, true
}

func inNetwork(want, have string) bool {
	ip, err := netip.ParseAddr(have)
	if err != nil {
		return false
	}
	if network, err := netip.ParsePrefix(want); err == nil {
		return network.Contains(ip)
	}
	return want == ip.String()
}

func numbers(holds func(int) bool) func(want, have string) bool {
	return func(want, have string) bool {
		a, err1 := strconv.ParseFloat(have, 64)
		b, err2 := strconv.ParseFloat(want, 64)
		if err1 != nil || err2 != nil {
			return false
		}
		switch {
		case a < b:
			return holds(-1)
		case a > b:
			return holds(1)
		}
		return holds(0)
	}
}

func dates(holds func(int) bool) func(want, have string) bool {
	return func(want, have string) bool {
		a, ok1 := parseDate(have)
		b, ok2 := parseDate(want)
		return ok1 && ok2 && holds(a.Compare(b))
	}
}

// parseDate takes the forms that IAM takes: W3C's of ISO 8601, and seconds since 1970.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), true
	}
	return time.Time{}, false
}
