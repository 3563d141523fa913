package upgrade

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/infra/oneclick"
	"github.com/countersign/countersign/internal/grant"
)

const uninstallDoc = "../../docs/uninstall.md"

// nothingLeft is of most types.
const nothingLeft = "gone"

// left is what remains of a resource that CloudFormation deletes, by its type. A type that isn't here fails the test.
var left = map[string]string{
	"AWS::KMS::Key":                              "PENDING DELETION for %v days, usable by nobody; `aws kms cancel-key-deletion` within them brings it back, and nothing is left that it decrypts",
	"AWS::SecretsManager::Secret":                "gone with every external ID, without a recovery window: CloudFormation forces the deletion",
	"AWS::Logs::LogGroup":                        "gone with all of its lines: copy what you want to keep before (below)",
	"AWS::Events::Archive":                       "gone with its events",
	"AWS::SQS::Queue":                            "gone with its messages, dead letters too",
	"AWS::IAM::Role":                             "gone; sessions of a role that is gone can do nothing",
	"AWS::IAM::Policy":                           nothingLeft,
	"AWS::IAM::ManagedPolicy":                    nothingLeft,
	"AWS::SSM::Parameter":                        nothingLeft,
	"AWS::SecretsManager::ResourcePolicy":        nothingLeft,
	"AWS::SecretsManager::RotationSchedule":      nothingLeft,
	"AWS::Lambda::Function":                      "gone; its code stays where it was deployed from (above)",
	"AWS::Lambda::Version":                       nothingLeft,
	"AWS::Lambda::Alias":                         nothingLeft,
	"AWS::Lambda::Permission":                    nothingLeft,
	"AWS::Lambda::EventSourceMapping":            nothingLeft,
	"AWS::ApiGateway::RestApi":                   nothingLeft,
	"AWS::ApiGateway::Resource":                  nothingLeft,
	"AWS::ApiGateway::Method":                    nothingLeft,
	"AWS::ApiGateway::Deployment":                nothingLeft,
	"AWS::ApiGateway::Stage":                     nothingLeft,
	"AWS::Events::EventBus":                      nothingLeft,
	"AWS::Events::EventBusPolicy":                nothingLeft,
	"AWS::Events::Rule":                          nothingLeft,
	"AWS::SQS::QueuePolicy":                      nothingLeft,
	"AWS::CloudWatch::Alarm":                     "gone; its metrics stay for 15 months, names of grants in them",
	"AWS::SES::ConfigurationSet":                 nothingLeft,
	"AWS::SES::ConfigurationSetEventDestination": nothingLeft,
	"Custom::Grant":                              "closes its grant first",
	"Custom::Layout":                             nothingLeft,
}

// route is a way in, with the template that it deploys.
type route struct {
	name     string
	template *infratest.Template
	stays    string // of what isn't the stack's
}

func routes(t *testing.T) []route {
	t.Helper()
	sums := map[string]string{}
	for _, f := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"} {
		sums[f] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" // of nothing
	}
	published := infratest.Read(t, oneclick.Make(oneclick.Release{
		Version: "test", Bucket: "countersign-releases", Regions: []string{infratest.Usual.Region}, Architecture: "arm64", Sums: sums,
	}).JSON(nil))
	link := func(createRole string) *infratest.Template {
		tmpl, err := published.With(map[string]string{
			"ProviderName": "hestio", "ProviderAccount": "111122223333", "GrantName": "migration", "Permissions": "arn:aws:iam::aws:policy/AmazonS3FullAccess",
			"Expires": "2099-12-31T23:59:59Z", "MailFrom": "countersign@example.com", "NotifyMail": "jdoe@hestio.example", "CreateRole": createRole,
		})
		if err != nil {
			t.Fatal(err)
		}
		return tmpl
	}
	const theirs = "the functions' code in the publisher's bucket"
	return []route{
		{"CDK, `make destroy`", infratest.Synth(t, infratest.Access(t, infratest.Rich, infratest.UploadPolicy))[0],
			"the functions' code among CDK's assets, with CDK's own stack `CDKToolkit`"},
		{"a link, or StackSets", link("true"), theirs},
		{"a link, `CreateRole` = `false`", link("false"), theirs},
		{"Terraform", link("true"), theirs + "; policies from files go with `terraform destroy`, or when their grant leaves the file"},
		{"Terraform, `native_role`", link("false"), theirs + "; Terraform deletes permissions before the stack and the role behind it"},
	}
}

