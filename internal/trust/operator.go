package trust

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// truth is an answer that may be open.
type truth int8

const (
	no truth = iota
	maybe
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func and(a, b truth) truth { return min(a, b) }
func or(a, b truth) truth  { return max(a, b) }
func not(a truth) truth    { return yes - a }

// family is how an operator compares.
type family int

const (
	familyString family = iota
	familyFold
	familyLike
	familyNumeric
	familyDate
	familyBool
	familyBinary
	familyIP
	familyARN
	familyNull
)

// quantifier is the set prefix of an operator.
type quantifier int

const (
	single quantifier = iota
	anyValue
	allValues
)

// order is what a numeric or date operator asks of the comparison.
type order int

const (
	equal order = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
)

// operator is a condition operator with its prefix and suffix taken apart.
type operator struct {
	name       string // as written
	known      bool
	family     family
	order      order
	negated    bool
	ifExists   bool
	quantifier quantifier
}

// plain says whether the operator is StringEquals and nothing else.
func (o operator) plain() bool { return o.name == "StringEquals" }

func readOperator(name string) operator {
	o := operator{name: name, known: true}
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		o.quantifier, base = anyValue, rest
	} else if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		o.quantifier, base = allValues, rest
	}
	base, o.ifExists = strings.CutSuffix(base, "IfExists")
	switch base {
	case "StringEquals", "StringNotEquals":
		o.family, o.negated = familyString, base == "StringNotEquals"
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		o.family, o.negated = familyFold, base == "StringNotEqualsIgnoreCase"
	case "StringLike", "StringNotLike":
		o.family, o.negated = familyLike, base == "StringNotLike"
	case "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike":
		o.family, o.negated = familyARN, strings.HasPrefix(base, "ArnNot")
	case "IpAddress", "NotIpAddress":
		o.family, o.negated = familyIP, base == "NotIpAddress"
	case "Bool":
		o.family = familyBool
	case "BinaryEquals":
		o.family = familyBinary
	case "Null":
		o.family = familyNull
		o.known = o.quantifier == single && !o.ifExists
	default:
		if rest, ok := strings.CutPrefix(base, "Numeric"); ok {
			o.family, base = familyNumeric, rest
		} else if rest, ok := strings.CutPrefix(base, "Date"); ok {
			o.family, base = familyDate, rest
		} else {
			o.known = false
		}
		switch base {
		case "Equals":
		case "NotEquals":
			o.negated = true
		case "LessThan":
			o.order = less
		case "LessThanEquals":
			o.order = lessOrEqual
		case "GreaterThan":
			o.order = greater
		case "GreaterThanEquals":
			o.order = greaterOrEqual
		default:
			o.known = false
		}
	}
	return o
}

// compare says whether one value of the request matches one value of the policy. Negation is the caller's.
func (o operator) compare(have, want string, ctx *facts, variables bool) truth {
	pattern, substituted := want, false
	if variables && strings.Contains(want, "${") {
		switch o.family {
		case familyString, familyFold, familyLike, familyARN:
			expanded, t := expand(want, ctx, o.family == familyLike || o.family == familyARN)
			switch {
			case t == no && o.negated:
				return maybe // AWS: "might cause the entire statement to be invalid"
			case t != yes:
				return t
			}
			pattern, substituted = expanded, true
		default:
			return maybe
		}
	}
	switch o.family {
	case familyString:
		return truthOf(have == pattern)
	case familyFold:
		return truthOf(strings.EqualFold(have, pattern))
	case familyLike:
		return truthOf(like(pattern, have, substituted))
	case familyARN:
		return arnLike(pattern, have, substituted)
	case familyNumeric:
		a, aok := number(have)
		b, bok := number(want)
		if !aok || !bok {
			return maybe
		}
		return truthOf(o.order.holds(compareFloats(a, b)))
	case familyDate:
		a, aok := readDate(have)
		b, bok := readDate(want)
		if !aok || !bok {
			return maybe
		}
		return truthOf(o.order.holds(a.Compare(b)))
	case familyBool:
		if !isBool(have) || !isBool(want) {
			return maybe
		}
		return truthOf(strings.EqualFold(have, want))
	case familyBinary:
		a, aerr := base64.StdEncoding.DecodeString(have)
		b, berr := base64.StdEncoding.DecodeString(want)
		if aerr != nil || berr != nil {
			return maybe
		}
		return truthOf(string(a) == string(b))
	case familyIP:
		return inNetwork(have, want)
	}
	return maybe
}

func (o order) holds(c int) bool {
	switch o {
	case less:
		return c < 0
	case lessOrEqual:
		return c <= 0
	case greater:
		return c > 0
	case greaterOrEqual:
		return c >= 0
	}
	return c == 0
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// number reads a decimal number. What a float64 can't tell apart isn't decided.
func number(s string) (float64, bool) {
	if s == "" || len(s) > 15 || strings.Trim(s, "0123456789.+-") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

// dateLayouts are the W3C forms of ISO 8601 that policies use; time.Parse takes fractions of a second by itself.
var dateLayouts = [...]string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02"}

// readDate reads a date of a policy: ISO 8601, or seconds since 1970.
func readDate(s string) (time.Time, bool) {
	if s != "" && len(s) <= 12 && strings.Trim(s, "0123456789") == "" && len(s) != 4 {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0).UTC(), err == nil
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func inNetwork(have, want string) truth {
	ip, err := netip.ParseAddr(have)
	if err != nil {
		return maybe
	}
	if network, err := netip.ParsePrefix(want); err == nil {
		return truthOf(network.Contains(ip))
	}
	if one, err := netip.ParseAddr(want); err == nil {
		return truthOf(one == ip)
	}
	return maybe
}
