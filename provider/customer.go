package provider

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/countersign/countersign/internal/grant"
)

// Customer is what was accepted when the customer connected. Take RoleARN from the customer's own words once, look at it, and
// never from a message afterwards.
type Customer struct {
	Name    string `json:"name"`    // yours: the key in the Store
	Account string `json:"account"` // 12 digits
	RoleARN string `json:"roleArn"`
	Grant   string `json:"grant"`
	// Prefix is what you issued to this customer and to no other, so that no customer can have you use another one's ID; empty:
	// none.
	Prefix string `json:"prefix,omitempty"`
	// SecretARN and ConfirmURL are where the external ID is read and confirmed. Empty: as the role's tags and events say, as long
	// as that is in this account and of this grant.
	SecretARN  string `json:"secretArn,omitempty"`
	ConfirmURL string `json:"confirmUrl,omitempty"`
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	roleForm    = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[\x21-\x7e]+/)?[\w+=,.@-]{1,64}$`)
	secretForm  = regexp.MustCompile(`^arn:(aws[a-z-]*):secretsmanager:([a-z0-9-]+):([0-9]{12}):secret:([\w/+=.@-]+)-[A-Za-z0-9]{6}$`)
	prefixForm  = regexp.MustCompile(`^[a-z0-9]{4,32}$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9-]{32,56}$`) // so that confirm-<version> is a session's name
	apiForm     = regexp.MustCompile(`^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)
)

// Validate says what is wrong with a customer before anything is done with it.
func (c Customer) Validate() error {
	m := roleForm.FindStringSubmatch(c.RoleARN)
	switch {
	case c.Name == "":
		return fmt.Errorf("a customer needs a name")
	case !accountForm.MatchString(c.Account):
		return fmt.Errorf("customer %s: account %.20q is not 12 digits", c.Name, c.Account)
	case m == nil:
		return fmt.Errorf("customer %s: %.150q is not a role's ARN", c.Name, c.RoleARN)
	case m[2] != c.Account:
		return fmt.Errorf("customer %s: the role is in account %s, not in %s: %w", c.Name, m[2], c.Account, ErrNotAccepted)
	case c.Prefix != "" && !prefixForm.MatchString(c.Prefix):
		return fmt.Errorf("customer %s: a prefix is 4 to 32 lower-case letters and digits", c.Name)
	}
	if _, err := grant.ParseName(c.Grant); err != nil {
		return fmt.Errorf("customer %s: %w", c.Name, err)
	}
	if c.SecretARN != "" {
		if err := c.checkSecret(c.SecretARN); err != nil {
			return err
		}
	}
	return nil
}

func (c Customer) refuse(format string, args ...any) error {
	return fmt.Errorf("customer %s: %s: %w", c.Name, fmt.Sprintf(format, args...), ErrNotAccepted)
}

// checkSecret holds a secret's ARN to the customer: its partition and account, its grant's name, and the one that was accepted.
func (c Customer) checkSecret(arn string) error {
	m, role := secretForm.FindStringSubmatch(arn), roleForm.FindStringSubmatch(c.RoleARN)
	switch {
	case m == nil || role == nil:
		return c.refuse("%.200q is not a secret's ARN", arn)
	case m[1] != role[1] || m[3] != c.Account:
		return c.refuse("the secret is in account %s", m[3])
	case m[4] != grant.Name(c.Grant).Secret():
		return c.refuse("the secret is called %.80q", m[4])
	case c.SecretARN != "" && arn != c.SecretARN:
		return c.refuse("the secret is another one than was accepted")
	}
	return nil
}

// regionOf is the Region of a secret's ARN that checkSecret let through.
func regionOf(secretARN string) string { return secretForm.FindStringSubmatch(secretARN)[2] }

// checkConfirm holds a confirm URL to the customer: an API of API Gateway in the secret's Region, and the grant's own path.
// endpoint is that of an emulator, which may stand in for AWS; empty: none does.
func (c Customer) checkConfirm(raw, secretARN, endpoint string) error {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
		return c.refuse("%.200q is not where a grant is confirmed", raw)
	}
	if !strings.HasSuffix(u.Path, "/grants/"+c.Grant+"/confirm") || strings.Contains(u.Path, "..") || strings.Count(u.Path, "/") != 4 {
		return c.refuse("%.200q is not where grant %s is confirmed", raw, c.Grant)
	}
	if c.ConfirmURL != "" && raw != c.ConfirmURL {
		return c.refuse("the confirm URL is another one than was accepted")
	}
	if e, err := url.Parse(endpoint); endpoint != "" && err == nil && e.Scheme == u.Scheme && e.Host == u.Host {
		return nil
	}
	m := apiForm.FindStringSubmatch(u.Host)
	if u.Scheme != "https" || m == nil || m[1] != regionOf(secretARN) {
		return c.refuse("%.200q is no API of Region %s", raw, regionOf(secretARN))
	}
	return nil
}

// decode reads the external ID from a secret's value, which is foreign input.
func (c Customer) decode(value []byte) (ExternalID, error) {
	id, err := grant.Plan{Grant: grant.Name(c.Grant), RoleARN: c.RoleARN, Prefix: c.Prefix}.DecodeValue(value)
	if err != nil {
		return ExternalID{}, fmt.Errorf("customer %s: %w: %w", c.Name, ErrNotAccepted, err)
	}
	return id, nil
}
