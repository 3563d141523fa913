package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/grant"
)

var (
	principalARN  = form.New(`^arn:(aws[a-z-]*):iam::([0-9]{12}):((?:role|user)/[\w+=,.@/*?-]+)$`)
	principalForm = form.New(`^(role|user)/[\w+=,.@/*?-]+$`)
	accountARN    = form.New(`^arn:aws[a-z-]*:iam::[0-9]{12}:root$`)
	secretForm    = form.New(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:([\w/+=.@-]+)$`)
	busForm       = form.New(`^arn:aws[a-z-]*:events:[a-z0-9-]+:([0-9]{12}):event-bus/[\w./-]{1,256}$`)
	topicForm     = form.New(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]+(\.fifo)?$`)
)

// principals reads who of the provider's account may enter.
func (r *reader) principals(v value, account string) []string {
	if _, isList := v.asList(); isList && len(r.list(v, "principals")) == 0 && !r.reportedAt(v.field+"[0]") {
		r.errorf(v, "", "name some, or leave principals out: then the provider's account decides", "principals is empty")
		return nil
	}
	var out []string
	for _, item := range r.list(v, "principals") {
		s, ok := r.text(item, "a principal")
		if !ok {
			continue
		}
		m := principalARN.FindStringSubmatch(s)
		switch {
		case strings.Trim(s, "*") == "":
			r.errorf(item, "it looks like a limit and is none", "leave principals out, or - role/Engineers-*", `"*" lets in everything in the provider's account`)
		case m != nil && account != "" && m[2] != account:
			r.errorf(item, "account "+m[2], fmt.Sprintf("- %s", m[3]), "this principal is not in the provider's account %s", account)
		case m != nil || principalForm.MatchString(s) && !strings.Contains(s, "//"):
			if slices.Contains(out, s) {
				r.errorf(item, "", "keep one of the two", "%s stands twice", s)
				continue
			}
			out = append(out, s)
		case sessionForm.MatchString(s):
			r.errorf(item, "a session's aws:PrincipalArn is its role's ARN", "- role/"+sessionForm.FindStringSubmatch(s)[3], "this is one session of a role")
		case accountARN.MatchString(s) || isDigits(s):
			r.errorf(item, "", "leave principals out: the account itself is named above", "principals narrows the account down, and this is the account")
		default:
			r.errorf(item, "", "- role/Engineers-*", "a principal is role/…, user/… or such an ARN, * and ? allowed: %.100q", s)
		}
	}
	return out
}

// bus reads the provider's event bus. It may be in another account than the provider comes from, but hardly is.
func (r *reader) bus(v value, account string) string {
	arn, ok := r.text(v, "bus")
	if !ok {
		return ""
	}
	m := busForm.FindStringSubmatch(arn)
	switch {
	case m == nil:
		r.errorf(v, "", "bus: arn:aws:events:eu-west-1:111122223333:event-bus/countersign", "not an event bus's ARN: %.120q", arn)
		return ""
	case account != "" && m[1] != account:
		r.warnf(v, "events name operators and give their reasons", "make sure that it is the provider's", "the bus is in account %s, and the provider comes from %s", m[1], account)
	}
	return arn
}

// readPickUp reads in which ways the provider may read the external ID.
func (r *reader) readPickUp(v value, externalID bool) PickUp {
	switch {
	case !v.present():
		return PickUp{Session: externalID, Account: externalID}
	case !externalID:
		r.errorf(v, "", "leave it out, or externalId: true", "pickUp without an external ID: there is nothing to read")
		return PickUp{}
	}
	var p PickUp
	for _, item := range r.list(v, "pickUp") {
		way, ok := r.text(item, "a way")
		if !ok {
			continue
		}
		switch way {
		case "session":
			p.Session = true
		case "account":
			p.Account = true
		default:
			r.errorf(item, "", "- session", "pickUp is session, account or both: %.40q", way)
		}
	}
	if _, isList := v.asList(); isList && p == (PickUp{}) && !r.reportedAt(v.field+"[0]") {
		r.errorf(v, "", "pickUp: [session]", "pickUp is empty: nobody could read the external ID")
	}
	return p
}

// removeRevoked reads which grants a deploy may remove although they are revoked.
func (r *reader) removeRevoked(v value, w *whole) (names []grant.Name) {
	for _, item := range r.list(v, "removeRevoked") {
		text, ok := r.text(item, "a grant's name")
		if !ok {
			continue
		}
		name, err := grant.ParseName(text)
		_, stays := w.grants[name]
		switch {
		case err != nil:
			r.errorf(item, "", "", "not a grant's name: %.60q", text)
		case stays:
			r.errorf(item, "", "leave it out here, or take the grant out of the file", "grant %s is in this file: a deploy doesn't remove it", name)
		case slices.Contains(names, name):
			r.errorf(item, "", "keep one of the two", "%s stands twice", name)
		default:
			names = append(names, name)
		}
	}
	return names
}
