package trust_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

var corpus = flag.String("corpus", "", "folder of trust policies found in public repositories, to be judged as testdata/corpus.tsv says")

// What testdata/corpus.tsv speaks of, and how many documents are made from it and rotated.
const (
	corpusDocuments = 268
	corpusRotated   = 147
)

// because is what the refusal of a document must say, by the table's reason. Only one of them fits a text.
var because = map[string]*regexp.Regexp{
	// of Parse
	"json":       regexp.MustCompile(`line \d+, column \d+: the document is not valid JSON`),
	"comment":    regexp.MustCompile(`line \d+, column \d+: JSON has no comments`),
	"comma":      regexp.MustCompile(`line \d+, column \d+: a trailing comma`),
	"duplicate":  regexp.MustCompile(`line \d+, column \d+: the same (condition )?key a second time`),
	"version":    regexp.MustCompile(`line \d+, column \d+: Version is neither`),
	"characters": regexp.MustCompile(`line \d+, column \d+: a (control )?character(, which| that) IAM refuses`),
	// of Apply
	"intrinsic":   regexp.MustCompile(`(Principal is|the values of a condition are) not understood, at line \d+`),
	"effect":      regexp.MustCompile(`Effect is not understood, at line \d+`),
	"element":     regexp.MustCompile(`an element that a trust policy doesn't have, at line \d+`),
	"unknown":     regexp.MustCompile(`a condition operator that is not understood, at line \d+`),
	"placeholder": regexp.MustCompile(`is a placeholder`),
	"principal":   regexp.MustCompile(`neither "\*" nor an account nor the ARN of a principal`),
	"deleted":     regexp.MustCompile(`a deleted principal`),
	"operator":    regexp.MustCompile(`only StringEquals can be rotated`),
	"beside":      regexp.MustCompile(`services or identity providers stand beside`),
	"everybody":   regexp.MustCompile(`it lets in everybody who knows`),
	"quota":       regexp.MustCompile(`the quota is \d+: save \d+`),
}

// inNoStatement is what Apply says where there is nothing to rotate.
const inNoStatement = "is in no statement"

// verdict is a row of a table: what becomes of a document, and why.
type verdict struct{ document, verdict, reason string }

// readTable reads the rows of a table.
func readTable(t *testing.T, table string) (rows []verdict) {
	t.Helper()
	src, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(src)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 3 {
			t.Fatalf("%s: a row has a document, a verdict and a reason: %q", table, line)
		}
		if slices.ContainsFunc(rows, func(v verdict) bool { return v.document == cells[0] }) {
			t.Errorf("%s: two rows for %s", table, cells[0])
		}
		rows = append(rows, verdict{cells[0], cells[1], cells[2]})
	}
	return rows
}

// compareWithFolder asks for a row for each document, and a document for each row.
func compareWithFolder(t *testing.T, table string, rows []verdict, folder string) {
	t.Helper()
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		t.Fatalf("%s is no folder: say where the trust policies lie that %s speaks of", folder, table)
	}
	missing := map[string]bool{}
	for _, row := range rows {
		missing[row.document] = true
	}
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if name = filepath.ToSlash(name); !missing[name] {
			t.Errorf("%s: no row for %s", table, name)
		}
		delete(missing, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range missing {
		t.Errorf("%s: a row for %s, which isn't in %s", table, name, folder)
	}
}

func TestTrustPoliciesOfEveryShape(t *testing.T) {
	public := readTable(t, "testdata/corpus.tsv")
	if len(public) != corpusDocuments {
		t.Errorf("%d rows for the documents found in public, want %d", len(public), corpusDocuments)
	}
	own := judgeAll(t, "testdata/wild.tsv", "testdata/wild")
	for _, row := range public {
		if own.reasons[row.reason] == 0 {
			t.Errorf("no document of testdata/wild is like %s: %s, %s", row.document, row.verdict, row.reason)
		}
	}
	for reason := range because {
		if own.reasons[reason] == 0 {
			t.Errorf("no document of testdata/wild is refused for the reason %q", reason)
		}
	}
	own.log(t, "testdata/wild.tsv")
	if *corpus == "" {
		return
	}
	t.Run("corpus", func(t *testing.T) {
		c := judgeAll(t, "testdata/corpus.tsv", *corpus)
		if c.documents != corpusDocuments || c.rotated != corpusRotated {
			t.Errorf("%d documents and %d rotated ones made from them, want %d and %d", c.documents, c.rotated, corpusDocuments, corpusRotated)
		}
		c.log(t, "testdata/corpus.tsv")
	})
}

