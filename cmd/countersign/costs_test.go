package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/internal/access"
)

func TestWhatAFileCosts(t *testing.T) {
	grants := func(with, without int) string {
		var out strings.Builder
		for i := range with {
			fmt.Fprintf(&out, "      - {name: grant-%d, permissions: [SecurityAudit]}\n", i)
		}
		for i := range without {
			fmt.Fprintf(&out, "      - {name: open-%d, permissions: [SecurityAudit], externalId: false}\n", i)
		}
		return out.String()
	}
	// A stack: $1.00 for its key, 9 alarms at $0.10, a metric at $0.30, and 1,314,000 polls of two queues at $0.40 a million.
	const stack = 1.00 + 0.90 + 0.30 + 0.53
	for name, c := range map[string]struct {
		head          string
		with, without int
		want          costs
	}{
		"a grant":                         {"", 1, 0, costs{GrantsUSD: 0.72, StacksUSD: stack, MonthlyUSD: 0.72 + stack}},
		"without an external ID":          {"", 0, 1, costs{GrantsUSD: 0, StacksUSD: stack, MonthlyUSD: stack}},
		"both":                            {"", 2, 1, costs{GrantsUSD: 1.44, StacksUSD: stack, MonthlyUSD: 1.44 + stack}},
		"as many as have ages":            {"", 20, 0, costs{GrantsUSD: 14.40, StacksUSD: stack, MonthlyUSD: 14.40 + stack}},
		"one more, and nobody has an age": {"", 21, 0, costs{GrantsUSD: 8.82, StacksUSD: stack, MonthlyUSD: 8.82 + stack}},
		"ages count those without ID":     {"", 20, 1, costs{GrantsUSD: 8.40, StacksUSD: stack, MonthlyUSD: 8.40 + stack}},
		"three stacks":                    {"shards: 3\n", 40, 0, costs{GrantsUSD: 16.80, StacksUSD: 3 * stack, MonthlyUSD: 16.80 + 3*stack}},
	} {
		t.Run(name, func(t *testing.T) {
			src := "version: 1\n" + c.head + "providers:\n  - name: hestio\n    account: \"111122223333\"\n    grants:\n" + grants(c.with, c.without)
			a, err := access.Parse("access.yaml", []byte(src), fstest.MapFS{}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			got := costsOf(a)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateApprox(0, 1e-9), cmpopts.IgnoreFields(costs{}, "Stacks", "PricesFrom"), cmpopts.IgnoreUnexported(costs{})); diff != "" {
				t.Error(diff)
			}
			sum := 0.0
			for _, e := range a.Entries() {
				sum += explainGrant(e, a.MeasuresAges(), time.Now()).MonthlyUSD
			}
			if cents(sum) != got.GrantsUSD {
				t.Errorf("the grants tell of $%.2f", sum)
			}
			for line := range strings.Lines(got.text()) {
				if n := len([]rune(line)); n > terminalWidth+1 {
					t.Errorf("%d characters: %s", n, line)
				}
			}
			if text := got.text(); !strings.Contains(text, dollars(c.want.MonthlyUSD)) || !strings.Contains(text, "Prices change") {
				t.Error(text)
			}
		})
	}
}
