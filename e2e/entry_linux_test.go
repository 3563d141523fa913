//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/screen"
)

// engagement is a provider and a customer, with a stack each, and the people around them.
type engagement struct {
	*lab.Lab
	file     string     // the provider's customers.yaml
	ann, bob aws.Config // of the provider: who keeps the registry, and an engineer of team blue
	operator aws.Config // of the customer
}

const grantOfAcme = "migration"

// TestAnEngineerEntersACustomer is the whole way between two accounts, from the invitation to the revoke. Nothing but the programs
// that people type is used, and nobody sees an external ID.
func TestAnEngineerEntersACustomer(t *testing.T) {
	t.Parallel()
	if err := lab.Built(".."); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	e := &engagement{Lab: startLab(t)}
	end, err := e.AWSNames(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	for _, chapter := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"the provider deploys, and invites", e.invites},
		{"the customer deploys, and its account is heard", e.arrives},
		{"a person accepts, and engineers' roles are made of it", e.accepts},
		{"an engineer enters, lists S3, and is denied EKS", e.enters},
		{"the customer rotates, and the engineer enters as before", e.rotates},
		{"verify proves and confirms", e.verifies},
		{"a revoke ends the open shell's next call, and sudo says why", e.revokes},
		{"no external ID was shown", e.shown},
	} {
		at := time.Now()
		if !t.Run(chapter.name, chapter.tell) {
			t.FailNow()
		}
		t.Logf("%5.1f s  %s", time.Since(at).Seconds(), chapter.name)
	}
	t.Logf("the way took %.1f s", time.Since(began).Seconds())
}

// types runs the command-line tool, and gives all that it said.
func (e *engagement) types(t *testing.T, who aws.Config, code int, args ...string) string {
	t.Helper()
	out := must[lab.Output](t)(e.Countersign(t.Context(), who, args...))
	if out.Code != code {
		t.Fatalf("countersign %s: exit %d, want %d\n%s%s", out.Args, out.Code, code, out.Stdout, out.Stderr)
	}
	return out.Stdout + out.Stderr
}

// wants looks for words in what was said.
func wants(t *testing.T, out string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("%q is not in\n%s", w, out)
		}
	}
}

