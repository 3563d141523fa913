package grant

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/form"
)

// The bodies of the inline policy CountersignRevocation. OpenRevocation stands in the template and is frozen: changing a
// byte of it makes the next deploy overwrite the Deny of every revoked grant, which reopens them. DenyRevocation is what
// somebody writes by hand; a Deny of ours has the revoke id in its Sid, so that IAM itself tells which revocation stands.
const (
	OpenRevocation = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignOpen","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"1970-01-01T00:00:00Z"}}}]}`
	DenyRevocation = `{"Version":"2012-10-17","Statement":[{"Sid":"` + sidRevoked + `","Effect":"Deny","Action":"*","Resource":"*"}]}`
)

const (
	sidRevoked  = "CountersignRevoked"
	sidIntent   = "RestoreTo"
	sidRestored = "CountersignRestored"
)

// RevokeLine is the one AWS CLI call that takes a role's access away, live sessions included, without any part of
// Countersign. Running it again does no harm.
func RevokeLine(roleName string) string {
	return "aws iam put-role-policy --role-name " + roleName + " --policy-name " + RevocationPolicy +
		" --policy-document '" + DenyRevocation + "'"
}

// DenyFor is the Deny of a revocation. An id that is not of NewRevokeID's form is left out.
func DenyFor(revokeID string) []byte {
	if !revokeIDForm.MatchString(revokeID) {
		return []byte(DenyRevocation)
	}
	return withSid(sidRevoked + strings.ReplaceAll(revokeID, "-", ""))
}

// RestoreIntent is the same Deny, with the version that may reopen the grant in its Sid; see RestoreToken. Only who may
// write the role's policies can write it, which is why nothing else needs to be believed of a restore.
func RestoreIntent(versionID string) []byte {
	return withSid(sidIntent + strings.ReplaceAll(versionID, "-", ""))
}

func withSid(sid string) []byte {
	return []byte(strings.Replace(DenyRevocation, sidRevoked, sid, 1))
}

// RestoreMargin is how long after a restore sessions still count as old ones. It covers the time in which a data plane of
// IAM that lags lets somebody in by what the trust policy said before (two minutes), and the check behind a revocation
// that a restore has overwritten (one).
const RestoreMargin = 3 * time.Minute

// RestoredRevocation is what stays of a Deny once the grant is restored: sessions issued before a time are refused.
func RestoredRevocation(before time.Time) []byte {
	return fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Sid":"`+sidRestored+`","Effect":"Deny","Action":"*","Resource":"*",`+
		`"Condition":{"DateLessThan":{"aws:TokenIssueTime":"%s"}}}]}`, before.UTC().Format(time.RFC3339))
}

// Revocation is what an inline policy CountersignRevocation says.
type Revocation struct {
	Denies    bool   // everything, without a condition
	RevokeID  string // of the revocation that the Deny is of; empty where it was written by hand
	RestoreTo string // version id that may reopen the grant; empty where nobody asked for a restore

	DeadBefore time.Time // sessions issued before are refused, from the last restore on; zero: there was none
	Released   bool      // the role was given back, see ReleasedRevocation
}

var (
	revokeIDForm  = form.New(`^rv-\d{8}T\d{6}Z-[0-9a-f]{8}$`)
	revokedForm   = form.New(`^` + sidRevoked + `rv(\d{8}T\d{6}Z)([0-9a-f]{8})$`)
	intentForm    = form.New(`^` + sidIntent + `restore(\d{8}T\d{6}Z)([0-9a-f]{8})([0-9a-f]{8})$`)
	restoreIDForm = form.New(`^restore-(\d{8}T\d{6}Z)-([0-9a-f]{8})-[0-9a-f]{8}$`)
)

