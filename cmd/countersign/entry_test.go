package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/sandbox"
)

type sideKey struct{}

// serveCustomers is a provider's surroundings: customers' accounts, and a registry in a file.
func serveCustomers(t testing.TB, dir string) (*customersSide, map[string]string) {
	var side *customersSide
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { side.ServeHTTP(w, r) }))
	t.Cleanup(listener.Close)
	side = newCustomersSide(t, listener.URL)
	f := side.Facts(context.Background())
	acme := customers.Customer{
		Name: "acme", Account: f.Account, RoleARN: f.RoleARN, Grant: f.Grant, Prefix: f.Prefix, SecretARN: f.SecretARN,
		Kind: customers.KindCountersign, State: customers.StateAccepted, Teams: []string{"blue"},
	}
	other := func(name string, change func(*customers.Customer)) customers.Customer {
		c := acme
		c.Name = name
		change(&c)
		return c
	}
	writeRegistry(t, filepath.Join(dir, "customers.json"), acme,
		other("umbrella", func(c *customers.Customer) {
			c.Grant, c.RoleARN, c.SecretARN = sandbox.Other, strings.Replace(c.RoleARN, sandbox.Grant, sandbox.Other, 1), strings.Replace(c.SecretARN, sandbox.Grant, sandbox.Other, 1)
		}),
		other("umbrage", func(c *customers.Customer) {
			c.State, c.Account, c.RoleARN, c.SecretARN = customers.StatePending, "777788889999", "", ""
		}),
		other("gone", func(c *customers.Customer) {
			elsewhere(c, "666677778888")
			c.State, c.Reason, c.RevokedBy = customers.StateRevoked, "project ended", "arn:aws:sts::444455556666:assumed-role/ops/ines"
			c.Since = time.Date(2026, 9, 1, 16, 2, 0, 0, time.UTC)
		}),
		other("over", func(c *customers.Customer) { elsewhere(c, "555566667777"); c.State = customers.StateExpired }),
		other("openco", func(c *customers.Customer) { c.Kind, c.Grant = customers.KindNone, "" }),
		other("oldco", func(c *customers.Customer) {
			c.Kind, c.Grant, c.SecretARN, c.StaticSecretARN = customers.KindStatic, "", "", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:static/oldco-AbCdEf"
		}),
	)
	return side, map[string]string{
		"AWS_ENDPOINT_URL": listener.URL, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": ownKey, "AWS_SECRET_ACCESS_KEY": "example",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": filepath.Join(dir, "aws-config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "aws-credentials"),
		"COUNTERSIGN_CUSTOMERS": filepath.Join(dir, "customers.json"), "HOME": dir, "XDG_CACHE_HOME": filepath.Join(dir, ".cache"), "XDG_CONFIG_HOME": filepath.Join(dir, ".config"),
		"XDG_RUNTIME_DIR": "", "NO_COLOR": "1", "TERM": "xterm", "COUNTERSIGN_VISIT": "", "COUNTERSIGN_CACHE": "off", "COUNTERSIGN_CACHE_PASSPHRASE": "", "DBUS_SESSION_BUS_ADDRESS": "",
	}
}

// elsewhere moves a customer to another account.
func elsewhere(c *customers.Customer, account string) {
	for _, part := range []*string{&c.Account, &c.RoleARN, &c.SecretARN} {
		*part = strings.Replace(*part, "444455556666", account, 1)
	}
}

func writeRegistry(t testing.TB, path string, rows ...customers.Customer) {
	out, err := json.Marshal(map[string]any{"customers": rows})
	if err == nil {
		err = os.WriteFile(path, out, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The scripts run the real program of a provider against customers' accounts. "sandbox VERB" has the customer do something,
// "keys" prints the calls since the last time, with whose key each was signed.
func TestEntryCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/enter",
		Setup: func(e *testscript.Env) error {
			side, env := serveCustomers(e.T().(testing.TB), e.WorkDir)
			e.Values[sideKey{}] = side
			for name, value := range env {
				e.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"customer": cmdCustomer, "keys": cmdKeys, "noid": cmdNoID, "narrow": cmdNarrow,
		},
	})
}

func cmdCustomer(ts *testscript.TestScript, neg bool, args []string) {
	s, ctx := ts.Value(sideKey{}).(*customersSide), context.Background()
	if neg || len(args) == 0 {
		ts.Fatalf("usage: customer rotate|leak|revoke|restore|enlist|id FILE|broken CODE")
	}
	switch args[0] {
	case "rotate":
		ts.Check(s.Rotate(ctx, false))
	case "leak":
		ts.Check(s.Rotate(ctx, true))
	case "revoke":
		ts.Check(s.Revoke(ctx))
	case "restore":
		ts.Check(s.Restore(ctx))
	case "enlist":
		ts.Check(s.enlist(ctx, customersFile(ts.MkAbs("customers.json"))))
	case "id":
		id, err := s.FirstID()
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(id.Reveal()+"\n"), 0o600))
	case "broken":
		s.mu.Lock()
		s.broken = args[1]
		s.mu.Unlock()
	default:
		ts.Fatalf("customer %s?", args[0])
	}
}

// enlist puts those that a person accepted into the table, as the stack CustomerAccess keeps them.
func (s *customersSide) enlist(ctx context.Context, from customers.Reader) error {
	rows, err := from.All(ctx)
	table, now := dynamodb.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &s.url, Credentials: credentials.NewStaticCredentialsProvider(ownKey, "example", ""),
	}, defaultTable), time.Now().UTC()
	for _, c := range rows {
		if c.State == customers.StatePending || err != nil {
			continue
		}
		e := customers.Entry{
			Name: c.Name, Account: c.Account, Kind: c.Kind, StaticSecretARN: c.StaticSecretARN, Teams: c.Teams, Grant: c.Grant, RoleARN: c.RoleARN,
			SecretARN: c.SecretARN, Invited: now.Add(-time.Hour), Accepted: now.Add(-time.Hour), Decided: now.Add(-time.Hour),
		}
		if e.Prefix = c.Prefix; c.Account != "444455556666" { // one account, one prefix
			e.Prefix = "of" + c.Account
		}
		if c.Kind != customers.KindCountersign { // one role, one customer
			e.RoleARN, e.SecretARN = e.RoleARN+"-"+c.Name, ""
		}
		h := customers.Heard{Invitation: e.Invited, Of: customers.Binding{Account: e.Account, Prefix: e.Prefix, Grant: e.Grant, RoleARN: e.RoleARN, SecretARN: e.SecretARN}}
		if c.State == customers.StateRevoked {
			h.Revoked, h.RevokedBy, h.Reason = now, c.RevokedBy, c.Reason
		}
		err = errors.Join(table.Add(ctx, e), table.Note(ctx, e.Name, h))
	}
	return err
}

func cmdKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: keys")
	}
	_, err := ts.Stdout().Write([]byte(strings.Join(append(ts.Value(sideKey{}).(*customersSide).seen(), ""), "\n")))
	ts.Check(err)
}

// cmdNoID fails if the last output holds the external ID.
func cmdNoID(ts *testscript.TestScript, neg bool, args []string) {
	id, err := ts.Value(sideKey{}).(*customersSide).FirstID()
	ts.Check(err)
	for _, name := range args {
		if value := id.Reveal(); neg || strings.Contains(ts.ReadFile(name), value[len(value)-32:]) {
			ts.Fatalf("an external ID in %s", name)
		}
	}
}
