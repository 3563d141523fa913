package customers

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/countersign/countersign/internal/grant"
)

// ErrForeign says that a part of a binding lies in another account, or belongs to another grant, than the rest.
var ErrForeign = errors.New("this is not the customer's")

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	roleForm    = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[\x21-\x7e]+/)?[\w+=,.@-]{1,64}$`)
	secretForm  = regexp.MustCompile(`^arn:(aws[a-z-]*):secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:([\w/+=.@-]+)-[A-Za-z0-9]{6}$`)
	prefixForm  = regexp.MustCompile(`^[a-z0-9]{4,32}$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9-]{32,56}$`) // so that confirm-<version> is a session's name
	apiForm     = regexp.MustCompile(`^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)
)

// longest is the longest text that is looked at: AWS's ARNs and URLs are shorter.
const longest = 2048

// CheckAccount refuses what is no AWS account's number.
func CheckAccount(account string) error {
	if !accountForm.MatchString(account) {
		return fmt.Errorf("account %.20q is not 12 digits", account)
	}
	return nil
}

// CheckPrefix refuses what can't stand before an external ID.
func CheckPrefix(prefix string) error {
	if !prefixForm.MatchString(prefix) {
		return fmt.Errorf("prefix %.40q: a prefix is 4 to 32 lower-case letters and digits", prefix)
	}
	return nil
}

// IsVersion says whether a text can be the version of a grant's secret.
func IsVersion(id string) bool { return versionForm.MatchString(id) }

// CheckStatic refuses what is no ARN of a secret, as the provider keeps a fixed external ID in.
func CheckStatic(arn string) error {
	if len(arn) > longest || !secretForm.MatchString(arn) {
		return fmt.Errorf("%.200q is not a secret's full ARN", arn)
	}
	return nil
}

// CheckRole refuses what is no role of the binding's account.
func (b Binding) CheckRole() error {
	m := roleForm.FindStringSubmatch(b.RoleARN)
	switch {
	case len(b.RoleARN) > longest || m == nil:
		return fmt.Errorf("%.150q is not a role's ARN", b.RoleARN)
	case m[2] != b.Account:
		return fmt.Errorf("the role is in account %s, not in %s: %w", m[2], b.Account, ErrForeign)
	}
	return nil
}

// Check says what is wrong with a whole binding. It needs account, role and grant.
func (b Binding) Check() error {
	if err := CheckAccount(b.Account); err != nil {
		return err
	}
	if err := b.CheckRole(); err != nil {
		return err
	}
	if b.Prefix != "" {
		if err := CheckPrefix(b.Prefix); err != nil {
			return err
		}
	}
	if _, err := grant.ParseName(b.Grant); err != nil {
		return err
	}
	if b.SecretARN != "" {
		return b.CheckSecret(b.SecretARN)
	}
	return nil
}

// CheckSecret holds a secret's ARN to the binding: its partition and account, its grant's name, and the one that was accepted.
func (b Binding) CheckSecret(arn string) error {
	m, role := secretForm.FindStringSubmatch(arn), roleForm.FindStringSubmatch(b.RoleARN)
	switch {
	case len(arn) > longest || m == nil || role == nil:
		return fmt.Errorf("%.200q is not a secret's ARN: %w", arn, ErrForeign)
	case m[1] != role[1] || m[3] != b.Account:
		return fmt.Errorf("the secret is in account %s: %w", m[3], ErrForeign)
	case m[4] != grant.Name(b.Grant).Secret():
		return fmt.Errorf("the secret is called %.80q: %w", m[4], ErrForeign)
	case b.SecretARN != "" && arn != b.SecretARN:
		return fmt.Errorf("the secret is another one than was accepted: %w", ErrForeign)
	}
	return nil
}

// RegionOf is the Region of a secret's ARN; empty where it is none.
func RegionOf(secretARN string) string {
	if m := secretForm.FindStringSubmatch(secretARN); m != nil {
		return m[2]
	}
	return ""
}

// CheckConfirm holds a confirm URL to the binding: an API of API Gateway in the secret's Region, and the grant's own path.
// endpoint is that of an emulator, which may stand in for AWS; empty: none does.
func (b Binding) CheckConfirm(raw, secretARN, endpoint string) error {
	if len(raw) > longest {
		return fmt.Errorf("a confirm URL of %d characters: %w", len(raw), ErrForeign)
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
		return fmt.Errorf("%.200q is not where a grant is confirmed: %w", raw, ErrForeign)
	}
	if !strings.HasSuffix(u.Path, "/grants/"+b.Grant+"/confirm") || strings.Contains(u.Path, "..") || strings.Count(u.Path, "/") != 4 {
		return fmt.Errorf("%.200q is not where grant %s is confirmed: %w", raw, b.Grant, ErrForeign)
	}
	if e, err := url.Parse(endpoint); endpoint != "" && err == nil && e.Scheme == u.Scheme && e.Host == u.Host {
		return nil
	}
	m := apiForm.FindStringSubmatch(u.Host)
	if u.Scheme != "https" || m == nil || m[1] != RegionOf(secretARN) {
		return fmt.Errorf("%.200q is no API of Region %s: %w", raw, RegionOf(secretARN), ErrForeign)
	}
	return nil
}
