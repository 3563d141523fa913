package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/grant"
)

func otherCases() []Case {
	return []Case{
		{"a secret's tag leaves the others alone", manager + "TagResource", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			must(t, "tagging", a.Secrets.Tag(t.Context(), s, map[string]string{"countersign:a": "1", "countersign:b": "2"}))
			must(t, "tagging", a.Secrets.Tag(t.Context(), s, map[string]string{"countersign:b": "3"}))
			described, err := a.Secrets.Describe(t.Context(), s)
			must(t, "DescribeSecret", err)
			if described.Tags["countersign:a"] != "1" || described.Tags["countersign:b"] != "3" {
				t.Errorf("tags %v", described.Tags)
			}
		}},
		{"a secret's tags have bounds", manager + "TagResource", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			many := map[string]string{}
			for i := range 51 {
				many[fmt.Sprint("k", i)] = "v"
			}
			for what, tags := range map[string]map[string]string{
				"a key that begins with aws:": {"aws:reserved": "x"}, "a key of 129 characters": {strings.Repeat("k", 129): "v"},
				"a value of 257 characters": {"k": strings.Repeat("v", 257)}, "51 tags": many,
			} {
				if a.Secrets.Tag(t.Context(), s, tags) == nil {
					t.Errorf("%s was taken", what)
				}
			}
		}},
		{"a plan is read from its parameter", "Systems Manager API reference, GetParameter", func(t testing.TB, a Account) {
			must(t, "PutParameter", a.SetParameter(t.Context(), grant.Name("conformance").Parameter(), `{"grant":"conformance","provider":"p","providerAccount":"111122223333","account":"444455556666","region":"eu-central-1",
				"roleArn":"arn:aws:iam::444455556666:role/countersign/R","noExternalId":true,"principals":["arn:aws:iam::111122223333:root"]}`))
			p, err := a.Plans.Plan(t.Context(), "conformance")
			must(t, "GetParameter", err)
			if p.RoleName() != "R" {
				t.Errorf("plan of role %q", p.RoleName())
			}
		}},
		{"a parameter that is not there is a grant that is not configured", "Systems Manager API reference, GetParameter", func(t testing.TB, a Account) {
			_, err := a.Plans.Plan(t.Context(), "absent")
			want(t, "GetParameter", err, grant.ErrNotFound)
			want(t, "GetParameter", err, grant.ErrNotConfigured)
		}},
		{"a standard parameter holds 4,096 characters", "Systems Manager API reference, PutParameter: Value", func(t testing.TB, a Account) {
			want(t, "4,096 characters", a.SetParameter(t.Context(), "/conformance/long", strings.Repeat("x", 4096)), nil)
			if a.SetParameter(t.Context(), "/conformance/long", strings.Repeat("x", 4097)) == nil {
				t.Error("4,097 characters were taken")
			}
			if a.SetParameter(t.Context(), "/conformance/long", "") == nil {
				t.Error("an empty value was taken")
			}
		}},
		{"a stack that is not there has no outputs", "CloudFormation API reference, DescribeStacks", func(t testing.TB, a Account) {
			_, err := a.Outputs(t.Context(), "NoSuchStack")
			want(t, "DescribeStacks", err, grant.ErrNotFound)
			absent := "arn:aws:cloudformation:eu-central-1:" + a.ID + ":stack/NoSuchStack/1f2e3d4c"
			want(t, "UpdateTerminationProtection", a.Stacks.Protect(t.Context(), absent), grant.ErrNotFound)
		}},
		{"a protected stack is not deleted", "CloudFormation user guide, Protect CloudFormation stacks from being deleted", func(t testing.TB, a Account) {
			arn, remove, unprotect := a.NewStack(t)
			deletable := func(want bool) {
				t.Helper()
				if got, err := a.Stacks.Deletable(t.Context(), arn); err != nil || got != want {
					t.Errorf("deletable: %t, %v", got, err)
				}
			}
			deletable(true)
			for range 2 { // on is on
				must(t, "UpdateTerminationProtection", a.Stacks.Protect(t.Context(), arn))
			}
			deletable(false)
			if err := remove(); err == nil || !strings.Contains(err.Error(), "cannot be deleted while TerminationProtection is enabled") {
				t.Errorf("DeleteStack: %v", err)
			}
			deletable(false)
			must(t, "UpdateTerminationProtection", unprotect())
			deletable(true)
			must(t, "DeleteStack", remove())
		}},
	}
}
