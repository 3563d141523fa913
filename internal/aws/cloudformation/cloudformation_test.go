package cloudformation_test

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/cloudformation"
	"github.com/countersign/countersign/internal/grant"
)

var service = awstest.Service{Error: awstest.XMLError, Throttle: "Throttling", Denied: "AccessDenied", Internal: "InternalFailure"}

var described = awstest.XML(describedXML)

const describedXML = `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <DescribeStacksResult><Stacks><member>
    <StackName>ServiceProviderAccess</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
    <CreationTime>2026-01-05T09:00:00Z</CreationTime>
    <Outputs>
      <member><OutputKey>ApiUrl</OutputKey><OutputValue>https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1/</OutputValue></member>
      <member><OutputKey>Grants</OutputKey><OutputValue>migration,audit</OutputValue></member>
    </Outputs>
  </member></Stacks></DescribeStacksResult>
</DescribeStacksResponse>`

func stacks(ctx context.Context, cfg aws.Config) error {
	_, err := cloudformation.New(cfg).Stacks(ctx)
	return err
}

func outputs(ctx context.Context, cfg aws.Config) error {
	_, err := cloudformation.New(cfg).Outputs(ctx, "ServiceProviderAccess")
	return err
}

func rollingBack(ctx context.Context, cfg aws.Config) error {
	_, err := cloudformation.New(cfg).RollingBack(ctx, "ServiceProviderAccess")
	return err
}

func deletable(ctx context.Context, cfg aws.Config) error {
	_, err := cloudformation.New(cfg).Deletable(ctx, "ServiceProviderAccess")
	return err
}

func protect(ctx context.Context, cfg aws.Config) error {
	return cloudformation.New(cfg).Protect(ctx, "ServiceProviderAccess")
}

var protected = awstest.XML(`<UpdateTerminationProtectionResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <UpdateTerminationProtectionResult><StackId>arn:aws:cloudformation:eu-central-1:444455556666:stack/ServiceProviderAccess/1f2e3d4c</StackId></UpdateTerminationProtectionResult>
</UpdateTerminationProtectionResponse>`)

func TestDeletableKeepsTheAdaptersContract(t *testing.T) {
	service.Contract(t, described, deletable)
}

func TestProtectKeepsTheAdaptersContract(t *testing.T) {
	service.Contract(t, protected, protect)
}

func TestOutputsKeepsTheAdaptersContract(t *testing.T) {
	service.Contract(t, described, outputs)
}

func TestRollingBackKeepsTheAdaptersContract(t *testing.T) {
	service.Contract(t, described, rollingBack)
}

func TestStacksKeepsTheAdaptersContract(t *testing.T) {
	service.Contract(t, described, stacks)
}

func TestStacksGoesThroughEveryPage(t *testing.T) {
	first := strings.Replace(describedXML, "</Stacks>", "</Stacks><NextToken>n1</NextToken>", 1)
	second := strings.ReplaceAll(strings.Replace(describedXML, "ServiceProviderAccess", "StackSet-hestio-0a1b2c3d", 1), "migration,audit", "snapshots")
	server := awstest.New(t, awstest.XML(first), awstest.XML(second))
	got, err := cloudformation.New(server.Config()).Stacks(t.Context())
	if err != nil || len(got) != 2 || got[0].Name != "ServiceProviderAccess" || got[0].Outputs["Grants"] != "migration,audit" ||
		got[1].Name != "StackSet-hestio-0a1b2c3d" || got[1].Outputs["Grants"] != "snapshots" {
		t.Errorf("stacks = %v, %v", got, err)
	}
	if calls := server.Calls(); calls[0].Form.Has("StackName") || calls[1].Form.Get("NextToken") != "n1" {
		t.Errorf("asked with %v, then %v", calls[0].Form, calls[1].Form)
	}
}

func TestAStackRollsBackByItsStatus(t *testing.T) {
	for status, want := range map[string]bool{
		"UPDATE_ROLLBACK_IN_PROGRESS": true, "UPDATE_IN_PROGRESS": false, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": false,
	} {
		server := awstest.New(t, awstest.XML(strings.Replace(describedXML, "CREATE_COMPLETE", status, 1)))
		got, err := cloudformation.New(server.Config()).RollingBack(t.Context(), "ServiceProviderAccess")
		if err != nil || got != want {
			t.Errorf("%s: %t, %v", status, got, err)
		}
	}
}

func TestAStackIsDeletableWhileItStandsUnprotected(t *testing.T) {
	for _, c := range []struct {
		status, protection string
		want               bool
	}{
		{"CREATE_COMPLETE", "", true},
		{"CREATE_IN_PROGRESS", "false", true},
		{"UPDATE_ROLLBACK_COMPLETE", "false", true},
		{"UPDATE_COMPLETE", "true", false},
		{"DELETE_IN_PROGRESS", "false", false},
		{"DELETE_FAILED", "false", false},
		{"ROLLBACK_IN_PROGRESS", "false", false},
		{"ROLLBACK_COMPLETE", "false", false},
	} {
		xml := strings.Replace(describedXML, "CREATE_COMPLETE", c.status, 1)
		if c.protection != "" {
			xml = strings.Replace(xml, "<Outputs>", "<EnableTerminationProtection>"+c.protection+"</EnableTerminationProtection><Outputs>", 1)
		}
		server := awstest.New(t, awstest.XML(xml))
		if got, err := cloudformation.New(server.Config()).Deletable(t.Context(), "ServiceProviderAccess"); err != nil || got != c.want {
			t.Errorf("%+v: %t, %v", c, got, err)
		}
	}
}

func TestProtectionIsTurnedOn(t *testing.T) {
	server := awstest.New(t, protected)
	if err := protect(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	form := server.Only("UpdateTerminationProtection").Form
	if form.Get("StackName") != "ServiceProviderAccess" || form.Get("EnableTerminationProtection") != "true" {
		t.Errorf("asked %v", form)
	}
}

func TestOutputsAreReadByKey(t *testing.T) {
	server := awstest.New(t, described)
	got, err := cloudformation.New(server.Config()).Outputs(t.Context(), "ServiceProviderAccess")
	want := map[string]string{"ApiUrl": "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/v1/", "Grants": "migration,audit"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("outputs = %v, %v; want %v", got, err, want)
	}
	if name := server.Only("DescribeStacks").Form.Get("StackName"); name != "ServiceProviderAccess" {
		t.Errorf("asked for stack %q", name)
	}
}

func TestAStackThatIsNotThereIsNotFound(t *testing.T) {
	awstest.Refused(t, awstest.XMLError(http.StatusBadRequest, "ValidationError", "Stack with id ServiceProviderAccess does not exist"), grant.ErrNotFound, outputs)
	awstest.Refused(t, awstest.XMLError(http.StatusBadRequest, "ValidationError", "Stack [ServiceProviderAccess] does not exist"), grant.ErrNotFound, protect)
}
