package trust_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// twoKilobytes is a document of about 2 KB: a vendor's statement among others.
func twoKilobytes() string {
	list := []string{vendor(us, "StringEquals", vendorID+" foreign-1 foreign-2")}
	for i := range 7 {
		list = append(list, fmt.Sprintf(`{"Sid":"Vendor%d","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::44445555%04d:root","arn:aws:iam::44445555%04d:role/Collector"]},`+
			`"Action":["sts:AssumeRole","sts:TagSession"],"Condition":{"StringEquals":{"sts:ExternalId":"vendor-%d"},"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`, i, i, i, i))
	}
	return statements(list...)
}

func BenchmarkEvaluate(b *testing.B) {
	d := parse(b, twoKilobytes())
	b.ReportMetric(float64(d.Size()), "characters")
	r := vendorCall(ourUser, vendorID, noon)
	for b.Loop() {
		if d.Evaluate(r).Effect != trust.Allow {
			b.Fatal("not allowed")
		}
	}
}

func BenchmarkParseApplyPrint(b *testing.B) {
	src := []byte(twoKilobytes())
	plan := toOverlap
	plan.Quota = 4096
	for b.Loop() {
		d, err := trust.Parse(src)
		if err != nil {
			b.Fatal(err)
		}
		after, _, err := trust.Apply(d, plan)
		if err != nil {
			b.Fatal(err)
		}
		if len(after.Bytes()) <= len(src) {
			b.Fatal("nothing was added")
		}
	}
}

// BenchmarkStructRoundTrip is what ParseApplyPrint is measured against: the same document through encoding/json and back.
func BenchmarkStructRoundTrip(b *testing.B) {
	type statement struct {
		Sid       string `json:",omitempty"`
		Effect    string
		Principal map[string]any
		Action    any
		Condition map[string]map[string]any `json:",omitempty"`
	}
	src := []byte(twoKilobytes())
	for b.Loop() {
		var v struct {
			Version   string
			Statement []statement
		}
		if err := json.Unmarshal(src, &v); err != nil {
			b.Fatal(err)
		}
		ids := v.Statement[0].Condition["StringEquals"]
		ids["sts:ExternalId"] = append(ids["sts:ExternalId"].([]any), vendorNext)
		out, err := json.Marshal(v)
		if err != nil || !strings.Contains(string(out), vendorNext) {
			b.Fatal(err)
		}
	}
}
