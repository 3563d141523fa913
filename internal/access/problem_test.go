package access_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/access/accesstest"
)

var now = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

const (
	providerHead = accesstest.ProviderHead
	namedGrant   = accesstest.NamedGrant
)

func policies() fs.FS { return accesstest.Policies() }

func TestProblemsAreToldWithLineColumnAndFix(t *testing.T) {
	datadriven.RunTest(t, "testdata/problems.txt", func(t *testing.T, d *datadriven.TestData) string {
		src := accesstest.Source(d)
		a, err := access.Parse("access.yaml", []byte(src), policies(), now)
		var out strings.Builder
		var warnings []access.Problem
		if err != nil {
			problems, ok := errors.AsType[*access.Problems](err)
			if !ok || a != nil {
				t.Fatalf("%s: Parse = %v, %v; want *Problems and nothing else", d.Pos, a, err)
			}
			check(t, d.Pos, src, append(problems.Errors, problems.Warnings...))
			out.WriteString(problems.Error() + "\n")
			warnings = problems.Warnings
		} else {
			warnings = a.Warnings
			check(t, d.Pos, src, warnings)
			fmt.Fprintf(&out, "valid\n")
		}
		for _, w := range warnings {
			out.WriteString("warning " + w.String())
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80+len("warning ") {
				t.Errorf("%s: a line of %d characters: %s", d.Pos, n, line)
			}
			if strings.Contains(line, "letmein") || strings.Contains(line, "AbCdEfGhIjKlMn") || strings.Contains(line, "c2VjcmV0") {
				t.Errorf("%s: shows what must not be shown: %s", d.Pos, line)
			}
		}
		return out.String()
	})
}

// check holds problems to what every one must have: a place inside the file, a message, a field.
func check(t *testing.T, where, src string, problems []access.Problem) {
	t.Helper()
	lines := strings.Split(src, "\n")
	for _, p := range problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Width < 1 || p.Message == "" || p.Field == "" || p.File == "" {
			t.Errorf("%s: a problem without a place or a message: %+v", where, p)
			continue
		}
		if n := utf8.RuneCountInString(p.Source); p.Column+p.Width-1 > n+1 {
			t.Errorf("%s: the caret of %q reaches past the line's end: column %d, width %d, %d characters", where, p.Message, p.Column, p.Width, n)
		}
	}
}

func TestTheExampleIsTheSeedsScenario(t *testing.T) {
	a, err := access.Load("../../access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Warnings) != 0 {
		t.Errorf("warnings: %v", a.Warnings)
	}
	e, ok := a.Find("migration")
	if !ok || e.Provider.Name != "hestio" || e.Provider.Account != "111122223333" || len(a.Entries()) != 1 {
		t.Fatalf("entries = %+v", a.Entries())
	}
	if got := fmt.Sprint(e.Grant.Permissions); got != "[AmazonS3FullAccess AmazonEC2ReadOnlyAccess]" {
		t.Errorf("permissions = %s", got)
	}
	if e.Grant.RoleName != "ServiceProvider-migration" || e.Grant.RolePath != "/countersign/" || !e.Grant.ExternalID ||
		e.Grant.RotateEvery != access.Monthly || e.Grant.Overlap != 24*time.Hour || e.Grant.MaxSession != time.Hour {
		t.Errorf("defaults = %+v", e.Grant)
	}
}

func TestAFileThatIsNotThereIsNotCalledInvalid(t *testing.T) {
	_, err := access.Load("testdata/absent.yaml")
	if _, invalid := errors.AsType[*access.Problems](err); invalid || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(namedGrant))
	f.Add([]byte(namedGrant + "        externalId: abc\n        notify: {webhook: [{url: \"https://a:b@c\"}]}\n"))
	f.Add([]byte("version: 1\nproviders: [{name: a, account: 012345678901, grants: [{}]}]\n"))
	f.Add([]byte("a: &a [*a]\n? b\n: |\n  c\n"))
	f.Add([]byte("\ufeffversion: 1\r\nproviders:\r\n\t- x\r\n"))
	for _, name := range []string{"../../access.yaml"} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		a, err := access.Parse("access.yaml", src, policies(), now)
		if (a == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", a, err)
		}
		if err == nil {
			return
		}
		problems, ok := errors.AsType[*access.Problems](err)
		if !ok || len(problems.Errors) == 0 || problems.Error() == "" {
			t.Fatalf("not *Problems: %v", err)
		}
		check(t, "fuzz", strings.ReplaceAll(string(src), "\r\n", "\n"), append(problems.Errors, problems.Warnings...))
	})
}
