package upgrade

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// behaviour is what CloudFormation documents for a changed property ("Update requires"), under
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-….html of the type.
type behaviour string

const (
	inPlace  behaviour = "No interruption"
	replaced behaviour = "Replacement"
)

// behaviours are those of the properties that a changed access.yaml, or another version, changes. Custom resources are asked.
var behaviours = map[string]map[string]behaviour{
	"AWS::IAM::Role": {
		"Description": inPlace, "ManagedPolicyArns": inPlace, "MaxSessionDuration": inPlace, "PermissionsBoundary": inPlace, "Policies": inPlace,
		"Tags": inPlace, "AssumeRolePolicyDocument": inPlace, "RoleName": replaced, "Path": replaced,
	},
	"AWS::IAM::Policy":                      {"PolicyDocument": inPlace},
	"AWS::IAM::ManagedPolicy":               {"PolicyDocument": inPlace, "Roles": inPlace, "Description": replaced},
	"AWS::SSM::Parameter":                   {"Value": inPlace, "Name": replaced},
	"AWS::SecretsManager::Secret":           {"Description": inPlace, "SecretString": inPlace, "Name": replaced},
	"AWS::SecretsManager::ResourcePolicy":   {"ResourcePolicy": inPlace, "SecretId": replaced},
	"AWS::SecretsManager::RotationSchedule": {"RotationRules": inPlace, "RotationLambdaARN": inPlace, "SecretId": replaced},
	"AWS::Lambda::Function":                 {"Environment": inPlace, "Code": inPlace, "FunctionName": replaced},
	"AWS::Lambda::Version":                  {"Description": replaced},
	"AWS::Lambda::Permission":               {"FunctionName": replaced},
	"AWS::Lambda::EventSourceMapping":       {"FunctionName": inPlace},
	"AWS::Lambda::Alias":                    {"FunctionVersion": inPlace},
	"AWS::KMS::Key":                         {"KeyPolicy": inPlace},
	"AWS::ApiGateway::Method":               {"Integration": inPlace},
	"AWS::ApiGateway::RestApi":              {"Policy": inPlace},
	"AWS::ApiGateway::Stage":                {"DeploymentId": inPlace},
	"AWS::Events::Rule":                     {"Targets": inPlace, "EventPattern": inPlace},
	"AWS::Events::EventBusPolicy":           {"Statement": inPlace, "StatementId": replaced},
	"AWS::SQS::QueuePolicy":                 {"PolicyDocument": inPlace},
	"AWS::CloudWatch::Alarm":                {"AlarmActions": inPlace, "OKActions": inPlace, "AlarmName": replaced},
	"Custom::Grant":                         {"Digest": inPlace},
	"Custom::Layout":                        {"Grants": inPlace, "RemoveRevoked": inPlace, "Shards": inPlace, "ReshardedFrom": inPlace},
}

// schemas is where make puts CloudFormation's own schemas of its types, as cfn-lint ships them.
const schemas = "../../.tools/cfn-lint/lib/python3*/site-packages/cfnlint/data/schemas"

// What is written above is what CloudFormation's own schemas say: a property that only a creation takes is replaced.
func TestTheBehavioursAreCloudFormations(t *testing.T) {
	found, err := filepath.Glob(schemas)
	if err != nil || len(found) != 1 {
		t.Fatalf("cfn-lint is missing: make test-infra installs it into .tools (%v, %v)", found, err)
	}
	files := map[string]string{}
	read(t, filepath.Join(found[0], "providers", "us-east-1.json"), &files)
	for resourceType, properties := range behaviours {
		if strings.HasPrefix(resourceType, "Custom::") {
			continue
		}
		var schema struct {
			Properties           map[string]any
			CreateOnlyProperties []string
		}
		read(t, filepath.Join(found[0], "resources", files[resourceType]+".json"), &schema)
		for property, says := range properties {
			if _, known := schema.Properties[property]; !known {
				t.Errorf("%s has no %s", resourceType, property)
			}
			if created := slices.Contains(schema.CreateOnlyProperties, "/properties/"+property); created != (says == replaced) {
				t.Errorf("%s.%s: written as %q, and only a creation takes it: %t", resourceType, property, says, created)
			}
		}
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(src, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
