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
	bus := "arn:aws:events:" + lab.Region + ":" + lab.Provider + ":event-bus/countersign-customers"
	for _, account := range []string{lab.Stranger, lab.Customer} {
		role := must[string](t)(l.NewRole(ctx, account, "forward", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"`+bus+`"}]}`))
		client := eventbridge.NewFromConfig(l.Owner(account))
		_ = must[*eventbridge.PutRuleOutput](t)(client.PutRule(ctx, &eventbridge.PutRuleInput{Name: new("forward"), EventPattern: new(`{"source":["countersign"]}`)}))
		_ = must[*eventbridge.PutTargetsOutput](t)(client.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: new("forward"),
			Targets: []ebtypes.Target{{Id: new("bus"), Arn: &bus, RoleArn: &role}}}))
		detail := fmt.Sprintf(`{"metadata":{"id":"1","version":"1","time":%q,"grant":"migration","stackVersion":"1.0.0"},"data":{"account":%q,
			"roleArn":"arn:aws:iam::%s:role/countersign/ServiceProvider-%s","secretArn":"arn:aws:secretsmanager:us-east-1:%s:secret:countersign/migration-Ab3dEf"}}`,
			time.Now().UTC().Format(time.RFC3339), lab.Customer, lab.Customer, map[string]string{lab.Stranger: "strangers", lab.Customer: "migration"}[account], lab.Customer)
		_ = must[*eventbridge.PutEventsOutput](t)(client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
			{Source: new("countersign"), DetailType: new("Access Granted"), Detail: &detail}}}))
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
