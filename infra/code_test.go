package infra_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
)

func TestAFolderWithoutCodeIsNamed(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "code of function rotate") || !strings.Contains(got, "make functions") {
			t.Errorf("panicked with %s", got)
		}
	}()
	loaded := infratest.Access(t, infratest.Many(1, 1, infratest.Plain), nil)
	infratest.Synth(t, loaded, func(p *infra.ServiceProviderAccessProps) { p.Functions = infra.FromFolder(t.TempDir()) })
	t.Error("synthesised without code")
}

func TestArchitectures(t *testing.T) {
	loaded := infratest.Access(t, infratest.Many(1, 1, infratest.Plain), nil)
	for _, f := range infratest.Synth(t, loaded)[0].OfType(t, "AWS::Lambda::Function") {
		if got := mention(f.Properties["Architectures"]); got != `["arm64"]` {
			t.Errorf("%s: %s", f.ID, got)
		}
		if env := mention(f.Properties["Environment"]); strings.Contains(env, "MARGIN") || strings.Contains(env, "ENDPOINT") {
			t.Errorf("%s is set for an emulator: %s", f.ID, env)
		}
	}
	for _, f := range infratest.Synth(t, loaded, func(p *infra.ServiceProviderAccessProps) { p.Local = true })[0].OfType(t, "AWS::Lambda::Function") {
		env := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
		if env["COUNTERSIGN_SETTLE"] != "1s" || env["COUNTERSIGN_RESTORE_MARGIN"] == "" {
			t.Errorf("%s: %v", f.ID, env)
		}
	}
}

func TestConcurrencyKeptForRevoke(t *testing.T) {
	loaded := infratest.Access(t, infratest.Many(1, 1, infratest.Plain), nil)
	reserved := func(change ...func(*infra.ServiceProviderAccessProps)) any {
		tmpl := infratest.Synth(t, loaded, change...)[0]
		return tmpl.One(t, "AWS::Lambda::Function", "FunctionName", "countersign-revoke").Properties["ReservedConcurrentExecutions"]
	}
	if got := reserved(); got != nil {
		t.Errorf("reserved %v unasked: new accounts refuse that", got)
	}
	if got := reserved(func(p *infra.ServiceProviderAccessProps) { p.RevokeConcurrency = 2 }); got != 2.0 {
		t.Errorf("reserved %v", got)
	}
}

func TestRotationsAreSpreadByTheNumberOfGrants(t *testing.T) {
	for _, c := range []struct {
		grants, shards int
		want           string
	}{{1, 1, "3s"}, {60, 3, "30s"}} {
		loaded := infratest.Access(t, infratest.Many(c.grants, c.shards, infratest.Plain), nil)
		for _, tmpl := range infratest.Synth(t, loaded) {
			for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
				env := f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
				if env["COUNTERSIGN_SPREAD"] != c.want {
					t.Errorf("%d grants, %s: %v, want %s", c.grants, f.ID, env["COUNTERSIGN_SPREAD"], c.want)
				}
			}
		}
	}
}

// outsider is an app of somebody else's that uses the construct.
const outsider = `package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/countersign/countersign/infra"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	loaded, err := infra.LoadAccess("access.yaml")
	if err != nil {
		panic(err)
	}
	infra.NewServiceProviderAccess(awscdk.NewStack(app, jsii.String("Platform"), nil), "Access",
		&infra.ServiceProviderAccessProps{Access: loaded, Functions: infra.FromModule()})
	app.Synth(nil)
}
`

func TestAnotherModuleUsesTheConstructAndBuildsTheFunctions(t *testing.T) {
	repository, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	theirs := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(mod), "module example.com/platform")
	theirs += fmt.Sprintf("\nrequire github.com/countersign/countersign v0.0.0\n\nreplace github.com/countersign/countersign => %s\n", repository)

	folder, out := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"go.mod": theirs, "go.sum": string(sum), "main.go": outsider, "access.yaml": infratest.Many(1, 1, infratest.Plain),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), "go", "run", "-mod=mod", ".")
	run.Dir = folder
	run.Env = append(os.Environ(), "CDK_OUTDIR="+out, "GOFLAGS=-mod=mod")
	if output, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}

	src, err := os.ReadFile(filepath.Join(out, "Platform.template.json"))
	if err != nil {
		t.Fatal(err)
	}
	if functions := infratest.Read(t, src).OfType(t, "AWS::Lambda::Function"); len(functions) != 6 {
		t.Errorf("%d functions", len(functions))
	}
	built, err := filepath.Glob(filepath.Join(out, "asset.*", "bootstrap"))
	if err != nil || len(built) != 6 {
		t.Fatalf("%d binaries, %v", len(built), err)
	}
	for _, file := range built {
		binary, err := elf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if binary.Machine != elf.EM_AARCH64 {
			t.Errorf("%s is for %v", file, binary.Machine)
		}
		if err := binary.Close(); err != nil {
			t.Error(err)
		}
	}
}