func (e *engagement) invites(t *testing.T) {
	e.file = filepath.Join(e.Dir, "customers.yaml")
	head := "version: 1\nregistrars: [role/ann]\nteams: [{name: blue, principals: [role/bob]}]\ncustomers: []\n"
	if err := os.WriteFile(e.file, []byte(head), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.DeployCustomerAccess(t.Context(), e.file); err != nil {
		t.Fatal(err)
	}
	as := func(person, role string) aws.Config {
		arn := must[string](t)(e.NewRole(t.Context(), lab.Provider, person, mayAssume))
		own := must[aws.Config](t)(e.Enter(t.Context(), e.Owner(lab.Provider), arn, "", person))
		return must[aws.Config](t)(e.Enter(t.Context(), own, "arn:aws:iam::"+lab.Provider+":role/"+role, "", person))
	}
	e.ann, e.bob = as("ann", "CountersignRegistrar"), as("bob", "CountersignEngineer-blue")
	e.types(t, e.ann, 0, "customers", "add", "acme", "--account", lab.Customer, "--prefix", "hestio", "--team", "blue")
	wants(t, e.types(t, e.bob, 3, "exec", "acme", "--", "true"), "acme is invited: nobody has accepted it")
}

// arrives deploys the customer's own stack. Its events go through its own bus and rule to the provider's.
func (e *engagement) arrives(t *testing.T) {
	ctx := t.Context()
	e.operator = must[aws.Config](t)(e.NewUser(ctx, lab.Customer, "operator", mayAll))
	access := filepath.Join(e.Dir, "access.yaml")
	if err := os.WriteFile(access, []byte(`version: 1
operators: [arn:aws:iam::`+lab.Customer+`:user/operator]
providers:
  - name: hestio
    account: "`+lab.Provider+`"
    principals: [role/CountersignEngineer-*]
    prefix: hestio
    bus: arn:aws:events:`+lab.Region+`:`+lab.Provider+`:event-bus/countersign-customers
    grants:
      - {name: `+grantOfAcme+`, permissions: [AmazonS3FullAccess, AmazonEC2ReadOnlyAccess]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(e.Dir, "customer.out")
	for _, step := range []func() error{
		func() error { return e.Bootstrap(ctx) },
		func() error { return e.Synth(ctx, access, out) },
		func() error { return e.Deploy(ctx, out) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the customer's proposal", func() bool {
		return strings.Contains(e.types(t, e.bob, 0, "customers", "list"), "PENDING")
	})
	wants(t, e.types(t, e.bob, 0, "customers", "show", "acme"), "role/countersign/ServiceProvider-"+grantOfAcme)
	wants(t, e.types(t, e.bob, 3, "exec", "acme", "--", "true"), "acme is pending: nobody has accepted it")
}

func (e *engagement) accepts(t *testing.T) {
	e.types(t, e.bob, 4, "customers", "accept", "acme", "--account-ends", "6666")
	e.types(t, e.ann, 0, "customers", "accept", "acme", "--account-ends", "6666")
	// Accepted, and the engineers' role is not made for it yet: its own policies keep it out.
	wants(t, e.types(t, e.bob, 4, "exec", "acme", "--", "true"), "may not read the external ID of acme")
	e.types(t, e.ann, 0, "customers", "export", "-f", e.file)
	if err := e.DeployCustomerAccess(t.Context(), e.file); err != nil {
		t.Fatal(err)
	}
}

// inside is a command of the tool's in the customer's account.
func inside(args ...string) []string {
	return append([]string{"exec", "acme", "--reason", "INC-812", "--wait", "20s", "--", "bin/countersign"}, args...)
}

func (e *engagement) enters(t *testing.T) {
	wants(t, e.types(t, e.bob, 0, "list", "customers", "--refresh"), "acme", "ACCEPTED")
	wants(t, e.types(t, e.bob, 0, inside("list", "s3bucket")...), "cdk-hnb659fds-assets-"+lab.Customer)
	wants(t, e.types(t, e.bob, 4, inside("list", "eks-clusters")...), "DENIED", "eks:ListClusters")
	wants(t, e.types(t, e.bob, 0, inside("whoami")...), "CUSTOMER", "acme "+lab.Customer, "bob (source identity), because INC-812", "PROVIDER "+lab.Provider)
	// Who keeps the registry enters nobody.
	e.types(t, e.ann, 4, "exec", "acme", "--", "true")
}

func (e *engagement) rotates(t *testing.T) {
	before := e.current(t)
	e.types(t, e.operator, 0, "rotate", grantOfAcme, "--reason", "engineer left")
	eventually(t, 20*time.Second, "another ID is current", func() bool { return e.current(t).ID != before.ID })
	wants(t, e.types(t, e.bob, 0, inside("list", "s3bucket")...), "cdk-hnb659fds-assets-"+lab.Customer)
}

func (e *engagement) current(t *testing.T) lab.Version {
	t.Helper()
	v, ok := lab.Labelled(must[[]lab.Version](t)(e.Versions(t.Context(), grantOfAcme)), "AWSCURRENT")
	if !ok {
		t.Fatal("no current external ID")
	}
	return v
}

func (e *engagement) verifies(t *testing.T) {
	wants(t, e.types(t, e.operator, 0, "show", grantOfAcme), "accepted until somebody confirms")
	wants(t, e.types(t, e.bob, 0, "verify", "acme", "--confirm", "--retire-in", "0s"),
		"the external ID before, in a session that confirms  refuses it  ok", "Confirmed version "+e.current(t).ID)
	eventually(t, 20*time.Second, "the ID before is out", func() bool {
		return strings.Contains(e.types(t, e.bob, 0, "verify", "acme"), "the external ID before                              refuses it  ok")
	})
	wants(t, e.types(t, e.operator, 0, "show", grantOfAcme), "confirmed the current one, by the provider")
}

// revokes has an engineer in a shell while the customer takes the access away.
func (e *engagement) revokes(t *testing.T) {
	s := e.sits(t, "sudo", "acme", "--reason", "INC-812", "--shell", "/bin/bash")
	see := func(words string) {
		t.Helper()
		if _, err := s.Expect(words, 20*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	const prompt = "[CUSTOMER acme 4444…6666 "
	see(prompt)
	enter := func(line string) {
		t.Helper()
		if err := s.Type(line + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	enter("bin/countersign list s3bucket")
	see("cdk-hnb659fds-assets-" + lab.Customer)
	see(prompt)

	e.types(t, e.operator, 0, "revoke", grantOfAcme, "--reason", "project ended", "--yes")
	enter("bin/countersign list s3bucket")
	see("DENIED: ServiceProvider-" + grantOfAcme + " in " + lab.Customer + " may not call")
	see("s3:ListAllMyBuckets")
	see(prompt)
	enter("exit")
	see("Back from acme: PROVIDER " + lab.Provider)
	s.Ends()

	eventually(t, time.Minute, "the registry knows", func() bool {
		return strings.Contains(e.types(t, e.bob, 0, "customers", "show", "acme"), "REVOKED")
	})
	s = e.sits(t, "sudo", "acme")
	see("Ask acme to run:")
	if code := s.Ends(); code != 4 {
		t.Errorf("sudo of a revoked customer ended with %d", code)
	}
	wants(t, strings.Join(strings.Fields(s.Text()), " "), "acme revoked this access on ", ` by operator ("project ended")`, "countersign restore "+grantOfAcme)
	wants(t, e.types(t, e.bob, 4, "exec", "acme", "--", "true"), "acme revoked this access on ")
}

// sits is the engineer at a terminal.
func (e *engagement) sits(t *testing.T, args ...string) *screen.Screen {
	t.Helper()
	env := must[[]string](t)(e.EnvironmentOf(t.Context(), e.bob))
	env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "PS1=") || strings.HasPrefix(kv, "COUNTERSIGN_") })
	s := must[*screen.Screen](t)(screen.Start(e.Root, append(env, "LANG=C.UTF-8", "TERM=xterm"), filepath.Join(e.Root, "bin/countersign"), args...))
	t.Cleanup(func() {
		s.Close()
		e.Typed(strings.Join(args, " "), s.Text())
	})
	return s
}

// shown looks for every external ID in all that was printed, logged and stored.
func (e *engagement) shown(t *testing.T) {
	var ids []string
	for _, v := range must[[]lab.Version](t)(e.Versions(t.Context(), grantOfAcme)) {
		if v.ExternalID != "" {
			ids = append(ids, v.ExternalID)
		}
	}
	if len(ids) < 2 {
		t.Fatalf("%d external IDs, want those of birth and rotation", len(ids))
	}
	search := must[*lab.Searcher](t)(lab.NewSearcher(ids))
	surfaces := must[[]lab.Surface](t)(e.Surfaces(t.Context()))
	if len(surfaces) < 20 {
		t.Errorf("%d places were searched", len(surfaces))
	}
	for _, s := range surfaces {
		if found := search.Find(s.Text); found != nil {
			t.Errorf("%s: %v", s.Name, found)
		}
	}
}
