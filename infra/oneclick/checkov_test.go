package oneclick_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// accepted are checkov's findings that stand, by rule and kind of resource, with why.
var accepted = map[string]string{
	"CKV_AWS_115 AWS::Lambda::Function":  "new accounts have 10 concurrent executions and refuse every reservation",
	"CKV_AWS_116 AWS::Lambda::Function":  "what is called by events comes by SQS queues, of which notify's has dead letters; the others have callers who see the failure",
	"CKV_AWS_117 AWS::Lambda::Function":  "the functions call AWS's own APIs and webhooks; in a VPC they would need a way out of it",
	"CKV_AWS_173 AWS::Lambda::Function":  "the environment holds names and durations, no secret; Lambda encrypts it with its own key",
	"CKV_AWS_158 AWS::Logs::LogGroup":    "logs hold names and fingerprints, no external ID; CloudWatch encrypts them with its own key",
	"CKV_AWS_27 AWS::SQS::Queue":         "messages hold names and version ids; SQS encrypts them with its own key (SqsManagedSseEnabled)",
	"CKV_AWS_73 AWS::ApiGateway::Stage":  "a dozen requests a day, whose callers the functions log",
	"CKV_AWS_76 AWS::ApiGateway::Stage":  "API logs need a role that is set for the whole account and Region; the handlers log the caller",
	"CKV_AWS_120 AWS::ApiGateway::Stage": "answers say how a grant stands now",
}

// acceptedOfCustomers are those of the template for a provider's account.
var acceptedOfCustomers = map[string]string{
	"CKV_AWS_115 AWS::Lambda::Function": "new accounts have 10 concurrent executions and refuse every reservation",
	"CKV_AWS_116 AWS::Lambda::Function": "its events come by an SQS queue, which has dead letters",
	"CKV_AWS_117 AWS::Lambda::Function": "the function calls AWS's own APIs; in a VPC it would need a way out of it",
	"CKV_AWS_173 AWS::Lambda::Function": "the environment holds names, no secret; Lambda encrypts it with its own key",
	"CKV_AWS_158 AWS::Logs::LogGroup":   "logs hold names, no external ID; CloudWatch encrypts them with its own key",
	"CKV_AWS_27 AWS::SQS::Queue":        "messages hold names and version ids; SQS encrypts them with its own key (SqsManagedSseEnabled)",
	"CKV_AWS_26 AWS::SNS::Topic":        "alerts hold customers' names; alarms of CloudWatch reach no topic that AWS's own key encrypts",
	"CKV_AWS_119 AWS::DynamoDB::Table":  "the registry holds names and ARNs, no external ID; DynamoDB encrypts it with its own key",
}

func TestCheckovFindsNothingThatIsNotExplained(t *testing.T) {
	explained(t, made(), 100, accepted)
	explained(t, customersMade(), 10, acceptedOfCustomers)
}

// explained has checkov look at a template, of which it passes that much at least.
func explained(t *testing.T, raw []byte, passes int, accepted map[string]string) {
	t.Helper()
	const checkov = "../../.tools/checkov/bin/checkov"
	if _, err := os.Stat(checkov); err != nil {
		t.Fatalf("checkov is missing: make test-infra installs it into .tools (%v)", err)
	}
	found := findings(t, checkov, raw, passes)
	for _, finding := range slices.Sorted(maps.Keys(found)) {
		if accepted[finding] == "" {
			t.Errorf("not explained: %s, %s", finding, found[finding])
		}
	}
	for finding := range accepted {
		if found[finding] == "" {
			t.Errorf("explained and not found: %s", finding)
		}
	}
}

// findings are what checkov says of a template, by rule and kind of resource.
func findings(t *testing.T, checkov string, raw []byte, passes int) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "template.json")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), checkov, "-f", file, "--framework", "cloudformation", "--skip-download", "--output", "json", "--soft-fail")
	cmd.Env = append(os.Environ(), "LOG_LEVEL=ERROR")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var report struct {
		Results struct {
			Failed  []struct{ CheckID, CheckName, Resource string } `json:"failed_checks"`
			Passed  []any                                           `json:"passed_checks"`
			Parsing []any                                           `json:"parsing_errors"`
		}
	}
	text := strings.NewReplacer(`"check_id"`, `"CheckID"`, `"check_name"`, `"CheckName"`).Replace(string(out))
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatalf("%v in %.300s", err, out)
	}
	if len(report.Results.Passed) < passes || len(report.Results.Parsing) > 0 {
		t.Fatalf("checkov passed %d, and could not read %v", len(report.Results.Passed), report.Results.Parsing)
	}
	found := map[string]string{}
	for _, f := range report.Results.Failed {
		kind, _, _ := strings.Cut(f.Resource, ".")
		found[f.CheckID+" "+kind] = f.CheckName + " (" + f.Resource + ")"
	}
	return found
}
