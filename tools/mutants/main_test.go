package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module makes a module with one function and its test, and patches, and goes there. It gives the options of a run.
func module(t *testing.T, test string, patches map[string]string) options {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	files := map[string]string{
		"go.mod":    "module example.com/p\n\ngo 1.26\n",
		"p.go":      "package p\n\nfunc Sign(n int) int {\n\tif n < 0 {\n\t\treturn -1\n\t}\n\treturn 1\n}\n",
		"p_test.go": "package p\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\nvar _ = time.Now\n\n" + test,
	}
	for name, src := range patches {
		files[filepath.Join("mutants", name+".patch")] = "# A bug.\n" + src
	}
	if err := os.Mkdir("mutants", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, src := range files {
		if err := os.WriteFile(name, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return options{dir: "mutants", min: 1, parallel: 2, timeout: time.Minute, tests: []string{"."}}
}

const weak = `func TestSign(t *testing.T) {
	if Sign(-3) != -1 {
		t.Error("negative wins: no")
	}
}
`

// lineOf is a patch of one line in p.go.
func lineOf(old, now string) string {
	return "--- a/p.go\n+++ b/p.go\n@@ -1 +1 @@\n-" + old + "\n+" + now + "\n"
}

func TestMutantsOfASmallModule(t *testing.T) {
	o := module(t, weak, map[string]string{
		"killed":   "# expect: negative wins\n" + lineOf("\t\treturn -1", "\t\treturn 1"),
		"other":    "# expect: TestNothing\n" + lineOf("\tif n < 0 {", "\tif n > 0 {"),
		"survives": lineOf("\treturn 1", "\treturn 0"),
		"broken":   lineOf("\treturn 1", "\treturn one"),
		"gone":     lineOf("\treturn 2", "\treturn 0"),
	})
	var out strings.Builder
	if err := run(t.Context(), o, &out); !errors.Is(err, errNotAllKilled) {
		t.Errorf("%v, want that not all are killed", err)
	}
	for _, want := range []string{
		"control   1 tests pass", "killed    killed: by TestSign", "killed    other: but not by TestNothing; by TestSign", "SURVIVED  survives",
		"does not build  broken", "does not apply  gone", "1 of 5 mutants killed",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	leavesNothing(t)

	out.Reset()
	o.only = "^killed$"
	if err := run(t.Context(), o, &out); err != nil || !strings.Contains(out.String(), "1 of 1 mutants killed") {
		t.Errorf("%v\n%s", err, out.String())
	}
	o.min = 6
	if err := run(t.Context(), o, &out); err == nil || !strings.Contains(err.Error(), "at least 6") {
		t.Errorf("five patches where six must be: %v", err)
	}
	o.min, o.tests = 1, []string{".", "-run", "TestNothing"}
	if err := run(t.Context(), o, &out); err == nil || !strings.Contains(err.Error(), "or there are none") {
		t.Errorf("a control run without tests: %v", err)
	}
}

func TestAFailingControlRun(t *testing.T) {
	o := module(t, strings.Replace(weak, "-1", "-2", 1), map[string]string{"any": lineOf("\treturn 1", "\treturn 0")})
	var out strings.Builder
	err := run(t.Context(), o, &out)
	if err == nil || !strings.Contains(err.Error(), "fail without a mutant") || strings.Contains(out.String(), "any") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestAnInterruptedRunLeavesNothing(t *testing.T) {
	// With the mutant the test says that it runs, and would go on for a minute.
	o := module(t, `func TestSign(t *testing.T) {
	if Sign(1) == 0 {
		os.WriteFile("running", nil, 0o600)
		time.Sleep(time.Minute)
		os.WriteFile("ended", nil, 0o600)
	}
}
`, map[string]string{"a": lineOf("\treturn 1", "\treturn 0"), "b": lineOf("\treturn 1", "\treturn 0"), "c": lineOf("\treturn 1", "\treturn 0")})
	src, err := os.ReadFile("p_test.go")
	if err == nil {
		err = os.WriteFile("p_test.go", []byte(strings.Replace(string(src), "import (", "import (\n\t\"os\"", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		for range 600 {
			if _, err := os.Stat("running"); err == nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	var out strings.Builder
	start := time.Now()
	if err := run(ctx, o, &out); err == nil || err.Error() != "interrupted" || time.Since(start) > 50*time.Second {
		t.Errorf("%v after %s\n%s", err, time.Since(start), out.String())
	}
	if _, err := os.Stat("running"); err != nil {
		t.Error("the test never ran: nothing was interrupted")
	}
	leavesNothing(t)
}

// leavesNothing holds a run to its promise, as far as files go.
func leavesNothing(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", left, err)
	}
	src, err := os.ReadFile("p.go")
	if err != nil || !strings.Contains(string(src), "return -1") {
		t.Errorf("the tree was touched: %v\n%s", err, src)
	}
}
