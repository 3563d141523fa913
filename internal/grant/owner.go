package grant

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/countersign/countersign/internal/form"
)

// ErrForeign says that something lies in another account, or belongs to another grant, than was accepted: for errors.Is. Its own
// words are no part of the error's.
var ErrForeign = errors.New("this is not the customer's")

// foreign is an error that is ErrForeign.
type foreign string

func (f foreign) Error() string      { return string(f) }
func (foreign) Is(target error) bool { return target == ErrForeign }

func foreignf(format string, args ...any) error { return foreign(fmt.Sprintf(format, args...)) }

// Owner is whose a role, a secret or an API has to be: a provider's customer, as a person accepted it. What secrets, tags and events
// say of places is held to it.
type Owner struct {
	Account string
	Grant   Name
	RoleARN string
	// SecretARN and ConfirmURL are those that were accepted; empty: any that is the grant's.
	SecretARN, ConfirmURL string
}

var (
	accountForm = form.New(`^[0-9]{12}$`)
	roleARNForm = form.New(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[\x21-\x7e]+/)?[\w+=,.@-]{1,64}$`)
	secretForm  = form.New(`^arn:(aws[a-z-]*):secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:([\w/+=.@-]+)-[A-Za-z0-9]{6}$`)
	prefixForm  = form.New(`^[a-z0-9]{4,32}$`)
	apiForm     = form.New(`^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)
	provesForm  = form.New(`^[A-Za-z0-9-]{32,56}$`) // so that confirm-<version> is a session's name
)

// longestPlace is the longest text that is looked at: AWS's ARNs and URLs are shorter.
const longestPlace = 2048

// CheckAccount refuses what is no AWS account's number.
func CheckAccount(account string) error {
	if !accountForm.MatchString(account) {
		return fmt.Errorf("account %.20q is not 12 digits", account)
	}
	return nil
}

// CheckPrefix refuses what a provider can't issue to stand before an external ID.
func CheckPrefix(prefix string) error {
	if !prefixForm.MatchString(prefix) {
		return fmt.Errorf("prefix %.40q: a prefix is 4 to 32 lower-case letters and digits", prefix)
	}
	return nil
}

// IsProvable says whether a text can be the version of a grant's secret, and part of the name of the session that confirms it.
func IsProvable(versionID string) bool { return provesForm.MatchString(versionID) }

// RoleAccount is the account of a role's ARN; empty where it is none.
func RoleAccount(arn string) string {
	if m := roleARNForm.FindStringSubmatch(arn); len(arn) <= longestPlace && m != nil {
		return m[2]
	}
	return ""
}

// SecretRegion is the Region of a secret's full ARN; empty where it is none.
func SecretRegion(arn string) string {
	if m := secretForm.FindStringSubmatch(arn); len(arn) <= longestPlace && m != nil {
		return m[2]
	}
	return ""
}

// CheckRole refuses what is no role of the account.
func (o Owner) CheckRole() error {
	switch account := RoleAccount(o.RoleARN); account {
	case "":
		return fmt.Errorf("%.150q is not a role's ARN", o.RoleARN)
	case o.Account:
		return nil
	default:
		return foreignf("the role is in account %s, not in %s", account, o.Account)
	}
}

// CheckSecret holds a secret's ARN to the owner: its partition and account, its grant's name, and the one that was accepted.
func (o Owner) CheckSecret(arn string) error {
	m, role := secretForm.FindStringSubmatch(arn), roleARNForm.FindStringSubmatch(o.RoleARN)
	switch {
	case len(arn) > longestPlace || m == nil || role == nil:
		return foreignf("%.200q is not a secret's ARN", arn)
	case m[1] != role[1] || m[3] != o.Account:
		return foreignf("the secret is in account %s", m[3])
	case m[4] != o.Grant.Secret():
		return foreignf("the secret is called %.80q", m[4])
	case o.SecretARN != "" && arn != o.SecretARN:
		return foreignf("the secret is another one than was accepted")
	}
	return nil
}

// CheckConfirm holds a confirm URL to the owner: an API of API Gateway in the secret's Region, and the grant's own path. endpoint is
// that of an emulator, which may stand in for AWS; empty: none does.
func (o Owner) CheckConfirm(raw, secretARN, endpoint string) error {
	if len(raw) > longestPlace {
		return foreignf("a confirm URL of %d characters", len(raw))
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
		return foreignf("%.200q is not where a grant is confirmed", raw)
	}
	if !strings.HasSuffix(u.Path, "/grants/"+string(o.Grant)+"/confirm") || strings.Contains(u.Path, "..") || strings.Count(u.Path, "/") != 4 {
		return foreignf("%.200q is not where grant %s is confirmed", raw, o.Grant)
	}
	if o.ConfirmURL != "" && raw != o.ConfirmURL {
		return foreignf("the confirm URL is another one than was accepted")
	}
	if e, err := url.Parse(endpoint); endpoint != "" && err == nil && e.Scheme == u.Scheme && e.Host == u.Host {
		return nil
	}
	m := apiForm.FindStringSubmatch(u.Host)
	if u.Scheme != "https" || m == nil || m[1] != SecretRegion(secretARN) {
		return foreignf("%.200q is no API of Region %s", raw, SecretRegion(secretARN))
	}
	return nil
}
