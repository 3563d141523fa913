package sim_test

import (
	"fmt"
	"testing"

	"github.com/countersign/countersign/internal/sim"
)

func TestIdentityPoliciesAreEvaluatedAsIAMDoes(t *testing.T) {
	keys := map[string][]string{"kms:ViaService": {"secretsmanager.eu-central-1.amazonaws.com"}, "app:tags": {"a", "b"}, "app:count": {"7"}, "aws:SourceIp": {"192.0.2.9"}}
	for _, c := range []struct {
		name, statement, action, resource string
		allowed                           bool
	}{
		{"nothing allows it", `{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"actions without regard to case", `{"Effect":"Allow","Action":"S3:getobject","Resource":"*"}`, "s3:GetObject", "arn:aws:s3:::b/k", true},
		{"a wildcard in the action", `{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`, "s3:GetObject", "arn:aws:s3:::b/k", true},
		{"a question mark stands for one character", `{"Effect":"Allow","Action":"s3:GetObjec?","Resource":"*"}`, "s3:GetObjects", "arn:aws:s3:::b/k", false},
		{"resources with regard to case", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::B/*"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"NotAction", `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, "s3:GetObject", "arn:aws:s3:::b/k", true},
		{"NotAction excludes", `{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"NotResource excludes", `{"Effect":"Allow","Action":"s3:*","NotResource":"arn:aws:s3:::b/*"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"Deny wins, whatever the order", `{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"a condition that holds", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"kms:viaservice":"secretsmanager.eu-central-1.amazonaws.com"}}}`, "kms:Decrypt", "*", true},
		{"a condition that doesn't", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"s3.eu-central-1.amazonaws.com"}}}`, "kms:Decrypt", "*", false},
		{"several values are one of them", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"kms:ViaService":["s3.*","secretsmanager.*"]}}}`, "kms:Decrypt", "*", true},
		{"several keys are all of them", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"kms:ViaService":"secretsmanager.*","kms:Absent":"*"}}}`, "kms:Decrypt", "*", false},
		{"an absent key doesn't hold", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"kms:Absent":"x"}}}`, "kms:Decrypt", "*", false},
		{"an absent key holds where the operator is negated", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"kms:Absent":"x"}}}`, "kms:Decrypt", "*", true},
		{"an absent key holds with IfExists", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqualsIfExists":{"kms:Absent":"x"}}}`, "kms:Decrypt", "*", true},
		{"a negated operator with two values means neither", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotLike":{"kms:ViaService":["s3.*","secretsmanager.*"]}}}`, "kms:Decrypt", "*", false},
		{"Null true needs the key absent", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"kms:ViaService":"true"}}}`, "kms:Decrypt", "*", false},
		{"Null false needs it present", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"kms:ViaService":"false"}}}`, "kms:Decrypt", "*", true},
		{"ForAllValues", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"app:tags":["a","b","c"]}}}`, "app:Do", "*", true},
		{"ForAllValues with one too many", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"app:tags":["a"]}}}`, "app:Do", "*", false},
		{"ForAllValues passes where the key is absent", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"app:absent":["a"]}}}`, "app:Do", "*", true},
		{"ForAnyValue", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"app:tags":["b","c"]}}}`, "app:Do", "*", true},
		{"ForAnyValue fails where the key is absent", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"app:absent":["a"]}}}`, "app:Do", "*", false},
		{"numbers", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericLessThanEquals":{"app:count":7}}}`, "app:Do", "*", true},
		{"addresses", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}`, "app:Do", "*", true},
		{"addresses, negated", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","198.51.100.0/24"]}}}`, "app:Do", "*", false},
		{"booleans", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true}}}`, "app:Do", "*", true},
		{"the session's own role", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/countersign/*"}}}`, "app:Do", "*", true},
		{"a variable of the role's tags", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/countersign:grant}/*"}`, "s3:GetObject", "arn:aws:s3:::b/migration/k", true},
		{"a variable with another value", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/countersign:grant}/*"}`, "s3:GetObject", "arn:aws:s3:::b/audit/k", false},
		{"a variable that is absent", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/none}*"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"a variable with a default", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/none, 'all'}/*"}`, "s3:GetObject", "arn:aws:s3:::b/all/k", true},
		{"a literal star", `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/${*}"}`, "s3:GetObject", "arn:aws:s3:::b/k", false},
		{"the resource's account", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceAccount":"444455556666"}}}`, "sqs:SendMessage", "arn:aws:sqs:eu-central-1:444455556666:q", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := sim.New(sim.Config{})
			must(t, w.Deploy(plan(), sim.Policy{Name: "Some", Document: fmt.Sprintf(`{"Version":"2012-10-17","Statement":[%s]}`, c.statement)}))
			open(t, w)
			if got := enter(t, w).Allowed(c.action, c.resource, 0, keys); got != c.allowed {
				t.Errorf("allowed %t, want %t", got, c.allowed)
			}
		})
	}
}

func TestABoundaryLimitsWhatPoliciesAllow(t *testing.T) {
	w := sim.New(sim.Config{})
	must(t, w.IAM.ManagedPolicy("arn:aws:iam::444455556666:policy/Boundary", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`)))
	must(t, w.IAM.ManagedPolicy("arn:aws:iam::aws:policy/AmazonS3FullAccess", []byte(s3Full)))
	arn, err := w.IAM.CreateRole("Bound", trusting(providerRoot, currentID), sim.RoleOptions{
		Boundary: "arn:aws:iam::444455556666:policy/Boundary", Managed: []string{"arn:aws:iam::aws:policy/AmazonS3FullAccess"},
	})
	must(t, err)
	s, err := w.STS.AssumeRole(t.Context(), providerRole, arn, currentID, "session")
	must(t, err)
	for action, want := range map[string]bool{"s3:GetObject": true, "s3:PutObject": false, "ec2:RunInstances": false} {
		if got := s.Allowed(action, "*", 0); got != want {
			t.Errorf("%s allowed %t, want %t", action, got, want)
		}
	}
}
