package ssm_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
)

var plan = grant.Plan{
	Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-central-1",
	RoleARN:    "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
	SecretARN:  "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-a1b2c3",
	Principals: []string{"arn:aws:iam::111122223333:root"}, RotateEvery: "monthly", Overlap: grant.Duration(24 * time.Hour),
}

func parameter(t *testing.T, value string) awstest.Answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"Parameter": map[string]any{
		"ARN":  "arn:aws:ssm:eu-central-1:444455556666:parameter/countersign/migration",
		"Name": "/countersign/migration", "Type": "String", "DataType": "text", "Version": 3,
		"LastModifiedDate": 1582657288.8, "Value": value,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return awstest.JSON(string(body))
}

func encoded(t *testing.T) string {
	t.Helper()
	body, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func readPlan(ctx context.Context, cfg aws.Config) error {
	_, err := ssm.New(cfg).Plan(ctx, "migration")
	return err
}

func readPlans(ctx context.Context, cfg aws.Config) error {
	_, err := ssm.New(cfg).Plans(ctx)
	return err
}

func TestPlansKeepsTheAdaptersContract(t *testing.T) {
	awstest.SSM.Contract(t, awstest.JSON(`{"Parameters":[]}`), readPlans)
}

func TestPlansReadsEveryPageAndSaysWhatCannotBeActedOn(t *testing.T) {
	page := func(token string, parameters ...string) awstest.Answer {
		var list []any
		for i := 0; i < len(parameters); i += 2 {
			list = append(list, map[string]any{"Name": parameters[i], "Type": "String", "Value": parameters[i+1]})
		}
		body, err := json.Marshal(map[string]any{"Parameters": list, "NextToken": token})
		if err != nil {
			t.Fatal(err)
		}
		return awstest.JSON(string(body))
	}
	server := awstest.New(t, page("n1", "/countersign/migration", encoded(t), "/countersign/Not A Grant", "{}"), page("n2"), page("", "/countersign/audit", "born"))
	got, err := ssm.New(server.Config()).Plans(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("plans = %v, %v", got, err)
	}
	if diff := cmp.Diff(plan, got["migration"].Plan); diff != "" || got["migration"].Err != nil {
		t.Errorf("plan (-want +got):\n%s%v", diff, got["migration"].Err)
	}
	if !errors.Is(got["audit"].Err, grant.ErrNotConfigured) {
		t.Errorf("error = %v, want not configured", got["audit"].Err)
	}
	if calls := server.Calls(); calls[0].JSON["Path"] != "/countersign/" || calls[2].JSON["NextToken"] != "n2" {
		t.Errorf("asked with %v", calls)
	}
}

func TestPlanKeepsTheAdaptersContract(t *testing.T) {
	awstest.SSM.Contract(t, parameter(t, encoded(t)), readPlan)
}

func TestPlanIsReadAndChecked(t *testing.T) {
	server := awstest.New(t, parameter(t, encoded(t)))
	got, err := ssm.New(server.Config()).Plan(t.Context(), "migration")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"Name": "/countersign/migration"}, server.Only("GetParameter").JSON); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestAGrantWithoutAUsablePlanIsNotConfigured(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answer  awstest.Answer
		missing bool
	}{
		{"no such parameter", awstest.JSONError(400, "ParameterNotFound", "UnknownError"), true},
		{"no JSON", parameter(t, "born"), false},
		{"no value", parameter(t, ""), false},
		{"the plan of another grant", parameter(t, `{"grant":"audit"}`), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := readPlan(t.Context(), awstest.New(t, tc.answer).Config())
			if !errors.Is(err, grant.ErrNotConfigured) || errors.Is(err, grant.ErrNotFound) != tc.missing {
				t.Errorf("error = %v, want not configured, and not found: %v", err, tc.missing)
			}
		})
	}
	t.Run("an answer without a parameter says nothing about the grant", func(t *testing.T) {
		err := readPlan(t.Context(), awstest.New(t, awstest.JSON(`{}`)).Config())
		if !errors.Is(err, grant.ErrUnavailable) || errors.Is(err, grant.ErrNotConfigured) {
			t.Errorf("error = %v, want unavailable", err)
		}
	})
}
