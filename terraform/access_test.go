package terraform_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/access/accesstest"
	"github.com/countersign/countersign/terraform/terraformtest"
)

// verdict is what a module says of an access.yaml or a customers.yaml.
type verdict struct {
	refused string // as the command line refuses it
	route   string // what only another route can deploy
}

var (
	refusal = regexp.MustCompile(`(?s)(?:^|\n)\S*?(\d+)/\w+\.yaml can't be deployed:\n(.*?)\nNothing was deployed`)
	another = regexp.MustCompile(`(?s)(?:^|\n)\S*?(\d+)/\w+\.yaml says what (?:the published template can't|can't be deployed by Terraform).*?:\n(.*?)\nNothing was deployed`)
)

// judge has the module read each of the files, all in one plan.
func judge(t *testing.T, sources []string) []verdict {
	t.Helper()
	return judged(t, "access.yaml", filepath.Join(terraformtest.Module("service-provider-access"), "access"), sources)
}

// judged has a module read each of the files of this name.
func judged(t *testing.T, name, module string, sources []string) []verdict {
	t.Helper()
	files := map[string]string{"main.tf": fmt.Sprintf(`
module "read" {
  source   = %q
  for_each = fileset(path.module, "*/%s")
  file     = each.value
  account  = "444455556666"
  %s
}
`, module, name, map[string]string{"customers.yaml": `region = "eu-west-1"`}[name])}
	for i, src := range sources {
		folder := fmt.Sprintf("%04d/", i)
		files[folder+name] = src
		for name, f := range accesstest.Policies().(fstest.MapFS) {
			files[folder+name] = string(f.Data)
		}
	}
	d := terraformtest.New(t, files)
	out, _ := d.Run("plan", "-json", "-input=false")
	verdicts := make([]verdict, len(sources))
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct {
			Type       string
			Diagnostic struct {
				Severity, Summary, Detail string
				Range                     struct {
					Filename string
					Start    struct{ Line int }
				}
			}
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Type != "diagnostic" || line.Diagnostic.Severity != "error" {
			continue
		}
		found := false
		for pattern, into := range map[*regexp.Regexp]func(*verdict) *string{
			refusal: func(v *verdict) *string { return &v.refused }, another: func(v *verdict) *string { return &v.route },
		} {
			if m := pattern.FindStringSubmatch(line.Diagnostic.Detail); m != nil {
				var i int
				_, _ = fmt.Sscan(strings.TrimLeft(m[1], "0")+" ", &i)
				*into(&verdicts[i]) = m[2]
				found = true
			}
		}
		if !found {
			t.Errorf("an error that is none of ours: %+v", line.Diagnostic)
		}
	}
	return verdicts
}

// field begins each problem, with what to write after a semicolon or a colon.
var field = regexp.MustCompile(`^  (\(file\)|[A-Za-z]+[\w.\[\]]*): \S`)

// ofOne is a field of which the command line says that a customer or a team doesn't hold together, and the module what of it.
var ofOne = regexp.MustCompile(`^(customers|teams)\[\d+\]$`)

// names says whether a verdict has a problem at the field of validate's, or at what that lies in.
func (v verdict) names(p access.Problem) bool {
	for line := range strings.Lines(v.refused + "\n" + v.route) {
		m := field.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if rest, in := strings.CutPrefix(p.Field, m[1]); in && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
		if ofOne.MatchString(p.Field) && strings.HasPrefix(m[1], p.Field+".") {
			return true
		}
		if m[1] == "(file)" && (strings.Contains(line, "not YAML") || strings.Contains(line, "twice") && strings.Contains(p.Message, "twice") ||
			strings.Contains(line, "anchors") && regexp.MustCompile(`[&*!]`).MatchString(p.Source) ||
			strings.Contains(line, "yes, no") && regexp.MustCompile(`(?i) (yes|no|on|off)\W*$`).MatchString(p.Source)) {
			return true
		}
	}
	return false
}

