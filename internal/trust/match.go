package trust

import (
	"strings"
	"unicode/utf8"
)

// Private runes that stand for * and ? as plain characters in an expanded pattern. What holds them itself isn't expanded.
const (
	plainStar     = '\ue000'
	plainQuestion = '\ue001'
)

// like matches a pattern with * (any characters) and ? (one character). escaped says that the pattern came from expand.
func like(pattern, s string, escaped bool) bool {
	if !strings.ContainsAny(pattern, "*?") && !escaped {
		return pattern == s
	}
	star, mark := -1, 0
	i, j := 0, 0 // pattern, s
	for j < len(s) {
		r, n := utf8.DecodeRuneInString(s[j:])
		if i < len(pattern) {
			p, m := utf8.DecodeRuneInString(pattern[i:])
			switch {
			case p == '*':
				star, mark = i, j
				i += m
				continue
			case p == '?', escaped && p == plainStar && r == '*', escaped && p == plainQuestion && r == '?', p == r && m == n && pattern[i:i+m] == s[j:j+n]:
				i += m
				j += n
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, n = utf8.DecodeRuneInString(s[mark:])
		mark += n
		i, j = star+1, mark
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}

// otherPath says whether an ARN or pattern names a role that only has no path: …:role/team/Name beside …:role/Name.
func otherPath(pattern, role string) bool {
	name := strings.LastIndexByte(role, '/') + 1
	first, last := strings.IndexByte(pattern, '/')+1, strings.LastIndexByte(pattern, '/')+1
	return first < last && like(pattern[:first], role[:name], false) && like(pattern[last:], role[name:], false)
}

// arnLike compares two ARNs part by part, wildcards within each of the six parts.
func arnLike(pattern, s string, escaped bool) truth {
	want, ok := arnParts(pattern)
	if !ok {
		return maybe
	}
	have, ok := arnParts(s)
	if !ok {
		return no
	}
	for i := range want {
		if !like(want[i], have[i], escaped) {
			return no
		}
	}
	return yes
}

// arnParts are the six parts of an ARN. ok is false where there are fewer.
func arnParts(arn string) (parts [6]string, ok bool) {
	for i := range 5 {
		if parts[i], arn, ok = strings.Cut(arn, ":"); !ok {
			return parts, false
		}
	}
	parts[5] = arn
	return parts, true
}

// expand puts the request's values in place of ${key} and ${key, 'default'}. In patterns, what is put in is taken
// literally. The answer is no where a key is absent and there is no default: nothing matches such a value.
func expand(s string, ctx *facts, pattern bool) (string, truth) {
	private := string([]rune{plainStar, plainQuestion})
	if strings.ContainsAny(s, private) {
		return "", maybe
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		out.WriteString(before)
		if !found {
			return out.String(), yes
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", maybe
		}
		s = after
		name, fallback, hasFallback := strings.Cut(name, ",")
		value, t := "", yes
		switch name = strings.TrimSpace(name); name {
		case "*", "?", "$":
			value = name
		default:
			values, present := ctx.lookup(strings.ToLower(name))
			switch {
			case len(values) == 1:
				value = values[0]
			case len(values) > 1 || !strings.Contains(name, ":"):
				return "", maybe
			case !present && hasFallback:
				value = strings.TrimSpace(fallback)
				if len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
					return "", maybe
				}
				value = value[1 : len(value)-1]
			default:
				return "", no
			}
		}
		if strings.ContainsAny(value, private) {
			return "", maybe
		}
		if pattern {
			value = strings.NewReplacer("*", string(plainStar), "?", string(plainQuestion)).Replace(value)
		}
		if t != yes {
			return "", t
		}
		out.WriteString(value)
	}
}

// matchesAction says whether a statement speaks of an action; action names know no case.
func (s *statement) matchesAction(action string) bool {
	list, negated := s.actions, false
	if s.notActions != nil {
		list, negated = s.notActions, true
	}
	for _, a := range list {
		if strings.EqualFold(a, action) || strings.ContainsAny(a, "*?") && like(strings.ToLower(a), strings.ToLower(action), false) {
			return !negated
		}
	}
	return negated
}
