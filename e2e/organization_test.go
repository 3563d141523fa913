//go:build e2e

package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/countersign/countersign/e2e/lab"
)

// group is the account that manages the organisation of TestAnOrganizationIsRevoked.
const group = "222233334444"

// The published template in two accounts of an organisation, as a StackSet leaves it; a third account that nobody can enter. Whoever is on
// call in the account that manages them revokes in both, each through its own API, and hears of the third.
func TestAnOrganizationIsRevoked(t *testing.T) {
	t.Parallel()
	began := time.Now()
	l := startLab(t)
	owner := l.Owner(group)
	name := func(account string) string { return "StackSet-hestio-0a1b2c3d-1111-2222-3333-" + account }
	var accounts []string
	for _, called := range []string{"prod", "dev", "lab"} {
		answer := must[lab.Answer](t)(l.CallTarget(t.Context(), &owner, "organizations", "AWSOrganizationsV20161128.CreateAccount", `{"AccountName":"`+called+`","Email":"`+called+`@example.com"}`))
		account := regexp.MustCompile(`"AccountId": ?"(\d{12})"`).FindStringSubmatch(answer.Body)
		if account == nil {
			t.Fatalf("no account %s: %s", called, answer.Body)
		}
		accounts = append(accounts, account[1])
	}
	const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	for _, account := range accounts[:2] {
		_ = must[*iam.CreateRoleOutput](t)(iam.NewFromConfig(l.Owner(account)).CreateRole(t.Context(), &iam.CreateRoleInput{
			RoleName: new("OrganizationAccountAccessRole"), AssumeRolePolicyDocument: new(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + group + `:root"},"Action":"sts:AssumeRole"}]}`)}))
		_ = must[*iam.PutRolePolicyOutput](t)(iam.NewFromConfig(l.Owner(account)).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
			RoleName: new("OrganizationAccountAccessRole"), PolicyName: new("may"), PolicyDocument: new(everything)}))
		c := &clicked{Lab: l, account: account, buckets: "countersign-" + account + "-", cfn: cloudformation.NewFromConfig(l.Owner(account))}
		c.publish(t)
		c.create(t, name(account), c.values("audit"))
	}
	oncall := must[aws.Config](t)(l.NewUser(t.Context(), group, "ines", everything))
	run := func(code int, more ...string) lab.Output {
		t.Helper()
		out := must[lab.Output](t)(l.Countersign(t.Context(), oncall, append([]string{"revoke", "--provider", "hestio", "--organization"}, more...)...))
		if out.Code != code {
			t.Fatalf("exit %d, want %d\n%s%s", out.Code, code, out.Stdout, out.Stderr)
		}
		return out
	}
	state := func(account string) string {
		doc := must[*iam.GetRoleOutput](t)(iam.NewFromConfig(l.Owner(account)).GetRole(t.Context(), &iam.GetRoleInput{RoleName: new("ServiceProvider-audit")}))
		if strings.Contains(*doc.Role.AssumeRolePolicyDocument, "CountersignClosed") {
			return "closed"
		}
		return "open"
	}

	out := run(4, "--dry-run")
	for _, account := range accounts[:2] {
		if !strings.Contains(out.Stdout, account+"  audit  to be revoked") || state(account) != "open" {
			t.Errorf("%s is %s after a dry run:\n%s", account, state(account), out.Stdout)
		}
	}
	started := time.Now()
	out = run(4, "--yes", "--reason", "INC-812")
	t.Logf("two accounts revoked in %.1f s", time.Since(started).Seconds())
	for _, account := range accounts[:2] {
		if !regexp.MustCompile(account+`  audit  revoked +rv-`).MatchString(out.Stdout) || state(account) != "closed" {
			t.Errorf("%s is %s:\n%s", account, state(account), out.Stdout)
		}
	}
	if !strings.Contains(out.Stdout, accounts[2]+"  -      not read") || strings.Contains(out.Stderr, "going on without") {
		t.Errorf("%s\n%s", out.Stdout, out.Stderr)
	}
	out = run(0, "--reason", "INC-812", "--except", accounts[2])
	if n := strings.Count(out.Stdout, "revoked before"); n != 2 {
		t.Errorf("%d revoked before:\n%s", n, out.Stdout)
	}
	t.Logf("it took %.1f s", time.Since(began).Seconds())
}
