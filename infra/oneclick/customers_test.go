package oneclick_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/infra/oneclick"
)

// customersMade is the template for a provider's account of the made-up release.
var customersMade = sync.OnceValue(func() []byte { return oneclick.Customers(release()).JSON(nil) })

func TestTheCustomersTemplateAsksNothing(t *testing.T) {
	tmpl, raw := infratest.Read(t, customersMade()), string(customersMade())
	if len(tmpl.Parameters) > 0 {
		t.Errorf("it asks for %v", tmpl.Parameters)
	}
	for _, word := range []string{"BootstrapVersion", "AssetParameters", `Transform":`, "cdk-hnb659fds", "aws:asset", "AWS::CloudFormation::", "the-stack"} {
		if strings.Contains(raw, word) {
			t.Errorf("the template speaks of %s", word)
		}
	}
	for _, r := range tmpl.Resources {
		if r.Type == "AWS::IAM::ManagedPolicy" || r.Type == "AWS::IAM::Role" && r.Properties["RoleName"] != nil || r.Type == "AWS::SNS::Subscription" {
			t.Errorf("%s is what a customers.yaml says", r.ID)
		}
	}
	elsewhere := *tmpl
	elsewhere.Site.Region = "sa-east-1"
	if _, err := elsewhere.With(nil); err == nil || !strings.Contains(err.Error(), "is published in eu-west-1, us-east-1") {
		t.Errorf("in a Region without archives: %v", err)
	}
}

// The queue calls the one version that Lambda makes of the published archive or not at all, and waits for it.
func TestTheRegistrysFunctionIsPinned(t *testing.T) {
	tmpl := infratest.Read(t, customersMade())
	version := tmpl.OfType(t, "AWS::Lambda::Version")
	if len(version) != 1 || version[0].Properties["CodeSha256"] != sum {
		t.Fatalf("versions: %+v", version)
	}
	for _, kind := range []string{"AWS::Lambda::EventSourceMapping"} {
		for _, r := range tmpl.OfType(t, kind) {
			if got := tmpl.Text(r.Properties["FunctionName"]); !strings.HasSuffix(got, ":function:countersign-customers-enroll:1") {
				t.Errorf("%s calls %s", r.ID, got)
			}
		}
	}
	for _, r := range tmpl.Resources {
		if slices.Contains([]string{"AWS::Lambda::Permission", "AWS::Lambda::Alias"}, r.Type) {
			t.Errorf("%s calls the function too", r.ID)
		}
	}
	code := tmpl.Text(tmpl.OfType(t, "AWS::Lambda::Function")[0].Properties["Code"])
	if want := `{"S3Bucket":"countersign-releases-eu-west-1","S3Key":"countersign/test/functions/arm64/enroll.zip"}`; code != want {
		t.Errorf("code %s, want %s", code, want)
	}
}

func TestTheSameReleaseGivesTheSameCustomersTemplate(t *testing.T) {
	if string(oneclick.Customers(release()).JSON(nil)) != string(customersMade()) {
		t.Error("it differs from run to run")
	}
	r := release()
	r.Sums["enroll"], r.Architecture = "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=", "amd64"
	other := infratest.Read(t, oneclick.Customers(r).JSON(nil))
	f := other.OfType(t, "AWS::Lambda::Function")[0]
	if before := infratest.Read(t, customersMade()).OfType(t, "AWS::Lambda::Version")[0].ID; other.Resources[before].ID != "" || other.Text(f.Properties["Architectures"]) != `["x86_64"]` {
		t.Errorf("another archive, for x86_64, has the same version, or %v", f.Properties["Architectures"])
	}
}