// count is what was judged: documents, and those that were made from them.
type count struct {
	documents         int
	verdicts, reasons map[string]int
	rotated, refused  int
}

func (c count) log(t *testing.T, table string) {
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(c.reasons)) {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, c.reasons[reason]))
	}
	t.Logf(`%s: %d documents: %d rotate, %d hold no ID, %d refused by Apply, %d by Parse
  why: %s
  made from them: %d rotated and evaluated at every phase, %d refused`, table, c.documents, c.verdicts["rotate"], c.verdicts["no-id"],
		c.verdicts["refuse"], c.verdicts["parse"], strings.Join(reasons, ", "), c.rotated, c.refused)
}

func judgeAll(t *testing.T, table, folder string) count {
	rows := readTable(t, table)
	compareWithFolder(t, table, rows, folder)
	c := count{documents: len(rows), verdicts: map[string]int{}, reasons: map[string]int{}}
	for _, row := range rows {
		c.verdicts[row.verdict]++
		c.reasons[row.reason]++
		t.Run(row.document, func(t *testing.T) {
			src, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(row.document)))
			if err != nil {
				t.Fatal(err)
			}
			judge(t, src, row, &c)
		})
	}
	return c
}

// judge holds a document to its row, and, where it isn't refused, what is made of it to what follows from the row.
func judge(t *testing.T, src []byte, row verdict, c *count) {
	d, err := trust.Parse(src)
	if row.verdict == "parse" {
		refusedBecause(t, err, row.reason)
		return
	}
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	f := readFound(t, src)
	switch row.verdict {
	case "rotate":
		throughARotation(t, newRotation(f, f.plan(), src))
	case "no-id":
		p := f.plan()
		refused(t, d, p, inNoStatement)
		p.Principals = nil
		refused(t, d, p, inNoStatement)
		if why := whyNoID(d, f); why != row.reason {
			t.Errorf("who enters without an ID: %q, want %q", why, row.reason)
		}
	case "refuse":
		p := f.plan()
		if _, _, err := trust.Apply(d, p); !errors.Is(err, trust.ErrRefused) {
			t.Errorf("for its own principals: %v, want a refusal", err)
		}
		p.Principals = nil // otherwise the plan may be refused before the document
		_, _, err := trust.Apply(d, p)
		refusedBecause(t, err, row.reason)
		if row.reason == "unknown" {
			want(t, d, by(f.statements[0].calls("AWS", "visit")[0], p.Current), trust.Unknown)
		}
		if row.reason != "principal" {
			return
		}
	default:
		t.Fatalf("no such verdict: %q", row.verdict)
	}
	derive(t, f, row.reason, c)
}

// refusedBecause holds a refusal to its reason, and to no other one.
func refusedBecause(t *testing.T, err error, reason string) {
	t.Helper()
	if because[reason] == nil {
		t.Fatalf("no such reason: %q", reason)
	}
	if !errors.Is(err, trust.ErrRefused) {
		t.Fatalf("%v, want a refusal: %s", err, reason)
	}
	for name, says := range because {
		if says.MatchString(err.Error()) != (name == reason) {
			t.Errorf("%v: is it %s? want %s", err, name, reason)
		}
	}
}

// whyNoID says by evaluation who enters although there is no external ID.
func whyNoID(d *trust.Document, f found) string {
	var enters []string
	for _, s := range f.statements {
		here := map[string]bool{}
		for _, kind := range []string{"AWS", "Service"} {
			for _, r := range s.calls(kind, "visit") {
				v := d.Evaluate(r)
				switch last := v.Why[len(v.Why)-1]; {
				case v.Effect == trust.Unknown:
					here["unknown"] = true
				case v.Effect == trust.Allow && r.Principal == stranger:
					here["anyone"] = true
				case v.Effect == trust.Allow:
					here[kind] = true
				case strings.Contains(last, "a Deny stands above"):
					here["deny"] = true
				}
			}
		}
		here["shared"] = here["AWS"] && here["Service"]
		here["federated"] = s.effect == "Allow" && len(s.principals["Federated"]) > 0 && d.Evaluate(call(stranger, "", noon)).Effect == trust.Deny
		for what, is := range here {
			if is {
				enters = append(enters, what)
			}
		}
	}
	for _, what := range [][2]string{
		{"unknown", "unknown"}, {"anyone", "anyone"}, {"shared", "shared"}, {"AWS", "open"}, {"Service", "service"}, {"federated", "federated"}, {"deny", "deny"},
	} {
		if slices.Contains(enters, what[0]) {
			return what[1]
		}
	}
	return "nobody"
}