// ReadRevocation reads the policy; nil is none. One that can't be read counts as a Deny: what we don't understand must
// not open. An intent counts only where the policy says nothing else.
func ReadRevocation(inline []byte) Revocation {
	if len(inline) == 0 || string(inline) == OpenRevocation { // which says nothing
		return Revocation{}
	}
	statements, ok := readIdentityPolicy(inline)
	if !ok {
		return Revocation{Denies: true}
	}
	i := slices.IndexFunc(statements, identityStatement.deniesAll)
	if i < 0 {
		return Revocation{DeadBefore: deadBefore(statements), Released: isReleased(statements)}
	}
	r := Revocation{Denies: true}
	if len(statements) > 1 {
		return r
	}
	sid := statements[i].Sid
	if m := revokedForm.FindStringSubmatch(sid); m != nil {
		r.RevokeID = "rv-" + m[1] + "-" + m[2]
	}
	if m := intentForm.FindStringSubmatch(sid); m != nil {
		r.RevokeID, r.RestoreTo = "rv-"+m[1]+"-"+m[2], "restore-"+m[1]+"-"+m[2]+"-"+m[3]
	}
	return r
}

// deadBefore is the date of RestoredRevocation.
func deadBefore(statements []identityStatement) (at time.Time) {
	if len(statements) != 1 || statements[0].Sid != sidRestored {
		return at
	}
	dates, _ := statements[0].Condition["DateLessThan"].(map[string]any)
	date, _ := dates["aws:TokenIssueTime"].(string)
	at, _ = time.Parse(time.RFC3339, date)
	return at
}

// isReleased knows ReleasedRevocation by its Sid: what it says besides denies nobody.
func isReleased(statements []identityStatement) bool {
	return len(statements) == 1 && statements[0].Sid == sidReleased
}

// NewRevokeID names one revocation: "rv-", the time, eight hex digits.
func NewRevokeID(now time.Time, rand io.Reader) (string, error) {
	suffix, err := eightDigits(rand)
	if err != nil {
		return "", err
	}
	return "rv-" + now.UTC().Format("20060102T150405Z") + "-" + suffix, nil
}

// IsRevokeID says whether a text has the form of NewRevokeID.
func IsRevokeID(s string) bool { return revokeIDForm.MatchString(s) }

// RestoreToken is the version id of the rotation that undoes a revocation: "restore-", the revoke id without "rv-", eight
// hex digits.
func RestoreToken(revokeID string, rand io.Reader) (string, error) {
	if !revokeIDForm.MatchString(revokeID) {
		return "", fmt.Errorf("%.60q is no revoke id", revokeID)
	}
	suffix, err := eightDigits(rand)
	if err != nil {
		return "", err
	}
	return "restore-" + strings.TrimPrefix(revokeID, "rv-") + "-" + suffix, nil
}

// UndoneBy is the revoke id that a version of RestoreToken undoes, empty for any other version.
func UndoneBy(versionID string) string {
	m := restoreIDForm.FindStringSubmatch(versionID)
	if m == nil {
		return ""
	}
	return "rv-" + m[1] + "-" + m[2]
}

func eightDigits(rand io.Reader) (string, error) {
	buf := make([]byte, 4)
	if _, err := io.ReadFull(rand, buf); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(buf), nil
}

// oneOrMany reads IAM's scalar-or-list.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

type identityStatement struct {
	Sid, Effect      string
	Action, Resource oneOrMany
	Condition        map[string]any
}

func (s identityStatement) deniesAll() bool {
	return s.Effect == "Deny" && len(s.Condition) == 0 && slices.Contains(s.Action, "*") && slices.Contains(s.Resource, "*")
}

// readIdentityPolicy reads a policy's statements, be they a list or one alone.
func readIdentityPolicy(src []byte) ([]identityStatement, bool) {
	var policy struct{ Statement json.RawMessage }
	if json.Unmarshal(src, &policy) != nil {
		return nil, false
	}
	var many []identityStatement
	if json.Unmarshal(policy.Statement, &many) == nil {
		return many, true
	}
	one := make([]identityStatement, 1)
	return one, json.Unmarshal(policy.Statement, &one[0]) == nil
}
