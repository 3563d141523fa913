package terraform_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/access/accesstest"
	"github.com/countersign/countersign/terraform/terraformtest"
)

// rosterHead is a customers.yaml up to its customers.
const rosterHead = "version: 1\nprincipals: [role/Engineers-*]\nteams:\n  - name: blue\n"

// rosterSource makes the customers.yaml of a case: "file" is a whole one, "head" has lines before its customers, "team" lines of its
// team, "customers" a list of them, and "customer" lines of one that is called acme and lies in 444455556666.
func rosterSource(d *datadriven.TestData) string {
	indented := func(by string) (out string) {
		for line := range strings.Lines(d.Input + "\n") {
			out += by + line
		}
		return out
	}
	switch d.Cmd {
	case "head":
		return rosterHead + d.Input + "\n"
	case "team":
		return rosterHead + indented("    ")
	case "customers":
		return rosterHead + "customers:\n" + indented("  ")
	case "customer":
		return rosterHead + "customers:\n  - name: acme\n    account: \"444455556666\"\n" + indented("    ")
	}
	return d.Input + "\n"
}

// rosters are the cases of the corpus.
func rosters(t *testing.T) (out []accesstest.Case) {
	t.Helper()
	datadriven.RunTest(t, "testdata/customers.txt", func(_ *testing.T, d *datadriven.TestData) string {
		out = append(out, accesstest.Case{Pos: d.Pos, Source: rosterSource(d)})
		return d.Expected
	})
	return out
}

// ofRosters has the module read each customers.yaml.
func ofRosters(t *testing.T, cases []accesstest.Case) []verdict {
	t.Helper()
	var sources []string
	for _, c := range cases {
		sources = append(sources, c.Source)
	}
	return judged(t, "customers.yaml", filepath.Join(terraformtest.Module("customer-access"), "customers"), sources)
}

// TestTheSameCustomersAreRefused holds the module to what the command line and CDK's app refuse of a customers.yaml, each field for
// itself. The corpus says what becomes of each.
func TestTheSameCustomersAreRefused(t *testing.T) {
	cases := rosters(t)
	verdicts := ofRosters(t, cases)
	i := 0
	datadriven.RunTest(t, "testdata/customers.txt", func(t *testing.T, d *datadriven.TestData) string {
		v, c := verdicts[i], cases[i]
		i++
		_, err := access.ParseRoster("customers.yaml", []byte(c.Source))
		v.agrees(t, c, err)
		switch {
		case v.refused != "":
			return "refused\n" + v.refused
		case v.route != "":
			return "not by Terraform\n" + v.route
		}
		return "deployed"
	})
}

// TestSmallMistakesInCustomers makes them in the files that can be deployed.
func TestSmallMistakesInCustomers(t *testing.T) {
	var good, bad []accesstest.Case
	all := rosters(t)
	for i, v := range ofRosters(t, all) {
		if v.refused+v.route == "" {
			good = append(good, all[i])
		}
	}
	for _, src := range mistaken(good) {
		bad = append(bad, accesstest.Case{Source: src})
	}
	refused := 0
	for i, v := range ofRosters(t, bad) {
		_, err := access.ParseRoster("customers.yaml", []byte(bad[i].Source))
		if (err != nil) != (v.refused != "") {
			t.Errorf("the command line: %v\nthe module: %s\n%s", err, v.refused, bad[i].Source)
		}
		if err != nil {
			refused++
		}
	}
	t.Logf("%d files, %d of them refused", len(bad), refused)
	if refused < len(bad)/4 || refused > len(bad)-10 {
		t.Errorf("%d files, %d of them refused", len(bad), refused)
	}
}
