package terraform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/terraform/terraformtest"
)

// sample is an external ID of our own form that nothing but these tests has.
func sample(letter string) string { return strings.Repeat(letter+"7xKq2Zt", 4) }

// rotated is what the account says once the role lets in by an external ID.
func rotated(id string) map[string]map[string]map[string]string {
	return map[string]map[string]map[string]string{
		"aws_iam_role": {"ServiceProvider-migration": {"assume_role_policy": fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"CountersignProvider",`+
			`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":%q}}}]}`, id)}},
		"aws_cloudformation_stack": {},
	}
}

// idLike is what an external ID of ours looks like.
var idLike = regexp.MustCompile(`\b[A-Za-z0-9]{32}\b`)

// ids are the ID-like texts in all that Terraform keeps and tells: state, backups, plans, their JSON, and what it prints.
// Hashes are lower case throughout, and no ID is.
func ids(t *testing.T, d *terraformtest.Dir, more ...string) (out []string) {
	t.Helper()
	texts := append(more, d.Must("show", "-json"), d.Must("output", "-json"), d.Must("show", "-no-color"))
	for _, file := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
		if src, err := os.ReadFile(filepath.Join(d.Path, file)); err == nil {
			texts = append(texts, string(src))
		}
	}
	for _, text := range texts {
		if len(text) < 100 {
			t.Errorf("searched next to nothing: %q", text)
		}
		for _, found := range idLike.FindAllString(text, -1) {
			if strings.ToLower(found) != found && !slices.Contains(out, found) {
				out = append(out, found)
			}
		}
	}
	return out
}

// Whatever a role's trust policy holds, Terraform refreshes, plans and applies without ever having an external ID: the role is
// the stack's, and CloudFormation doesn't tell of it.
func TestTheStateHoldsNoID(t *testing.T) {
	d := terraformtest.New(t, customer(two))
	d.Plan()
	d.Apply()
	for _, letter := range []string{"A", "B"} {
		d.Account = rotated(sample(letter))
		refreshed := d.Must("plan", "-no-color", "-refresh-only", "-out=customer.plan")
		if found := ids(t, d, refreshed, d.Read("customer.plan").Raw); len(found) > 0 {
			t.Errorf("refreshed: %q", found)
		}
		d.Apply()
		plan := d.Plan()
		if changing := plan.Changing(); len(changing) > 0 {
			t.Errorf("after a rotation the plan changes %q", changing)
		}
		if found := ids(t, d, plan.Raw); len(found) > 0 {
			t.Errorf("planned: %q", found)
		}
	}
}

// With native_role a rotation is no difference either. But Terraform keeps what it reads: from the first refresh on the state
// holds the external ID. That is why it is not the default, and it shows that the search above finds one.
func TestANativeRoleBringsTheIDIntoTheState(t *testing.T) {
	d := terraformtest.New(t, customer(seed, "native_role = true"))
	plan := d.Plan()
	d.Apply()
	if found := ids(t, d, plan.Raw); len(found) > 0 {
		t.Errorf("just made: %q", found)
	}
	d.Account = rotated(sample("A"))
	plan = d.Plan()
	if changing := plan.Changing(); len(changing) > 0 {
		t.Errorf("after a rotation the plan changes %q", changing)
	}
	if found := ids(t, d, plan.Raw); !slices.Equal(found, []string{sample("A")}) {
		t.Errorf("found %q: the stub doesn't refresh as a provider does, or the search misses IDs", found)
	}
}
