package sim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is one call of a session as the evaluation of identity policies sees it.
type request struct {
	action, resource string
	at               time.Time
	session          *Session
	role             *role
	keys             map[string][]string // further condition keys, by name in lower case
}

// key is the request's values of a condition key; names don't regard case.
func (r *request) key(name string) ([]string, bool) {
	name = strings.ToLower(name)
	if values, ok := r.keys[name]; ok {
		return values, true
	}
	switch name {
	case "aws:currenttime":
		return []string{r.at.Format(time.RFC3339)}, true
	case "aws:epochtime":
		return []string{strconv.FormatInt(r.at.Unix(), 10)}, true
	case "aws:tokenissuetime":
		return []string{r.session.Issued.Format(time.RFC3339)}, true
	case "aws:principalarn":
		return []string{r.session.RoleARN}, true
	case "aws:principalaccount":
		return []string{accountOf(r.session.RoleARN)}, true
	case "aws:principaltype":
		return []string{"AssumedRole"}, true
	case "aws:securetransport":
		return []string{"true"}, true
	case "aws:sourceidentity":
		return []string{r.session.SourceIdentity}, r.session.SourceIdentity != ""
	case "aws:resourceaccount":
		account := accountOf(r.resource)
		return []string{account}, account != ""
	}
	if tag, ok := strings.CutPrefix(name, "aws:principaltag/"); ok {
		for key, value := range r.role.tags {
			if strings.EqualFold(key, tag) {
				return []string{value}, true
			}
		}
	}
	return nil, false
}

// expand replaces the policy variables in a value; false where one of them is absent from the request.
func (r *request) expand(version, value string) (string, bool) {
	if version != "2012-10-17" || !strings.Contains(value, "${") {
		return value, true
	}
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(value, "${")
		out.WriteString(before)
		if !ok {
			return out.String(), true
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", false
		}
		value = after
		name, fallback, hasFallback := strings.Cut(name, ",")
		switch name = strings.TrimSpace(name); name {
		case "*", "?", "$":
			out.WriteString(marker.Replace(name))
			continue
		}
		values, present := r.key(name)
		switch {
		case present && len(values) == 1:
			out.WriteString(marker.Replace(values[0]))
		case hasFallback:
			out.WriteString(marker.Replace(strings.Trim(strings.TrimSpace(fallback), "'")))
		default:
			return "", false
		}
	}
}

// matches says whether a statement of an identity policy is about the request.
func (s *statement) matches(version string, r *request) bool {
	action := strings.ToLower(r.action)
	if slices.ContainsFunc(s.actions, func(a string) bool { return wildcard(strings.ToLower(a), action) }) == s.notAction {
		return false
	}
	if slices.ContainsFunc(s.resources, func(pattern string) bool {
		pattern, ok := r.expand(version, pattern)
		return ok && wildcard(pattern, r.resource)
	}) == s.notRes {
		return false
	}
	for name, keys := range s.conditions {
		o, _ := operatorOf(name)
		for key, wanted := range keys {
			values := make([]string, 0, len(wanted))
			for _, w := range wanted {
				if v, ok := r.expand(version, w); ok {
					values = append(values, v)
				}
			}
			have, present := r.key(key)
			if !o.holds(values, have, present) {
				return false
			}
		}
	}
	return true
}

// evaluate says whether a policy allows the request and whether it denies it.
func (p *policy) evaluate(r *request) (allows, denies bool) {
	for i := range p.statements {
		s := &p.statements[i]
		if s.effect == "Allow" && allows || !s.matches(p.version, r) {
			continue
		}
		if s.effect == "Deny" {
			return allows, true
		}
		allows = true
	}
	return allows, false
}

// permits evaluates everything that stands on the session's role: Deny first, then one Allow, within the boundary.
func (m *IAM) permits(r *request, replica int) (ok bool, why string) {
	allowed := false
	for _, name := range sortedKeys(r.role.inline) {
		if p := r.role.inline[name].at(m.w, replica); p != nil {
			allows, denies := p.evaluate(r)
			if denies {
				return false, "an explicit deny in the inline policy " + name
			}
			allowed = allowed || allows
		}
	}
	for _, arn := range r.role.managed {
		allows, denies := m.managed[arn].evaluate(r)
		if denies {
			return false, "an explicit deny in the policy " + arn
		}
		allowed = allowed || allows
	}
	if r.role.boundary != "" {
		allows, denies := m.managed[r.role.boundary].evaluate(r)
		if denies || !allows {
			return false, "the permissions boundary"
		}
	}
	if !allowed {
		return false, "no identity-based policy that allows it"
	}
	return true, ""
}