// docs/uninstall.md says of each type what is left, as the templates' own policies have it, and by route.
func TestWhatADeletedStackLeaves(t *testing.T) {
	kinds := map[string][]infratest.Resource{}
	var byRoute strings.Builder
	byRoute.WriteString("| by | lets in | remains |\n|---|---|---|\n")
	for _, r := range routes(t) {
		for _, id := range r.template.IDs() {
			part := r.template.Resources[id]
			kinds[part.Type] = append(kinds[part.Type], part)
		}
		key := r.template.OfType(t, "AWS::KMS::Key")[0]
		fmt.Fprintf(&byRoute, "| %s | %s | the key, pending deletion for %v days; metrics for 15 months; %s |\n", r.name, letsIn(t, r), key.Properties["PendingWindowInDays"], r.stays)
	}
	var table strings.Builder
	table.WriteString("| resources | `DeletionPolicy` | afterwards |\n|---|---|---|\n")
	var nothing []string
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		says, known := left[kind]
		if !known {
			t.Errorf("what is left of a deleted %s?", kind)
		}
		policies := map[string]bool{}
		for _, r := range kinds[kind] {
			policies[cmp.Or(r.DeletionPolicy, "Delete")] = true
			if replaced := cmp.Or(r.UpdateReplacePolicy, "Delete"); replaced != cmp.Or(r.DeletionPolicy, "Delete") {
				t.Errorf("%s is deleted one way with the stack, and another when it is replaced", r.ID)
			}
			if policy := cmp.Or(r.DeletionPolicy, "Delete"); policy != "Delete" {
				t.Errorf("%s stays (%s), and docs/uninstall.md doesn't say what it is then good for", r.ID, policy)
			}
		}
		if says == nothingLeft {
			nothing = append(nothing, "`"+kind+"`")
			continue
		}
		if strings.Contains(says, "%v") {
			says = fmt.Sprintf(says, kinds[kind][0].Properties["PendingWindowInDays"])
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", kind, strings.Join(slices.Sorted(maps.Keys(policies)), ", "), says)
	}
	fmt.Fprintf(&table, "| %s | Delete | gone |\n", strings.Join(nothing, ", "))
	golden(t, uninstallDoc, begin, byRoute.String()+"\n"+table.String())
}

// letsIn says who gets in behind the deletion: nobody. A granted role is the stack's, and goes with it; or it isn't, and Custom::Grant,
// which goes first, is told to leave it closed.
func letsIn(t *testing.T, r route) string {
	t.Helper()
	made, stay := 0, 0
	for _, role := range r.template.OfType(t, "AWS::IAM::Role") {
		if role.Properties["RoleName"] != nil {
			made++
		}
	}
	for _, g := range r.template.OfType(t, "Custom::Grant") {
		if r.template.Text(g.Properties["RoleStays"]) == "true" {
			stay++
		} else {
			made--
		}
	}
	switch {
	case made != 0:
		t.Errorf("%s: %d granted roles are neither deleted nor said to stay", r.name, made)
	case stay > 0 && strings.HasPrefix(r.name, "Terraform"):
		module, err := os.ReadFile("../../terraform/modules/service-provider-access/native.tf")
		if err != nil || !strings.Contains(string(module), "force_detach_policies = true") {
			t.Errorf("the role of %s keeps %s, and can't be deleted: %v", r.name, grant.KeptClosedPolicy, err)
		}
	case stay > 0:
		return "nobody: the role stays, closed by `" + grant.KeptClosedPolicy + "`"
	}
	return "nobody"
}
