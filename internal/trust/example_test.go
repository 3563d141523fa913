package trust_test

import (
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

func ExampleParse() {
	d, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole",}]}`))
	fmt.Println(d == nil, err)
	d, err = trust.Parse([]byte(trust.BornDocument))
	fmt.Println(d.Born(), d.Size(), err)
	// Output:
	// true refused: line 1, column 97: a trailing comma, which JSON doesn't allow
	// true 122 <nil>
}

func ExampleApply() {
	born, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		fmt.Println(err)
		return
	}
	plan := trust.Plan{
		Principals: []string{"arn:aws:iam::111122223333:root"},
		Current:    "hestio-q7Xr2LmZ9vT4bKc8WnYp3JsD6gFhA1eU",
		Expires:    time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	open, diff, err := trust.Apply(born, plan)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range diff.Lines {
		fmt.Println(line)
	}
	_, diff, err = trust.Apply(open, plan)
	fmt.Println("again:", diff.Empty(), err)
	// Output:
	// added statement 1 (CountersignCurrent): lets in arn:aws:iam::111122223333:root with #4a1cbb until 2026-12-31T23:59:59Z
	// removed statement 1 (CountersignBorn): nobody enters
	// again: true <nil>
}

func ExampleDocument_Evaluate() {
	d, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Sid":"Hestio","Effect":"Allow",
		"Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole",
		"Condition":{"StringEquals":{"sts:ExternalId":"hestio-q7Xr2LmZ9vT4bKc8WnYp3JsD6gFhA1eU"}}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	verdict := d.Evaluate(trust.Request{Principal: "arn:aws:sts::111122223333:assumed-role/Engineers/jdoe"})
	fmt.Println(verdict.Effect)
	for _, line := range verdict.Why {
		fmt.Println(line)
	}
	// Output:
	// deny
	// statement 1 (Hestio): condition StringEquals sts:ExternalId fails: the request has nothing, the policy names #4a1cbb
	// denied: no statement allows it
}

func ExampleAudit() {
	d, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Hestio","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/Hestio"},"Action":"sts:AssumeRole",
			"Condition":{"StringEqualsIfExists":{"sts:ExternalId":"hestio-q7Xr2LmZ9vT4bKc8WnYp3JsD6gFhA1eU"}}},
		{"Sid":"Anybody","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range trust.Audit(d, trust.AuditOptions{Account: "444455556666"}) {
		fmt.Printf("%s: %s: %s\n  %s\n", f.Severity, f.Statement, f.Problem, f.Fix)
	}
	// Output:
	// critical: statement 2 (Anybody): "*" lets in every AWS account, and nothing limits it
	//   Name the accounts or the ARNs in Principal.
	// high: statement 1 (Hestio): StringEqualsIfExists lets in whoever gives no external ID
	//   Use StringEquals with the ID itself.
}

// Where the role's account isn't known, every account counts as foreign.
func ExampleAudit_account() {
	d, err := trust.Parse([]byte(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/Deploy"},"Action":"sts:AssumeRole"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range trust.Audit(d, trust.AuditOptions{}) {
		fmt.Printf("%s: %s: %s\n", f.Severity, f.Statement, f.Problem)
	}
	fmt.Println(len(trust.Audit(d, trust.AuditOptions{Account: "444455556666"})))
	// Output:
	// high: statement 1: account 444455556666 gets in without an external ID: whoever has it act for others can have it enter here
	// 0
}

func ExampleCompare() {
	before, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/Hestio"},
		"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"hestio-q7Xr2LmZ9vT4bKc8WnYp3JsD6gFhA1eU"}}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	after, _, err := trust.Apply(before, trust.Plan{Role: trust.Adopted, Gate: trust.Close})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range trust.Compare(before, after).Loses {
		fmt.Println("loses", e)
	}
	// Output:
	// loses arn:aws:iam::111122223333:role/Hestio under #4a1cbb
}
