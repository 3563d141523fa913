package infra_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"github.com/countersign/countersign/infra/infratest"
)

// accepted are the findings of cdk-nag's AwsSolutions that stand, by construct and rule, with why.
var accepted = map[string]string{
	"CheckQueue AwsSolutions-SQS3": "a check that is lost is made up for by the hourly look at every grant",

	"Reconcile/Role AwsSolutions-IAM5[Resource::*]": "cloudtrail:LookupEvents knows no narrower resource",

	"Api AwsSolutions-APIG2":           "the handlers check name and body, and log who sent a wrong one",
	"ApiGrantsGET AwsSolutions-COG4":   "IAM authorises: operators are the account's principals",
	"ApiGrantGET AwsSolutions-COG4":    "IAM authorises: operators are the account's principals",
	"ApiRevokePOST AwsSolutions-COG4":  "IAM authorises: operators are the account's principals",
	"ApiRestorePOST AwsSolutions-COG4": "IAM authorises: operators are the account's principals",
	"ApiRotatePOST AwsSolutions-COG4":  "IAM authorises: operators are the account's principals",
	"ApiPausePOST AwsSolutions-COG4":   "IAM authorises: operators are the account's principals",
	"ApiResumePOST AwsSolutions-COG4":  "IAM authorises: operators are the account's principals",
	"ApiConfirmPOST AwsSolutions-COG4": "IAM authorises: operators are the account's principals, providers come by the granted role",
	"ApiTestPOST AwsSolutions-COG4":    "IAM authorises: operators are the account's principals",
	"ApiStage AwsSolutions-APIG1":      "API logs need a role that is set for the whole account and Region; the handlers log the caller",
	"ApiStage AwsSolutions-APIG6":      "API logs need a role that is set for the whole account and Region; the handlers log the caller",
	"ApiStage AwsSolutions-APIG3":      "only signed requests of the account's principals come through, 10 a second; a web ACL costs more than the rest",

	"Notify/Role AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ses:<AWS::Region>:<AWS::AccountId>:identity/*]": "in SES's sandbox the recipients' identities are asked too; the sender is a condition",

	"PickUp AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::<AWS::AccountId>:role/*]": "the tags of its own role only: a condition",

	"Audit/Secret AwsSolutions-SMG4": "its grant says rotateEvery: never",

	"Migration/Role/Role AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonS3FullAccess]": "what a grant permits is the customer's choice",
	"Migration/Role/Permission939f71a4 AwsSolutions-IAM5[Resource::arn:aws:s3:::uploads/*]":                  "what a grant permits is the customer's choice",
	"Audit/Role9efde84a/Role AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/SecurityAudit]":  "what a grant permits is the customer's choice",
	"Console/Role/Role AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/ReadOnlyAccess]":       "what a grant permits is the customer's choice",
}

func TestNagFindsNothingThatIsNotExplained(t *testing.T) {
	app, stacks := infratest.Stacks(t, infratest.Access(t, infratest.Rich, infratest.UploadPolicy))
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(nil), nil)
	explained(t, nagged(stacks, "/ServiceProviderAccess/ServiceProviderAccess/"), accepted)
}

// nagged are cdk-nag's findings in stacks, by the path behind a prefix and the rule.
func nagged(stacks []awscdk.Stack, prefix string) map[string]bool {
	found := map[string]bool{}
	for _, stack := range stacks {
		a := assertions.Annotations_FromStack(stack)
		for _, f := range append(*a.FindError(new("*"), assertions.Match_AnyValue()), *a.FindWarning(new("*"), assertions.Match_AnyValue())...) {
			id, entry := f.Id, f.Entry //nolint:staticcheck // CDK for Go has these fields nowhere else yet
			rule, _, _ := strings.Cut(fmt.Sprint(entry.Data), ": The ")
			found[strings.TrimPrefix(*id, prefix)+" "+rule] = true
		}
	}
	return found
}

// explained holds findings to their reasons, both ways.
func explained(t *testing.T, found map[string]bool, reasons map[string]string) {
	t.Helper()
	for _, finding := range slices.Sorted(maps.Keys(found)) {
		if reasons[finding] == "" {
			t.Errorf("not explained: %s", finding)
		}
	}
	for finding := range reasons {
		if !found[finding] {
			t.Errorf("explained and not found: %s", finding)
		}
	}
}
