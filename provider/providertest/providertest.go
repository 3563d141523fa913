// Package providertest is a customer for tests of code that uses package provider, or any AWS SDK: an account on this machine whose
// STS, Secrets Manager and confirm endpoint behave as AWS's and Countersign's do. Countersign's own functions rotate and revoke
// there; the trust policy decides who gets in.
//
//	account := providertest.New(t)
//	client := provider.New(account.Config(), account.Store(), provider.Options{})
//	creds, err := client.Enter(ctx, account.Customer())
//	account.Rotate()
package providertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sandbox"
	"github.com/countersign/countersign/provider"
)

// TB is what of testing.TB an Account needs.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Account is a customer's account with one open grant. It is safe for concurrent use.
type Account struct {
	t      TB
	server *sandbox.Server
	url    string
}

// Call is one that the account has answered, see Calls.
type Call = sandbox.Call

// New makes an account that lives as long as the test.
func New(t TB) *Account {
	t.Helper()
	a := &Account{t: t}
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.server.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	a.url = listener.URL
	var err error
	if a.server, err = sandbox.New(sandbox.Config{URL: a.url}); err != nil {
		t.Fatal(err)
	}
	return a
}

// URL is where the account answers: AWS_ENDPOINT_URL for programs in other languages.
func (a *Account) URL() string { return a.url }

// Config has the credentials of the principal whom the customer lets in. It may do nothing but sts:AssumeRole.
func (a *Account) Config() aws.Config { return a.as("AKIDPROVIDER") }

// Stranger has credentials of somebody whom the customer doesn't know.
func (a *Account) Stranger() aws.Config { return a.as("STRANGER") }

func (a *Account) as(key string) aws.Config {
	return aws.Config{
		Region: sandbox.Region, BaseEndpoint: &a.url, HTTPClient: &http.Client{Timeout: 10 * time.Second},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key, SecretAccessKey: "sandbox"}, nil
		}),
	}
}

// Customer is what a provider accepts of the customer when it connects.
func (a *Account) Customer() provider.Customer {
	f := a.server.Facts(context.Background())
	return provider.Customer{
		Name: "acme", Account: f.Account, RoleARN: f.RoleARN, Grant: f.Grant, Prefix: f.Prefix, SecretARN: f.SecretARN, ConfirmURL: f.ConfirmURL,
	}
}

// Store has the external ID that the customer hands over, and knows nothing of its version yet.
func (a *Account) Store() provider.Store {
	a.t.Helper()
	id, err := a.server.FirstID()
	if err != nil {
		a.t.Fatal(err)
	}
	var m provider.Memory
	if err := m.Save(context.Background(), "acme", provider.State{ID: id}); err != nil {
		a.t.Fatal(err)
	}
	return &m
}

// Version is the id of the version that is current.
func (a *Account) Version() string { return a.server.Facts(context.Background()).VersionID }

// Kept says whether the ID before the current one stays until somebody confirms.
func (a *Account) Kept() bool { return a.server.Facts(context.Background()).Kept }

// Until is when the ID before the current one ends; zero: it has, or it is Kept.
func (a *Account) Until() time.Time { return a.server.Facts(context.Background()).Until }

// Clock is the account's time. It runs ahead of this machine's: rotations wait there, and take no time here.
func (a *Account) Clock() time.Time { return a.server.Facts(context.Background()).Clock }

// Calls are what was answered so far, the first one first.
func (a *Account) Calls() []Call { return a.server.Calls() }

// Rotate rotates the external ID; the one before goes on for a day, and until somebody confirms, if whenUnconfirmed has it so.
func (a *Account) Rotate() { a.must(a.server.Rotate(context.Background(), false)) }

// Leak rotates the external ID; the one before ends at once.
func (a *Account) Leak() { a.must(a.server.Rotate(context.Background(), true)) }

// Expire lets the clock go on to where the ID before ends.
func (a *Account) Expire() { a.must(a.server.Expire(context.Background())) }

// Revoke takes the access away, live sessions included.
func (a *Account) Revoke() { a.must(a.server.Revoke(context.Background())) }

// Restore gives it back, with a new external ID.
func (a *Account) Restore() { a.must(a.server.Restore(context.Background())) }

// Wait lets the clock go on.
func (a *Account) Wait(d time.Duration) { a.must(a.server.Wait(context.Background(), d)) }

// Confirm confirms the current external ID by hand, as an operator of the customer's does.
func (a *Account) Confirm() { a.must(a.server.Confirm(context.Background())) }

// WhenUnconfirmed deploys the grant anew with auto (as it begins), cut or extend.
func (a *Account) WhenUnconfirmed(how string) {
	a.must(a.server.Deploy(context.Background(), grant.Unconfirmed(how), nil))
}

// ProviderMay deploys the grant anew with what its provider may ask for: confirm, rotate, or nothing. It begins with both.
func (a *Account) ProviderMay(acts ...string) {
	may := []grant.ProviderAct{}
	for _, act := range acts {
		may = append(may, grant.ProviderAct(act))
	}
	a.must(a.server.Deploy(context.Background(), "", may))
}

// Lag makes IAM show later changes that much later to those who enter.
func (a *Account) Lag(d time.Duration) { a.must(a.server.Lag(context.Background(), d)) }

// Poison puts a value into the grant's secret as its current version, as nobody in the account could.
func (a *Account) Poison(versionID, value string) {
	a.must(a.server.SetSecret(context.Background(), versionID, []byte(value)))
}

// Tag puts tags on the grant's role.
func (a *Account) Tag(tags map[string]string) { a.must(a.server.SetTags(context.Background(), tags)) }

// Trust puts another trust policy on the grant's role.
func (a *Account) Trust(document string) {
	a.must(a.server.SetTrust(context.Background(), []byte(document)))
}

func (a *Account) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}
