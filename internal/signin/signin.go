// Package signin opens AWS's console with a session's credentials, by the federation endpoint: the console's own Switch Role can't
// pass an external ID.
//
// It decides which endpoint a partition has. The address that it gives is a credential: whoever opens it within 15 minutes is in.
package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// hosts are sign-in and console of each partition.
var hosts = map[string]struct{ signin, console string }{
	"aws":        {"https://signin.aws.amazon.com", "console.aws.amazon.com"},
	"aws-cn":     {"https://signin.amazonaws.cn", "console.amazonaws.cn"},
	"aws-us-gov": {"https://signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com"},
}

// ErrPartition says that a partition's console isn't known.
var ErrPartition = errors.New("no console is known for this partition")

// Console says what to open. The zero Endpoint is AWS's.
type Console struct {
	Partition string // aws, aws-cn, aws-us-gov
	Region    string // empty: the console's own
	Service   string // as in its address: s3, ec2; empty: its home
	Endpoint  string // of an emulator, instead of AWS's sign-in
}

var (
	regionForm  = regexp.MustCompile(`^[a-z0-9-]{4,32}$`)
	serviceForm = regexp.MustCompile(`^[a-z0-9-]{2,40}$`)
)

// Destination is the page that is shown.
func (c Console) Destination() (string, error) {
	host, ok := hosts[c.Partition]
	switch {
	case !ok:
		return "", fmt.Errorf("%w: %.30q", ErrPartition, c.Partition)
	case c.Region != "" && !regionForm.MatchString(c.Region):
		return "", fmt.Errorf("%.40q is no Region", c.Region)
	case c.Service != "" && !serviceForm.MatchString(c.Service):
		return "", fmt.Errorf("%.40q is no service of the console's", c.Service)
	}
	u := url.URL{Scheme: "https", Host: host.console, Path: "/console/home"}
	if c.Service != "" {
		u.Path = "/" + c.Service + "/home"
	}
	if c.Region != "" {
		u.Host = c.Region + "." + u.Host
		u.RawQuery = url.Values{"region": {c.Region}}.Encode()
	}
	return u.String(), nil
}

// URL is the address that signs in, and shows the page. A session's duration isn't asked for: with the credentials of a role
// that a role assumed AWS refuses that, and the console ends with them.
func (c Console) URL(ctx context.Context, client *http.Client, creds aws.Credentials) (string, error) {
	page, err := c.Destination()
	if err != nil {
		return "", err
	}
	at := c.Endpoint
	if at == "" {
		at = hosts[c.Partition].signin
	}
	session, err := json.Marshal(map[string]string{"sessionId": creds.AccessKeyID, "sessionKey": creds.SecretAccessKey, "sessionToken": creds.SessionToken})
	if err != nil {
		return "", err
	}
	ask := at + "/federation?" + url.Values{"Action": {"getSigninToken"}, "Session": {string(session)}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ask, nil)
	if err != nil {
		return "", errors.New("asking for a sign-in: the endpoint is no address")
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking for a sign-in: %w", withoutAddress(err))
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	var out struct{ SigninToken string }
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(body, &out) != nil || out.SigninToken == "" {
		return "", fmt.Errorf("asking for a sign-in: HTTP %d", response.StatusCode)
	}
	return at + "/federation?" + url.Values{"Action": {"login"}, "Issuer": {"countersign"}, "Destination": {page}, "SigninToken": {out.SigninToken}}.Encode(), nil
}

// withoutAddress is an error of net/http without the address, which holds the credentials.
func withoutAddress(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
