//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/countersign/countersign/e2e/lab"
)

// The provider's stack with its real function: an invited account is heard and accepted by a person in the registrar's role, a
// stranger that says the same leaves nothing, and an engineer reads the registry and can't write it.
func TestAProviderEnrollsACustomer(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	ctx := t.Context()
	file := filepath.Join(l.Dir, "customers.yaml")
	head := "version: 1\nregistrars: [role/ann]\nteams: [{name: blue, principals: [role/bob]}]\ncustomers: []\n"
	if err := os.WriteFile(file, []byte(head), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.DeployCustomerAccess(ctx, file); err != nil {
		t.Fatal(err)
	}
	const may = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`
	as := func(person, role string) aws.Config {
		arn := must[string](t)(l.NewRole(ctx, lab.Provider, person, may))
		own := must[aws.Config](t)(l.Enter(ctx, l.Owner(lab.Provider), arn, "", person))
		return must[aws.Config](t)(l.Enter(ctx, own, "arn:aws:iam::"+lab.Provider+":role/"+role, "", person))
	}
	ann, bob := as("ann", "CountersignRegistrar"), as("bob", "CountersignEngineer-blue")
	run := func(who aws.Config, code int, args ...string) string {
		t.Helper()
		out := must[lab.Output](t)(l.Countersign(ctx, who, append([]string{"customers"}, args...)...))
		if out.Code != code {
			t.Fatalf("customers %s: exit %d, want %d\n%s%s", out.Args, out.Code, code, out.Stdout, out.Stderr)
		}
		return out.Stdout + out.Stderr
	}

	run(bob, 4, "add", "acme", "--account", lab.Customer)
	run(ann, 0, "add", "acme", "--account", lab.Customer, "--team", "blue")
	for account, role := range map[string]string{lab.Stranger: "strangers", lab.Customer: "migration"} {
		saysGranted(t, l, account, role)
	}
	eventually(t, time.Minute, "the customer's proposal", func() bool { return strings.Contains(run(bob, 0, "list"), "PENDING") })
	if out := run(bob, 0, "show", "acme"); strings.Contains(out, "strangers") || !strings.Contains(out, "ServiceProvider-migration") {
		t.Errorf("a stranger speaks for the customer: %s", out)
	}
	run(bob, 4, "accept", "acme", "--account-ends", "6666")
	run(ann, 0, "accept", "acme", "--account-ends", "6666")
	if out := run(bob, 0, "show", "acme"); !strings.Contains(out, "ACCEPTED") || !strings.Contains(out, "role/countersign/ServiceProvider-migration") {
		t.Error(out)
	}
	run(ann, 0, "export", "-f", file)
	if got := string(must[[]byte](t)(os.ReadFile(file))); !strings.Contains(got, `role: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"`) {
		t.Error(got)
	}
}

// saysGranted has an account hand the provider's bus an event, as a customer's stack does, that the customer grants access by a role.
func saysGranted(t *testing.T, l *lab.Lab, account, role string) {
	t.Helper()
	ctx := t.Context()
	bus := "arn:aws:events:" + lab.Region + ":" + lab.Provider + ":event-bus/countersign-customers"
	forward := must[string](t)(l.NewRole(ctx, account, "forward", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"`+bus+`"}]}`))
	client := eventbridge.NewFromConfig(l.Owner(account))
	_ = must[*eventbridge.PutRuleOutput](t)(client.PutRule(ctx, &eventbridge.PutRuleInput{Name: new("forward"), EventPattern: new(`{"source":["countersign"]}`)}))
	_ = must[*eventbridge.PutTargetsOutput](t)(client.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: new("forward"),
		Targets: []ebtypes.Target{{Id: new("bus"), Arn: &bus, RoleArn: &forward}}}))
	detail := fmt.Sprintf(`{"metadata":{"id":"1","version":"1","time":%q,"grant":"migration","stackVersion":"1.0.0"},"data":{"account":%q,
		"roleArn":"arn:aws:iam::%s:role/countersign/ServiceProvider-%s","secretArn":"arn:aws:secretsmanager:us-east-1:%s:secret:countersign/migration-Ab3dEf"}}`,
		time.Now().UTC().Format(time.RFC3339), lab.Customer, lab.Customer, role, lab.Customer)
	_ = must[*eventbridge.PutEventsOutput](t)(client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
		{Source: new("countersign"), DetailType: new("Access Granted"), Detail: &detail}}}))
}

// The published template for a provider's account, deployed by plain calls: its pinned function hears an invited customer, and its
// administrator accepts it.
func TestAProviderByLink(t *testing.T) {
	t.Parallel()
	c := clicks(t, lab.Provider)
	file := strings.Replace(*c.template(published), "/countersign.", "/countersign-customers.", 1)
	_ = must[*cloudformation.CreateStackOutput](t)(c.cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: new("Customers"), TemplateURL: &file, Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityIam},
	}))
	if status := c.settled(t, "Customers"); status != cfntypes.StackStatusCreateComplete {
		t.Fatalf("%s: %s", status, c.why(t, "Customers"))
	}
	outputs := map[string]string{}
	for _, o := range c.describe(t, "Customers").Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	if outputs["Table"] != "countersign-customers" || !strings.HasSuffix(outputs["BusArn"], lab.Provider+":event-bus/countersign-customers") {
		t.Errorf("outputs: %v", outputs)
	}
	run := func(args ...string) string {
		t.Helper()
		out := must[lab.Output](t)(c.Countersign(t.Context(), c.Owner(lab.Provider), append([]string{"customers"}, args...)...))
		if out.Code != 0 {
			t.Fatalf("customers %s: exit %d\n%s%s", out.Args, out.Code, out.Stdout, out.Stderr)
		}
		return out.Stdout + out.Stderr
	}
	run("add", "acme", "--account", lab.Customer)
	saysGranted(t, c.Lab, lab.Stranger, "strangers")
	saysGranted(t, c.Lab, lab.Customer, "migration")
	eventually(t, time.Minute, "the customer's proposal", func() bool { return strings.Contains(run("list"), "PENDING") })
	run("accept", "acme", "--account-ends", "6666")
	if out := run("show", "acme"); !strings.Contains(out, "ACCEPTED") || !strings.Contains(out, "role/countersign/ServiceProvider-migration") || strings.Contains(out, "strangers") {
		t.Error(out)
	}
}
