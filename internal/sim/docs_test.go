package sim_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/sim/conformance"
)

const simulatorDoc = "../../docs/simulator.md"

// TestTheDocsCountTheCases holds that docs/simulator.md says how many cases there are, each under a name of its own.
func TestTheDocsCountTheCases(t *testing.T) {
	names := map[string]bool{}
	for _, c := range conformance.All() {
		if names[c.Name] || c.Name == "" || c.Says == "" {
			t.Errorf("the case %q has no name of its own, or doesn't say who says so", c.Name)
		}
		names[c.Name] = true
	}
	doc, err := os.ReadFile(simulatorDoc)
	must(t, err)
	if want := fmt.Sprintf("%d cases", len(names)); !strings.Contains(string(doc), want) {
		t.Errorf("docs/simulator.md does not say %q", want)
	}
}

// TestWhatTheDocsSayIsHeldIsHeld looks for every case and test that the table of docs/simulator.md names.
func TestWhatTheDocsSayIsHeldIsHeld(t *testing.T) {
	known := map[string]bool{}
	for _, c := range conformance.All() {
		known[c.Name] = true
	}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, root := range []string{"../../internal", "../../functions", "../../infra", "../../e2e"} {
		must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(source, -1) {
				known[string(m[1])] = true
			}
			return err
		}))
	}
	doc, err := os.ReadFile(simulatorDoc)
	must(t, err)
	_, table, found := strings.Cut(string(doc), "## What AWS documents, and where it is held")
	if !found {
		t.Fatal("docs/simulator.md lacks the table")
	}
	named := 0
	reference := regexp.MustCompile("\"([^\"]+)\"|`(Test\\w+)`")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 2 {
			continue
		}
		for _, m := range reference.FindAllStringSubmatch(cells[1], -1) {
			named++
			if !known[m[1]+m[2]] {
				t.Errorf("there is no %s", m[0])
			}
		}
	}
	if named < 80 {
		t.Errorf("the table names %d cases and tests: is it still read?", named)
	}
}
