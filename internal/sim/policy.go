package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// policy is a policy document that IAM has taken.
type policy struct {
	source     []byte
	size       int // characters that count against a quota
	version    string
	id         string
	statements []statement

	revocation *grant.Revocation // as which package grant reads it, once somebody asked
}

type statement struct {
	sid        string
	effect     string
	principals map[string][]string // type (AWS, Service, Federated, CanonicalUser; "*" for a bare star) → values
	notPrinc   bool
	actions    []string
	notAction  bool
	resources  []string
	notRes     bool
	conditions map[string]map[string][]string // operator → key → values
}

// PolicyCache remembers parsed documents by their text, so that many worlds parse each one once. One goroutine at a time.
type PolicyCache struct {
	identity map[string]parsedPolicy
	trust    map[string]parsedPolicy
	shown    map[string]*trust.Document // trust policies as GetRole shows them
	plans    map[string]grant.Plan      // that nobody changes: functions only read them
}

type parsedPolicy struct {
	policy *policy
	err    error
}

// NewPolicyCache makes an empty cache.
func NewPolicyCache() *PolicyCache {
	return &PolicyCache{map[string]parsedPolicy{}, map[string]parsedPolicy{}, map[string]*trust.Document{}, map[string]grant.Plan{}}
}

// Trim forgets all if there is much of it: between two runs, as within one the same document is the same pointer.
func (c *PolicyCache) Trim(most int) {
	if len(c.identity)+len(c.trust)+len(c.shown)+len(c.plans) > most {
		*c = *NewPolicyCache()
	}
}

func (c *PolicyCache) identityPolicy(source []byte) (*policy, error) {
	return parseOnce(c.identity, source, checkIdentityPolicy)
}

func (c *PolicyCache) trustPolicy(source []byte) (*policy, error) {
	return parseOnce(c.trust, source, checkTrustPolicy)
}

// parseOnce reads and validates a document. Its errors are of kind grant.ErrMalformed.
func parseOnce(known map[string]parsedPolicy, source []byte, check func(*policy) error) (*policy, error) {
	if p, ok := known[string(source)]; ok {
		return p.policy, p.err
	}
	p, err := parsePolicy(source)
	if err == nil {
		err = check(p)
	}
	known[string(source)] = parsedPolicy{p, err}
	return p, err
}

// document parses a trust policy as GetRole shows it. Package trust refuses some documents that IAM takes.
func (c *PolicyCache) document(shown []byte) (*trust.Document, error) {
	if d, ok := c.shown[string(shown)]; ok {
		return d, nil
	}
	d, err := trust.Parse(shown)
	if err != nil {
		return nil, err
	}
	c.shown[string(shown)] = d
	return d, nil
}

// plan reads a grant's plan.
func (c *PolicyCache) plan(value string, name grant.Name) (grant.Plan, error) {
	if p, ok := c.plans[value]; ok && p.Grant == name {
		return p, nil
	}
	p, err := grant.ParsePlan([]byte(value), name)
	if err != nil {
		return p, err
	}
	c.plans[value] = p
	return p, nil
}

func malformed(format string, args ...any) error {
	return refuse(grant.ErrMalformed, "MalformedPolicyDocument", format, args...)
}

func parsePolicy(source []byte) (*policy, error) {
	for _, r := range string(source) {
		if r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r > 0xff) {
			return nil, refuse(nil, "ValidationError", "a character outside U+0009, U+000A, U+000D and U+0020 to U+00FF")
		}
	}
	tree, err := decodeJSON(source)
	if err != nil {
		return nil, malformed("This policy contains invalid Json")
	}
	top, ok := tree.(object)
	if !ok {
		return nil, malformed("Syntax errors in policy.")
	}
	p := &policy{source: bytes.Clone(source), size: countedSize(source), version: "2008-10-17"}
	for _, m := range top {
		switch m.key {
		case "Version":
			p.version, ok = m.value.(string)
			if !ok || p.version != "2012-10-17" && p.version != "2008-10-17" {
				return nil, malformed("Syntax errors in policy: Version.")
			}
		case "Id":
			if p.id, ok = m.value.(string); !ok {
				return nil, malformed("Syntax errors in policy: Id.")
			}
		case "Statement":
			list, many := m.value.([]any)
			if !many {
				list = []any{m.value}
			}
			for _, one := range list {
				s, err := parseStatement(one)
				if err != nil {
					return nil, err
				}
				p.statements = append(p.statements, s)
			}
		default:
			return nil, malformed("Syntax errors in policy: unknown element %q.", clip(m.key))
		}
	}
	if len(p.statements) == 0 {
		return nil, malformed("Syntax errors in policy: no Statement.")
	}
	return p, nil
}

