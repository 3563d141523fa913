package sim

import (
	"regexp"
	"slices"
	"strings"
)

var (
	accountForm   = regexp.MustCompile(`^\d{12}$`)
	rootForm      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:root$`)
	principalForm = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\x21-\x7e]+$`)
	sessionForm   = regexp.MustCompile(`^arn:aws[a-z-]*:sts::\d{12}:(assumed-role|federated-user)/[\x21-\x7e]+$`)
	actionForm    = regexp.MustCompile(`^(\*|[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+)$`)
	resourceForm  = regexp.MustCompile(`^(\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:.+|\$\{.*)$`)
)

// checkSids holds IAM's rule that a Sid stands once in a policy.
func checkSids(p *policy) error {
	seen := map[string]bool{}
	for _, s := range p.statements {
		if s.sid != "" && seen[s.sid] {
			return malformed("Statement IDs (SID) in a single policy must be unique.")
		}
		seen[s.sid] = true
	}
	return nil
}

// checkTrustPolicy refuses what UpdateAssumeRolePolicy refuses, whatever principals exist.
func checkTrustPolicy(p *policy) error {
	for _, s := range p.statements {
		switch {
		case s.principals == nil:
			return malformed("Missing required field Principal")
		case s.notPrinc:
			return malformed("AssumeRole policy must not contain NotPrincipal field.")
		case s.resources != nil:
			return malformed("Has prohibited field Resource")
		case s.notAction:
			return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
		}
		for _, action := range s.actions {
			if !strings.HasPrefix(strings.ToLower(action), "sts:") || !actionForm.MatchString(action) {
				return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
			}
		}
	}
	return checkSids(p)
}

// checkIdentityPolicy refuses what PutRolePolicy refuses.
func checkIdentityPolicy(p *policy) error {
	for _, s := range p.statements {
		switch {
		case s.principals != nil:
			return malformed("Policy document should not specify a principal.")
		case s.resources == nil:
			return malformed("Policy statement must contain resources.")
		}
		for _, action := range s.actions {
			if !actionForm.MatchString(action) {
				return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
		}
		for _, resource := range s.resources {
			if !resourceForm.MatchString(resource) {
				return malformed("Resource %s must be in ARN format or \"*\".", clip(resource))
			}
		}
	}
	return checkSids(p)
}

// resolve looks up the principals of a trust policy. What doesn't exist is refused, a raw unique id too: it stands for a
// principal that was deleted.
func (m *IAM) resolve(p *policy) (*stored, error) {
	s := &stored{policy: p, ids: map[string]string{}}
	for _, st := range p.statements {
		for _, arn := range st.principals["AWS"] {
			switch {
			case arn == "*", accountForm.MatchString(arn), rootForm.MatchString(arn), sessionForm.MatchString(arn):
			case principalForm.MatchString(arn) && m.principals[arn] != "":
				s.ids[arn] = m.principals[arn]
			default:
				return nil, malformed("Invalid principal in policy: \"AWS\":\"%s\"", clip(arn))
			}
		}
		for _, service := range st.principals["Service"] {
			if !strings.HasSuffix(service, ".amazonaws.com") {
				return nil, malformed("Invalid principal in policy: \"SERVICE\":\"%s\"", clip(service))
			}
		}
	}
	return s, nil
}

// principal is how IAM shows a principal that was written as arn: the unique id of a deleted one, an account by its root.
func (m *IAM) principal(s *stored, arn string) string {
	if accountForm.MatchString(arn) {
		return "arn:aws:iam::" + arn + ":root"
	}
	if id := s.ids[arn]; id != "" && m.ids[id] != arn {
		return id
	}
	return arn
}

func (m *IAM) deleted(s *stored) bool {
	for arn, id := range s.ids {
		if m.ids[id] != arn {
			return true
		}
	}
	return false
}

func reversed(values []string) []string {
	out := slices.Clone(values)
	slices.Reverse(out)
	return out
}
