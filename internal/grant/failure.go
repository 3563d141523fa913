package grant

import (
	"errors"
	"strings"

	"github.com/countersign/countersign/internal/trust"
)

// Failure is a rotation that was refused for a reason which a person has to look at. Its text is what FactFailed's tag
// holds, so that others can tell the reason later.
type Failure struct {
	VersionID string
	Step      string
	Code      string // one of the codes of failures
}

// failure is what a code means.
type failure struct {
	code   string
	kind   error
	reason string
	next   string
}

// failures are the errors that need a person, the most telling first. Others pass by themselves, or belong to a step that
// came too late.
var failures = []failure{
	{"overlap-open", ErrOverlapOpen, "the previous external ID is still accepted",
		"wait until its deadline, or end it at once: countersign rotate GRANT --leaked"},
	{"unconfirmed", ErrUnconfirmed, "the provider has not confirmed the current external ID, so the one before it is still accepted",
		"ask the provider to confirm it; if it uses it, confirm by hand: countersign confirm GRANT; to end both at once: countersign rotate GRANT --leaked"},
	{"not-issued", ErrNotIssued, "the external IDs of this grant are the provider's, and none was handed over for this rotation",
		"hand over the new one: countersign rotate GRANT --to -"},
	{"not-adopted", ErrNotAdopted, "the role is to be adopted, and its own external ID was not handed over yet",
		"hand it over: countersign adopt ROLE-ARN"},
	{"closed", ErrClosed, "the grant is revoked",
		"nothing, if that is meant; a revoked grant gets no first external ID"},
	{"other-role", ErrOtherRole, "the secret's current value names another role than the plan",
		"deploy again: that makes a first external ID for the new role"},
	{"foreign-value", ErrForeignValue, "the secret holds a value that Countersign did not make for this grant",
		"find out who wrote it, move AWSCURRENT back to the version before (aws secretsmanager update-secret-version-stage), then: countersign rotate GRANT"},
	{"backwards", ErrBackwards, "the secret's staging labels run backwards in time",
		"find out who moved them (CloudTrail: UpdateSecretVersionStage) and move AWSCURRENT to the newest version"},
	{"drift", ErrDrift, "the role's trust policy does not accept the external ID that it should",
		"wait some minutes, in which the trust policy is mended, or look: countersign show GRANT"},
	{"unmodifiable", ErrUnmodifiable, "AWS lets nobody edit this role",
		"take a role of your own for this grant"},
	{"malformed", ErrMalformed, "IAM refused the trust policy, as it does once one of its principals was deleted",
		"check that the provider's principals in access.yaml exist, then deploy again; until then the external IDs stay valid as they are"},
	{"quota", ErrQuota, "the trust policy would be over its quota",
		"name fewer principals or conditions, or have the quota of trust policies raised"},
	{"refused", trust.ErrRefused, "the trust policy can't be edited safely",
		"look at the statement: countersign show GRANT"},
	{"denied", ErrDenied, "Countersign's function lacks a permission",
		"look for a permissions boundary or an organisation's policy, and deploy again"},
	{"unconfigured", ErrNotConfigured, "the grant is not configured",
		"deploy again"},
	{Stuck, nil, "the rotation stopped half-way, and Secrets Manager starts no other one while its version is pending",
		"give it up by a rotation that does, and that ends the current external ID at once: countersign rotate GRANT --leaked"},
}

// Stuck is the code of a rotation that nobody refused and nobody goes on with. Reconcile finds it by its age.
const Stuck = "stuck"

// FailureOf says whether an error of a rotation's step needs a person.
func FailureOf(err error, versionID, step string) (Failure, bool) {
	for _, f := range failures {
		if f.kind != nil && errors.Is(err, f.kind) {
			return Failure{versionID, step, f.code}, true
		}
	}
	return Failure{}, false
}

// String is what the tag holds.
func (f Failure) String() string { return f.VersionID + " " + f.Step + " " + f.Code }

// ParseFailure reads a tag. What it can't read comes back with as much as there is.
func ParseFailure(tag string) Failure {
	var f Failure
	f.VersionID, tag, _ = strings.Cut(tag, " ")
	f.Step, f.Code, _ = strings.Cut(tag, " ")
	return f
}

// Lasts says whether trying the same rotation again can't help. Some refusals pass: IAM refuses a principal that is new
// for a moment, and reconcile mends drift.
func (f Failure) Lasts() bool {
	switch f.Code {
	case "drift", "malformed", "denied", "":
		return false
	}
	return true
}

// Meant says whether nobody has to be woken by it: the rotation was refused because of what an operator did on purpose, or
// because it has to wait for the provider.
func (f Failure) Meant() bool {
	return f.Code == "overlap-open" || f.Code == "closed" || f.Code == "not-adopted" || f.Code == "unconfirmed" // which has an alarm of its own
}

// Words are the reason and what to do next, for people.
func (f Failure) Words(name Name) (reason, next string) {
	for _, known := range failures {
		if known.code == f.Code {
			return known.reason, strings.ReplaceAll(known.next, "GRANT", string(name))
		}
	}
	return "the rotation was refused", "look at the log of countersign-rotate"
}
