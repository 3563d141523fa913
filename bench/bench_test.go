package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand for a function: started with CHILD set, it behaves as that says.
func TestMain(m *testing.M) {
	switch os.Getenv("CHILD") {
	case "":
		os.Exit(m.Run())
	case "asks":
		_, _ = http.Get("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/next")
	case "fails":
		_, _ = http.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/init/error", "application/json", nil)
		_, _ = os.Stderr.WriteString("COUNTERSIGN_BUS is missing")
		os.Exit(1)
	}
}

func child(t *testing.T, behaviour string) process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process{path: self, env: append(environment(), "CHILD="+behaviour)}
}

func TestStartTimesAProcessUntilItsFirstRequest(t *testing.T) {
	got, err := start(t.Context(), child(t, "asks"))
	if err != nil {
		t.Fatal(err)
	}
	if got.start <= 0 || got.start > patience || got.peak < 1<<20 || got.peak > 1<<30 {
		t.Errorf("sample = %v, %d bytes", got.start, got.peak)
	}
}

func TestStartSaysWhyAProcessEndedBefore(t *testing.T) {
	_, err := start(t.Context(), child(t, "fails"))
	if err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_BUS is missing") {
		t.Errorf("error = %v, want what the process said", err)
	}
}

func TestMediansAreTakenOfEachFigureByItself(t *testing.T) {
	got := medians([]sample{{5, 10}, {1, 30}, {3, 20}})
	if want := (sample{3, 20}); got != want {
		t.Errorf("medians = %v, want %v", got, want)
	}
	if got := median([]time.Duration{4, 1, 2, 3}); got != 2 {
		t.Errorf("median of an even count = %v, want the middle two's mean", got)
	}
}

func TestPeakMemoryIsTheHighWaterMark(t *testing.T) {
	got, err := parsePeak("Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    9216 kB\nVmRSS:\t 100 kB\n")
	if err != nil || got != 9<<20 {
		t.Errorf("peak = %d, %v, want %d", got, err, 9<<20)
	}
	if _, err := parsePeak("Name:\tx\n"); err == nil {
		t.Error("a status without VmHWM was taken")
	}
}

func TestEachLimitIsJudged(t *testing.T) {
	fine := row{
		function: "rotate", size: map[string]int64{"arm64": maxSize, architectures()[len(architectures())-1]: maxSize},
		golang: sample{10 * time.Millisecond, 10 << 20}, boto: sample{200 * time.Millisecond, 30 << 20},
	}
	if err := judge([]row{fine}); err != nil {
		t.Errorf("just within the limits: %v", err)
	}
	for name, tc := range map[string]struct {
		spoil func(*row)
		want  string
	}{
		"size":   {func(r *row) { r.size = map[string]int64{"arm64": maxSize + 1} }, "bytes, more than"},
		"time":   {func(r *row) { r.golang.start++ }, "times faster than Python"},
		"memory": {func(r *row) { r.golang.peak++ }, "of Python's memory"},
	} {
		t.Run(name, func(t *testing.T) {
			slow := fine
			tc.spoil(&slow)
			if err := judge([]row{fine, slow}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAKeystrokeThatTakesLongIsNamed(t *testing.T) {
	fine := keystroke{args: []string{"--help"}, atLeast: 4, ours: 20 * time.Millisecond, python: 80 * time.Millisecond}
	slow := fine
	slow.ours++
	if err := judgeTool([]keystroke{fine}); err != nil {
		t.Error(err)
	}
	if err := judgeTool([]keystroke{fine, slow}); err == nil || !strings.Contains(err.Error(), "countersign --help is 4.0 times faster") {
		t.Errorf("error = %v", err)
	}
	if _, err := timed(t.Context(), process{path: "/bin/echo", args: []string{"other"}}, "sudo"); err == nil {
		t.Error("what is measured says something else")
	}
}

// A function that misses a variable ends before its first request, and there is nothing to measure.
func TestTheEnvironmentHasWhatFunctionsRead(t *testing.T) {
	optional := []string{"COUNTERSIGN_TRAIL", "COUNTERSIGN_MAIL_SET", "COUNTERSIGN_AGES", "COUNTERSIGN_RESTORE_MARGIN"}
	var read []byte
	for _, file := range []string{"boot.go", "provider.go"} {
		src, err := os.ReadFile(filepath.Join("../functions/internal/boot", file))
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, src...)
	}
	names := regexp.MustCompile(`getenv\("(COUNTERSIGN_[A-Z_]+)"\)`).FindAllStringSubmatch(string(read), -1)
	if len(names) < 12 {
		t.Fatalf("%d variables are read", len(names))
	}
	for _, m := range names {
		given := slices.ContainsFunc(environment(), func(kv string) bool { return strings.HasPrefix(kv, m[1]+"=") })
		if !given && !slices.Contains(optional, m[1]) {
			t.Errorf("%s is missing", m[1])
		}
	}
}

func TestPythonGetsTheClientsOfTheFunctionAndNoMore(t *testing.T) {
	const ours, sdk = "github.com/countersign/countersign/internal/aws/", "github.com/aws/aws-sdk-go-v2/service/"
	got := services(strings.Join([]string{"fmt", sdk + "iam", sdk + "iam/types", sdk + "sso", ours + "awserr", ours + "iam", ours + "awsconfig", ours + "eventbridge", ""}, "\n"))
	if strings.Join(got, ",") != "iam,events" {
		t.Errorf("clients = %v, want iam and events", got)
	}
}

func TestItBuildsAsTheMakefileDoes(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	flags := strings.Replace(strings.Join(releaseFlags, " "), "-s -w -buildid=", "'-s -w -buildid='", 1)
	if !strings.Contains(string(makefile), "CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build "+flags) {
		t.Errorf("the Makefile does not build the functions with %s", flags)
	}
	if flags := strings.Join(toolFlags, " "); !strings.Contains(string(makefile), "$(GO) build "+strings.Replace(flags, "-s -w", "'-s -w -X main.version=$(VERSION)'", 1)+" -o bin/countersign ") {
		t.Errorf("the Makefile does not build the command-line tool with %s", flags)
	}
}

func TestNothingToMeasureIsAnError(t *testing.T) {
	if names, err := functions(t.TempDir()); err == nil {
		t.Errorf("functions = %v, want an error", names)
	}
}

func TestAMissingPythonIsNamed(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "bench", "python"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bench", "python", "requirements.txt"), []byte("boto3==0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := pythonWithBoto(t.Context(), root); err == nil || !strings.Contains(err.Error(), "python3 is missing") {
		t.Errorf("error = %v, want that python3 is missing", err)
	}
}
