package cloudtrail_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/cloudtrail"
)

func history(events ...string) awstest.Answer {
	var list []map[string]any
	for _, e := range events {
		list = append(list, map[string]any{"EventName": "UpdateAssumeRolePolicy", "CloudTrailEvent": e})
	}
	body, _ := json.Marshal(map[string]any{"Events": list})
	return awstest.JSON(string(body))
}

func event(arn, role, more string) string {
	return `{"userIdentity":{"arn":"` + arn + `"` + more + `},"requestParameters":{"roleName":"` + role + `","policyDocument":"{\"sts:ExternalId\":\"hestio-secret\"}"}}`
}

func TestTheLastWriterIsNamed(t *testing.T) {
	const admin, ours = "arn:aws:sts::444455556666:assumed-role/Deploy/run-7", "arn:aws:sts::444455556666:assumed-role/Stack-Role/countersign-reconcile"
	for name, c := range map[string]struct {
		answer awstest.Answer
		want   string
	}{
		"nobody":                 {history(), ""},
		"of another role":        {history(event(admin, "Other", "")), ""},
		"ours":                   {history(event(ours, "VendorAccess", "")), ""},
		"ours, of another shard": {history(event(ours+"-2", "VendorAccess", "")), ""},
		"behind ours":            {history(event(ours, "VendorAccess", ""), event(admin, "vendoraccess", "")), admin},
		"named like ours":        {history(event(ours+"r", "VendorAccess", "")), ours + "r"},
		"Terraform":              {history(strings.Replace(event(admin, "VendorAccess", ""), "{", `{"userAgent":"APN/1.0 HashiCorp/1.0 Terraform/1.9.0",`, 1)), admin + " (Terraform)"},
		"CloudFormation":         {history(event(admin, "VendorAccess", `,"invokedBy":"cloudformation.amazonaws.com"`)), admin + " (CloudFormation)"},
		"one that was refused":   {history(strings.Replace(event(admin, "VendorAccess", ""), "{", `{"errorCode":"AccessDenied",`, 1)), ""},
		"what can't be read":     {history("{", event(admin, "VendorAccess", "")), admin},
	} {
		server := awstest.New(t, c.answer)
		got, err := cloudtrail.New(server.Config()).LastWriter(t.Context(), "VendorAccess", time.Now())
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}
