package trust

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// principalKind says what a principal names.
type principalKind int

const (
	principalUnclear   principalKind = iota // a placeholder, a wildcard inside an ARN, anything else that isn't understood
	principalEveryone                       // "*"
	principalAccount                        // 12 digits, or the root ARN
	principalUser                           // IAM user
	principalRole                           // IAM role: its sessions
	principalSession                        // one assumed-role session
	principalFederated                      // federated user of STS
	principalDeleted                        // the unique id that IAM shows for a deleted user or role
	principalService                        // AWS service
	principalOther                          // identity provider or canonical user: never an AWS principal
)

// principal is one entry of a Principal element, or a caller.
type principal struct {
	raw       string
	kind      principalKind
	partition string // "" where it isn't known
	account   string
	name      string // last part of a role's, session's role's name
}

var (
	uniqueID  = regexp.MustCompile(`^(?:AIDA|AROA|AGPA|AIPA|ANPA|ANVA)[A-Z0-9]{4,}(?::.*)?$`)
	partition = regexp.MustCompile(`^aws(?:-[a-z]+)*$`)
)

// isEntityName says whether a text has the characters of users' and roles' paths and names.
func isEntityName(s string) bool {
	for i := range len(s) {
		if s[i] == ':' || !isIDByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isAccountID(s string) bool { return len(s) == 12 && isDigits(s) }

// readPrincipal reads an AWS principal.
func readPrincipal(raw string) principal {
	p := principal{raw: raw}
	switch {
	case raw == "*":
		p.kind = principalEveryone
		return p
	case isAccountID(raw):
		p.kind, p.account = principalAccount, raw
		return p
	case raw != "" && raw[0] == 'A' && uniqueID.MatchString(raw):
		p.kind = principalDeleted
		return p
	}
	parts, ok := arnParts(raw)
	if !ok || parts[0] != "arn" || parts[1] != "aws" && !partition.MatchString(parts[1]) || parts[3] != "" || !isAccountID(parts[4]) {
		return p
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	if rest != "" && !isEntityName(rest) {
		return p
	}
	p.partition, p.account = parts[1], parts[4]
	switch {
	case parts[2] == "iam" && parts[5] == "root":
		p.kind = principalAccount
	case parts[2] == "iam" && kind == "user" && rest != "":
		p.kind, p.name = principalUser, rest
	case parts[2] == "iam" && kind == "role" && rest != "":
		p.kind, p.name = principalRole, rest[strings.LastIndexByte(rest, '/')+1:]
	case parts[2] == "sts" && kind == "assumed-role" && strings.Count(rest, "/") == 1:
		p.kind = principalSession
		p.name, _, _ = strings.Cut(rest, "/")
	case parts[2] == "sts" && kind == "federated-user" && rest != "":
		p.kind, p.name = principalFederated, rest
	}
	return p
}

// readPrincipals reads a Principal element. ok is false where its shape isn't understood: it may then name anybody.
func readPrincipals(v *hujson.Value) (ps principals, ok bool) {
	ps.set = true
	defer func() {
		if !ok {
			ps.list = append(ps.list, principal{kind: principalUnclear})
		}
	}()
	if s, isText := literalText(v.Value); isText {
		if s != "*" {
			return ps, false
		}
		ps.list = []principal{{raw: s, kind: principalEveryone}}
		return ps, true
	}
	o, isObject := v.Value.(*hujson.Object)
	if !isObject {
		return ps, false
	}
	for i := range o.Members {
		values, readable := texts(&o.Members[i].Value)
		if !readable {
			return ps, false
		}
		kind := nameOf(&o.Members[i])
		for _, raw := range values {
			switch kind {
			case "AWS":
				ps.list = append(ps.list, readPrincipal(raw))
			case "Service":
				ps.list = append(ps.list, principal{raw: raw, kind: principalService})
			case "Federated", "CanonicalUser":
				ps.list = append(ps.list, principal{raw: raw, kind: principalOther, name: kind})
			default:
				return ps, false
			}
		}
	}
	return ps, true
}

// matches says whether an entry of a Principal element covers a caller.
func (p principal) matches(caller principal, callerRole string) truth {
	switch p.kind {
	case principalEveryone:
		return yes
	case principalUnclear:
		return maybe
	case principalDeleted, principalOther:
		return no
	case principalService:
		return truthOf(caller.kind == principalService && caller.raw == p.raw)
	}
	if caller.account != p.account || p.partition != "" && caller.partition != "" && p.partition != caller.partition {
		return no
	}
	switch p.kind {
	case principalAccount:
		return yes
	case principalRole:
		switch caller.kind {
		case principalRole:
			return truthOf(caller.raw == p.raw)
		case principalSession:
			return truthOf(caller.name == p.name)
		}
		return truthOf(callerRole != "" && callerRole == p.raw)
	}
	return truthOf(caller.raw == p.raw)
}

// identities are the names under which a caller stands for NotPrincipal: itself, a session's role, its account.
func identities(caller principal) []principal {
	ids := []principal{caller}
	if caller.kind == principalSession {
		ids = append(ids, principal{kind: principalRole, partition: caller.partition, account: caller.account, name: caller.name})
	}
	if caller.kind != principalAccount && caller.account != "" {
		ids = append(ids, principal{kind: principalAccount, partition: caller.partition, account: caller.account})
	}
	return ids
}

// lists says whether one of a caller's names is listed as such.
func (ps principals) lists(id principal) truth {
	t := no
	for _, p := range ps.list {
		switch {
		case p.kind == principalEveryone:
			return yes
		case p.kind == principalUnclear:
			t = maybe
		case p.kind != id.kind || p.account != id.account:
		case p.kind == principalAccount, p.kind == principalRole && id.raw == "" && p.name == id.name, p.raw == id.raw:
			return yes
		}
	}
	return t
}

// matchPrincipal says whether a statement speaks about a caller.
func (s *statement) matchPrincipal(caller principal, callerRole string) truth {
	if s.notPrincipals.set {
		all, none := yes, no
		for _, id := range identities(caller) {
			t := s.notPrincipals.lists(id)
			all, none = and(all, t), or(none, t)
		}
		switch {
		case none == no:
			return yes
		case all == yes:
			return no
		}
		return maybe
	}
	t := no
	for _, p := range s.principals.list {
		if t = or(t, p.matches(caller, callerRole)); t == yes {
			return yes
		}
	}
	return t
}

// canonical is a principal's text without differences of writing: an account's id for its root ARN.
func (p principal) canonical() string {
	switch p.kind {
	case principalAccount:
		return "AWS:" + p.account
	case principalEveryone:
		return "*"
	case principalService:
		return "Service:" + p.raw
	case principalOther:
		return p.name + ":" + p.raw
	}
	return "AWS:" + p.raw
}

// covers says whether whoever q names is among those that p names.
func (p principal) covers(q principal) bool {
	if p.kind == principalAccount {
		return q.account == p.account && (p.partition == "" || q.partition == "" || p.partition == q.partition)
	}
	if p.kind == principalRole && q.kind == principalSession {
		return p.account == q.account && p.name == q.name && p.partition == q.partition
	}
	return p.kind != principalUnclear && p.canonical() == q.canonical()
}

// coveredBy says whether one of many covers p.
func (p principal) coveredBy(many []principal) bool {
	return slices.ContainsFunc(many, func(q principal) bool { return q.covers(p) })
}

// touches says whether p and q can be the same caller.
func (p principal) touches(q principal) bool {
	return p.kind == principalEveryone || q.kind == principalEveryone || p.covers(q) || q.covers(p)
}
