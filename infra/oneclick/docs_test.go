package oneclick_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/oneclick"
)

var update = flag.Bool("update", false, "write the table of docs/one-click.md")

const doc = "../../docs/one-click.md"

func TestTheQuestionsOfTheDocs(t *testing.T) {
	const begin, end = "<!-- from the template: go test ./infra/oneclick -update writes this -->\n", "<!-- end -->\n"
	var table strings.Builder
	group := ""
	for _, p := range oneclick.Parameters() {
		if p.Group != group {
			group = p.Group
			fmt.Fprintf(&table, "\n**%s**\n\n| parameter | default | asks for |\n|---|---|---|\n", group)
		}
		value := "`" + p.Default + "`"
		switch {
		case p.Required:
			value = "has to be given"
		case p.Default == "":
			value = "empty"
		}
		asks := p.Description
		if len(p.Allowed) > 0 && len(p.Allowed) != 2 {
			asks += " One of " + strings.Join(p.Allowed, ", ") + "."
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", p.Name, value, asks)
	}
	src, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(src), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the questions", doc)
	}
	want := head + begin + table.String() + "\n" + end + tail
	if *update {
		if err := os.WriteFile(doc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(src)); diff != "" {
		t.Errorf("%s is old; go test ./infra/oneclick -update writes it\n%s", doc, diff)
	}
}

// What the docs say of outputs and StackSets is what the template has.
func TestTheDocsKnowTheTemplate(t *testing.T) {
	src, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := template(t)
	for name := range tmpl.Outputs {
		if !strings.Contains(string(src), "`"+name+"`") {
			t.Errorf("output %s is not in the docs", name)
		}
	}
	values := map[string]string{}
	for _, m := range regexp.MustCompile(`ParameterKey=(\w+),ParameterValue=(\S+)`).FindAllStringSubmatch(string(src), -1) {
		values[m[1]] = m[2]
	}
	if _, err := tmpl.With(values); err != nil || len(values) < 4 {
		t.Errorf("the StackSet's parameters %v: %v", values, err)
	}
}

// What StackSets don't take: macros, nested stacks, more parameters than 200, and names that two accounts could not both have.
func TestStackSetsTakeTheTemplate(t *testing.T) {
	raw, tmpl := string(made()), template(t)
	if strings.Contains(raw, `"Transform":`) || len(tmpl.Parameters) > 200 || len(raw) > 1<<20 {
		t.Errorf("%d parameters, %d bytes", len(tmpl.Parameters), len(raw))
	}
	for _, r := range tmpl.Resources {
		if r.Type == "AWS::S3::Bucket" || strings.HasPrefix(r.Type, "AWS::CloudFormation::") {
			t.Errorf("%s is a %s", r.ID, r.Type)
		}
	}
}
