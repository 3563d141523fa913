package entry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/foreign"
	"github.com/countersign/countersign/provider"
)

// Cause is why somebody doesn't get in.
type Cause string

// The causes.
const (
	CauseUnknown     Cause = "unknown"      // no such customer
	CauseNoRegistry  Cause = "no registry"  // it can't be read
	CauseNotAccepted Cause = "not accepted" // invited or pending
	CauseNotBound    Cause = "not bound"    // what was read is not what was accepted
	CauseRevoked     Cause = "revoked"
	CauseExpired     Cause = "expired"
	CauseUnreadable  Cause = "unreadable" // no permission on the secret
	CauseDenied      Cause = "denied"     // AWS refuses every ID
	CauseNothing     Cause = "nothing"    // to prove or to confirm: there is no external ID, or it is fixed
	CauseNobody      Cause = "nobody"     // no credentials, or ended ones
	CauseClock       Cause = "clock"
	CauseOther       Cause = "other"
)

// Refusal says why somebody doesn't get in, and what to do.
type Refusal struct {
	Cause Cause  `json:"cause"`
	Says  string `json:"says"`
	Next  string `json:"next,omitempty"`

	err error
}

func (r *Refusal) Error() string { return r.Says }
func (r *Refusal) Unwrap() error { return r.err }

// ended and skewed are AWS's codes for credentials that are over, and for a clock that is wrong.
var (
	ended  = []string{"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"}
	skewed = []string{"RequestExpired", "RequestTimeTooSkewed", "InvalidSignatureException"}
)

// refuse finds the likely cause of an error.
func refuse(err error, c customers.Customer, base Base, now time.Time) error {
	r := &Refusal{Cause: CauseOther, Says: foreign.Text(err.Error()), err: err}
	who := cmp.Or(c.Name, "this role")
	set := func(cause Cause, next, format string, args ...any) error {
		r.Cause, r.Next, r.Says = cause, next, fmt.Sprintf(format, args...)
		return r
	}
	code := ""
	if answered := smithy.APIError(nil); errors.As(err, &answered) {
		code = answered.ErrorCode()
	}
	switch {
	case errors.Is(err, customers.ErrUnknown):
		return set(CauseUnknown, "countersign list customers shows all of them.", "%s", foreign.Text(err.Error()))
	case errors.Is(err, customers.ErrRevoked):
		return set(CauseRevoked, askToRestore(c), "%s", revoked(c))
	case errors.Is(err, customers.ErrExpired):
		return set(CauseExpired, fmt.Sprintf("Ask %s to set expires of %s anew and to deploy.", who, cmp.Or(c.Grant, "the grant")), "this access to %s ended%s", who, on(cmp.Or(c.Since, c.Expires)))
	case errors.Is(err, customers.ErrNotAccepted):
		return set(CauseNotAccepted, notAccepted(c), "%s is %s: nobody has accepted it", who, cmp.Or(string(c.State), "unknown"))
	case errors.Is(err, provider.ErrNotAccepted):
		return set(CauseNotBound, "Nothing was done with it. Ask the customer what changed; countersign customers accept takes a new binding.", "%s", foreign.Text(err.Error()))
	case slices.Contains(skewed, code), code == "SignatureDoesNotMatch" && strings.Contains(err.Error(), "ignature expired"), strings.Contains(err.Error(), "not yet current"):
		return set(CauseClock, "Set the clock: AWS takes requests within 5 minutes of its own.", "AWS takes no request of this machine's time, %s", now.UTC().Format(time.RFC3339))
	case slices.Contains(ended, code):
		return set(CauseNobody, "countersign creds load", "your own credentials have ended (%s)", code)
	case errors.Is(err, errRegistry):
		return set(CauseNoRegistry, "--customers or COUNTERSIGN_CUSTOMERS names it, --region says where; you need dynamodb:BatchGetItem and dynamodb:Query on it.", "%s", foreign.Text(err.Error()))
	case base.ARN == "" && code == "":
		return set(CauseNobody, "countersign creds load", "you have no AWS credentials, or AWS can't be reached: %s", foreign.Text(lastOf(err)))
	case errors.Is(err, provider.ErrUnread), errors.Is(err, errStatic):
		return set(CauseUnreadable, unreadable(c), "%s may not read the external ID of %s", identity(base), who)
	case errors.Is(err, provider.ErrDenied):
		return set(CauseDenied, denied(c, base), "AWS refuses %s for %s", cmp.Or(c.RoleARN, "the role"), identity(base))
	}
	return r
}

// revoked is when, by whom, and why, as the customer says it.
func revoked(c customers.Customer) string {
	by := ""
	if c.RevokedBy != "" {
		by = " by " + foreign.Text(c.RevokedBy[strings.LastIndexByte(c.RevokedBy, '/')+1:])
	}
	reason := "without a reason"
	if c.Reason != "" {
		reason = "(" + foreign.Text(fmt.Sprintf("%q", c.Reason)) + ")"
	}
	return fmt.Sprintf("%s revoked this access%s%s %s", c.Name, on(c.Since), by, reason)
}

func askToRestore(c customers.Customer) string {
	return fmt.Sprintf("Ask %s to run: countersign restore %s", c.Name, cmp.Or(c.Grant, "GRANT"))
}

func on(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " on " + t.UTC().Format("2 Jan 2006 15:04 UTC")
}

func notAccepted(c customers.Customer) string {
	if c.State == customers.StateInvited {
		return fmt.Sprintf("Account %s has said nothing yet: ask the customer to deploy, with your event bus as destination.", c.Account)
	}
	return "Somebody who may writes it: countersign customers accept " + c.Name
}

func unreadable(c customers.Customer) string {
	if c.Kind == customers.KindStatic {
		return "Your role needs secretsmanager:GetSecretValue on " + c.StaticSecretARN
	}
	teams := "no team"
	if len(c.Teams) > 0 {
		teams = strings.Join(c.Teams, ", ")
	}
	return fmt.Sprintf("Likely causes: you are in none of its teams (%s); its pickUp has no account; or it revoked the access just now.", teams)
}

func denied(c customers.Customer, base Base) string {
	switch c.Kind {
	case KindAdHoc:
		return "Likely causes: a wrong external ID; a trust policy that lets in another account or role than yours."
	case customers.KindStatic, customers.KindNone:
		return "Likely causes: its trust policy or external ID changed; your role may not assume it. Ask the customer."
	}
	return fmt.Sprintf("Likely causes: it revoked the access just now; it lets in another account than %s; your role may not assume it.", base.Account)
}

func identity(b Base) string { return foreign.Text(b.ARN[strings.LastIndexByte(b.ARN, ':')+1:]) }

// lastOf is the innermost text of an error.
func lastOf(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}
