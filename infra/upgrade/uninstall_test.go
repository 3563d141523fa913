package upgrade

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
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
	"AWS::Lambda::Function":                      "gone; its code stays among CDK's assets",
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

// docs/uninstall.md says of each type what is left, as the template's own policies have it.
func TestWhatADeletedStackLeaves(t *testing.T) {
	tmpl := infratest.Synth(t, infratest.Access(t, infratest.Rich, infratest.UploadPolicy))[0]
	kinds := map[string][]infratest.Resource{}
	for _, id := range tmpl.IDs() {
		r := tmpl.Resources[id]
		kinds[r.Type] = append(kinds[r.Type], r)
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
	golden(t, uninstallDoc, begin, table.String())
}
