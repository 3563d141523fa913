//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/terraform/terraformtest"
)

// TestTerraform is a customer's way by Terraform, as far as an emulator has it: edit access.yaml, init, plan, apply. The stub
// provider makes the stack by plain calls, with the parameters as they were planned; the real provider is not tried.
func TestTerraform(t *testing.T) {
	t.Parallel()
	c := clicks(t, lab.Customer)

	file := func(more string) string {
		return `
version: 1
providers:
  - name: hestio
    account: "` + lab.Provider + `"
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, AmazonEC2ReadOnlyAccess]
` + more
	}
	began := time.Now()
	d := terraformtest.New(t, map[string]string{"access.yaml": file(""), "main.tf": fmt.Sprintf(`
module "access" {
  source       = %q
  access_file  = "${path.root}/access.yaml"
  template_url = "https://%s.s3.%s.amazonaws.com/countersign/%s/countersign.template.json"
}
output "access" { value = module.access }
`, terraformtest.Module("service-provider-access"), bucket, lab.Region, published)})
	d.Env = []string{"STUB_CLOUDFORMATION=" + c.Endpoint, "STUB_TEMPLATE=" + *c.template(published)}

	inited := time.Now()
	d.Plan()
	planned := time.Now()
	d.Apply()
	t.Logf("init %.1f s (the first time it builds the stub), plan %.1f s, apply up to a working grant %.1f s", inited.Sub(began).Seconds(),
		planned.Sub(inited).Seconds(), time.Since(planned).Seconds())
	first := c.id(t, "migration")
	wantAllowed(t, "the provider with its ID", c.enters(t, "migration", first))
	wantDenied(t, "without one", c.enters(t, "migration", ""))

	secret := must[string](t)(c.Secret(t.Context(), "migration"))
	token := "requested-by-hand-" + strings.Repeat("7", 32)
	_ = must[*secretsmanager.RotateSecretOutput](t)(secretsmanager.NewFromConfig(c.Owner(lab.Customer)).RotateSecret(t.Context(),
		&secretsmanager.RotateSecretInput{SecretId: &secret, ClientRequestToken: &token}))
	eventually(t, 60*time.Second, "another ID is current", func() bool { return c.id(t, "migration") != first })
	second := c.id(t, "migration")
	if changing := d.Plan().Changing(); len(changing) > 0 {
		t.Errorf("after a rotation the plan changes %q", changing)
	}

	d.Write("access.yaml", file("        expires: \"2099-12-31T23:59:59Z\"\n"))
	plan := d.Plan()
	if got, want := plan.Changing(), []string{`module.access.aws_cloudformation_stack.grant["migration"] update`}; !slices.Equal(got, want) {
		t.Errorf("an end in access.yaml changes %q, want %q", got, want)
	}
	d.Apply()
	wantAllowed(t, "the same ID after an update", c.enters(t, "migration", second))

	texts := []string{plan.Raw, d.Must("show", "-json"), d.Must("output", "-json")}
	for _, name := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
		texts = append(texts, string(must[[]byte](t)(os.ReadFile(filepath.Join(d.Path, name)))))
	}
	for _, id := range []string{first, second} {
		for i, text := range texts {
			if len(id) < 32 || strings.Contains(text, id) {
				t.Errorf("text %d of Terraform's holds the external ID", i)
			}
		}
	}

	c.revokedAndSeen(t, "migration", "countersign-migration")
	d.Write("access.yaml", strings.Replace(file(""), "migration", "relocation", 1))
	d.Plan()
	out, err := d.Run("apply", "-input=false", "-no-color", "customer.plan")
	if err == nil || !strings.Contains(out, "TerminationProtection") {
		t.Errorf("the revoked grant, taken out of the file: %v\n%s", err, out)
	}
	c.refusesToGo(t, "countersign-migration")
	wantDenied(t, "the last ID, revoked", c.enters(t, "migration", second))
	c.unprotect(t, "countersign-migration")
	d.Must("destroy", "-auto-approve", "-no-color", "-input=false")
	wantDenied(t, "the last ID", c.enters(t, "migration", second))
	if doc := must[string](t)(c.Trust(t.Context(), "migration")); doc != "" {
		t.Errorf("the role is still there: %s", strings.ReplaceAll(doc, second, "(the ID)"))
	}
}