// agrees holds a verdict to what the command line says of the file: each field for itself, and none with a value.
func (v verdict) agrees(t *testing.T, c accesstest.Case, err error) {
	t.Helper()
	if problems, ok := errors.AsType[*access.Problems](err); ok {
		for _, p := range problems.Errors {
			if !v.names(p) {
				t.Errorf("%s: validate says %s of %s, the module only:\n%s%s", c.Pos, p.Message, p.Field, v.refused, v.route)
			}
		}
	}
	switch {
	case err != nil && v.refused+v.route == "":
		t.Errorf("%s: the module takes what validate refuses:\n%s%v", c.Pos, c.Source, err)
	case err == nil && v.refused != "":
		t.Errorf("%s: the module refuses what validate takes:\n%s%s", c.Pos, c.Source, v.refused)
	}
	for line := range strings.Lines(v.refused + "\n" + v.route) {
		if strings.TrimSpace(line) != "" && !field.MatchString(line) {
			t.Errorf("%s: a problem without its field: %s", c.Pos, line)
		}
		if strings.Contains(line, "letmein") || strings.Contains(line, "AbCdEfGhIjKlMn") || strings.Contains(line, "c2VjcmV0") {
			t.Errorf("%s: shows what must not be shown: %s", c.Pos, line)
		}
	}
}

// TestTheSameFilesAreRefused holds the module to countersign validate on the whole corpus: what that refuses this refuses, each
// field for itself, and what that takes this takes, or says that the published template has no parameter for it.
func TestTheSameFilesAreRefused(t *testing.T) {
	cases := accesstest.Cases(t, "../internal/access/testdata/problems.txt")
	cases = append(cases, accesstest.Cases(t, "testdata/access.txt")...)
	others := len(cases)
	cases = append(cases, accesstest.Cases(t, "testdata/deployable.txt")...)
	var sources []string
	for _, c := range cases {
		sources = append(sources, c.Source)
	}
	verdicts := judge(t, sources)
	for i, c := range cases {
		_, err := access.Parse("access.yaml", []byte(c.Source), accesstest.Policies(), time.Now())
		v := verdicts[i]
		v.agrees(t, c, err)
		if i >= others && (err != nil || v.route != "") {
			t.Errorf("%s: not deployable: %v %s", c.Pos, err, v.route)
		}
	}
	if others < 100 || len(cases)-others < 20 {
		t.Errorf("%d files, %d of them deployable", len(cases), len(cases)-others)
	}
}

// every is which share of the small mistakes is tried: 1 is all of them.
var every = flag.Int("every", 5, "try each n-th of the small mistakes")

// mistaken are files with one mistake each that people make, in every line: a line left out, doubled, moved in, a value of another
// kind.
func mistaken(cases []accesstest.Case) (sources []string) {
	value := regexp.MustCompile(`^( *(?:- )?[A-Za-z]+:) +\S.*$`)
	mistakes := []func(line string) string{
		func(string) string { return "" },
		func(line string) string { return line + line },
		func(line string) string { return "  " + line },
	}
	for _, other := range []string{"[x]", "{x: y}", "12", "true", `""`, "x y", "~"} {
		mistakes = append(mistakes, func(line string) string {
			return value.ReplaceAllString(strings.TrimRight(line, "\n"), "$1 "+other) + "\n"
		})
	}
	seen := map[string]bool{}
	for _, c := range cases {
		lines := strings.SplitAfter(c.Source, "\n")
		for i, line := range lines {
			for _, mistake := range mistakes {
				src := strings.Join(lines[:i], "") + mistake(line) + strings.Join(lines[i+1:], "")
				if !seen[src] {
					seen[src] = true
					if len(seen)%*every == 0 {
						sources = append(sources, src)
					}
				}
			}
		}
	}
	return sources
}

// TestSmallMistakes makes these mistakes in the files that can be deployed. Whatever validate says then, the module agrees.
func TestSmallMistakes(t *testing.T) {
	sources := mistaken(accesstest.Cases(t, "testdata/deployable.txt"))
	refused := 0
	for i, v := range judge(t, sources) {
		_, err := access.Parse("access.yaml", []byte(sources[i]), accesstest.Policies(), time.Now())
		if (err != nil) != (v.refused+v.route != "") && v.route == "" {
			t.Errorf("validate: %v\nthe module: %s\n%s", err, v.refused, sources[i])
		}
		if err != nil {
			refused++
		}
	}
	t.Logf("%d files, %d of them refused", len(sources), refused)
	if refused < len(sources)/4 || refused > len(sources)-20 {
		t.Errorf("%d files, %d of them refused", len(sources), refused)
	}
}
