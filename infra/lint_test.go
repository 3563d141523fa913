package infra_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
)

// cfnLint is where make puts it.
const cfnLint = "../.tools/cfn-lint/bin/cfn-lint"

// cfn-lint has nothing to say, with no rule switched off.
func TestCfnLintFindsNothing(t *testing.T) {
	if _, err := os.Stat(cfnLint); err != nil {
		t.Fatalf("cfn-lint is missing: make test-infra installs it into .tools (%v)", err)
	}
	example, err := infra.LoadAccess(infratest.Example)
	if err != nil {
		t.Fatal(err)
	}
	lint := func(file string) ([]byte, error) {
		return exec.CommandContext(t.Context(), cfnLint, "--regions", "us-east-1", "eu-west-1", "--", file).CombinedOutput()
	}
	if out, err := lint("../provider/subscription.template.yaml"); err != nil || len(out) > 0 {
		t.Errorf("the provider's template: %v: %s", err, out)
	}
	for name, loaded := range map[string]*infra.Access{
		"example": example,
		"rich":    infratest.Access(t, infratest.Rich, infratest.UploadPolicy),
		"forty":   infratest.Access(t, infratest.Many(40, 1, infratest.Plain), nil),
	} {
		file := filepath.Join(t.TempDir(), name+".template.json")
		if err := os.WriteFile(file, infratest.Synth(t, loaded)[0].Raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := lint(file); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	wrong := filepath.Join(t.TempDir(), "wrong.template.json")
	if err := os.WriteFile(wrong, []byte(`{"Resources":{"Q":{"Type":"AWS::SQS::Queue","Properties":{"QueuName":"x"}}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := lint(wrong); err == nil {
		t.Error("cfn-lint finds nothing wrong with a property that doesn't exist")
	}
}
