package conformance

import (
	"testing"
	"time"

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
		{"a plan is read from its parameter", "Systems Manager API reference, GetParameter", func(t testing.TB, a Account) {
			a.SetPlan(t, "conformance", `{"grant":"conformance","provider":"p","providerAccount":"111122223333","account":"444455556666","region":"eu-central-1",
				"roleArn":"arn:aws:iam::444455556666:role/countersign/R","noExternalId":true,"principals":["arn:aws:iam::111122223333:root"]}`)
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
		{"a message waits 15 minutes at most and is not empty", "SQS API reference, SendMessage", func(t testing.TB, a Account) {
			want(t, "sending", a.Queue.Send(t.Context(), []byte("hello"), 15*time.Minute), nil)
			if a.Queue.Send(t.Context(), []byte("hello"), 15*time.Minute+time.Second) == nil {
				t.Error("a delay of 901 s was taken")
			}
			if a.Queue.Send(t.Context(), nil, 0) == nil {
				t.Error("an empty message was taken")
			}
		}},
	}
}