func parseStatement(tree any) (statement, error) {
	var s statement
	top, ok := tree.(object)
	if !ok {
		return s, malformed("Syntax errors in policy: Statement.")
	}
	for _, m := range top {
		bad := malformed("Syntax errors in policy: %s.", clip(m.key))
		switch m.key {
		case "Sid":
			if s.sid, ok = m.value.(string); !ok || strings.ContainsFunc(s.sid, notAlphanumeric) {
				return s, malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
			}
		case "Effect":
			if s.effect, ok = m.value.(string); !ok || s.effect != "Allow" && s.effect != "Deny" {
				return s, bad
			}
		case "Principal", "NotPrincipal":
			if s.principals != nil {
				return s, bad
			}
			s.notPrinc = m.key == "NotPrincipal"
			if s.principals, ok = principalsOf(m.value); !ok {
				return s, bad
			}
		case "Action", "NotAction":
			if s.actions != nil {
				return s, bad
			}
			s.notAction = m.key == "NotAction"
			if s.actions, ok = stringsOf(m.value, false); !ok {
				return s, bad
			}
		case "Resource", "NotResource":
			if s.resources != nil {
				return s, bad
			}
			s.notRes = m.key == "NotResource"
			if s.resources, ok = stringsOf(m.value, false); !ok {
				return s, bad
			}
		case "Condition":
			var err error
			if s.conditions, err = conditionsOf(m.value); err != nil {
				return s, err
			}
		default:
			return s, bad
		}
	}
	if s.effect == "" || s.actions == nil {
		return s, malformed("Syntax errors in policy: a statement needs Effect and Action.")
	}
	return s, nil
}

func notAlphanumeric(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// stringsOf reads IAM's scalar or list. scalars also takes numbers and booleans, as conditions do.
func stringsOf(tree any, scalars bool) ([]string, bool) {
	list, many := tree.([]any)
	if !many {
		list = []any{tree}
	}
	var out []string
	for _, one := range list {
		switch v := one.(type) {
		case string:
			out = append(out, v)
		case bool, json.Number:
			if !scalars {
				return nil, false
			}
			out = append(out, fmt.Sprint(v))
		default:
			return nil, false
		}
	}
	return out, len(out) > 0
}

func principalsOf(tree any) (map[string][]string, bool) {
	if star, ok := tree.(string); ok {
		return map[string][]string{"*": {"*"}}, star == "*"
	}
	top, ok := tree.(object)
	if !ok || len(top) == 0 {
		return nil, false
	}
	out := map[string][]string{}
	for _, m := range top {
		switch m.key {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return nil, false
		}
		if out[m.key], ok = stringsOf(m.value, false); !ok {
			return nil, false
		}
	}
	return out, true
}

func conditionsOf(tree any) (map[string]map[string][]string, error) {
	top, ok := tree.(object)
	if !ok {
		return nil, malformed("Syntax errors in policy: Condition.")
	}
	out := map[string]map[string][]string{}
	for _, operator := range top {
		if !knownOperator(operator.key) {
			return nil, malformed("Invalid Condition type : %s", clip(operator.key))
		}
		keys, ok := operator.value.(object)
		if !ok || len(keys) == 0 {
			return nil, malformed("Syntax errors in policy: Condition.")
		}
		out[operator.key] = map[string][]string{}
		for _, key := range keys {
			if !strings.Contains(key.key, ":") {
				return nil, malformed("Condition keys must begin with either a standard prefix or a service's: %s", clip(key.key))
			}
			values, ok := stringsOf(key.value, true)
			if !ok {
				return nil, malformed("Syntax errors in policy: Condition.")
			}
			out[operator.key][key.key] = values
		}
	}
	return out, nil
}

type object []member

type member struct {
	key   string
	value any
}

// decodeJSON reads one JSON value, objects in their order; a key that stands twice is an error.
func decodeJSON(source []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(source))
	dec.UseNumber()
	value, err := decodeValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

func decodeValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			value, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = dec.Token()
		return list, err
	case json.Delim('{'):
		out := object{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			for _, m := range out {
				if m.key == key {
					return nil, fmt.Errorf("duplicate key")
				}
			}
			value, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			out = append(out, member{key.(string), value})
		}
		_, err = dec.Token()
		return out, err
	}
	return token, nil
}

// countedSize is the number of characters that count against a quota: all but white space outside of strings.
func countedSize(source []byte) int {
	n, inside, escaped := 0, false, false
	for _, r := range string(source) {
		switch {
		case escaped:
			escaped = false
		case inside && r == '\\':
			escaped = true
		case r == '"':
			inside = !inside
		}
		if inside || !strings.ContainsRune(" \t\r\n", r) {
			n++
		}
	}
	return n
}
