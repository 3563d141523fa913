package shell_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/foreign/foreigntest"
	"github.com/countersign/countersign/internal/shell"
)

func TestOf(t *testing.T) {
	for path, want := range map[string]shell.Kind{
		"/bin/bash": shell.Bash, "-zsh": shell.Zsh, "/opt/homebrew/bin/fish": shell.Fish, `C:\Program Files\PowerShell\7\pwsh.exe`: shell.PowerShell,
		"powershell.exe": shell.PowerShell, "/bin/dash": shell.Other, "": shell.Other,
	} {
		if got := shell.Of(path); got != want {
			t.Errorf("Of(%q) = %s, want %s", path, got, want)
		}
	}
}

// A shell that reads its file has each variable as it was given, and runs nothing of it; what AWS's programs would follow is gone.
func TestVariablesArriveAsTheyAre(t *testing.T) {
	tried := 0
	for kind, print := range map[shell.Kind]string{shell.Bash: `printf %s "$HOSTILE"`, shell.Zsh: `printf %s "$HOSTILE"`, shell.Fish: `printf %s "$HOSTILE"`} {
		program, err := exec.LookPath(string(kind))
		if err != nil {
			t.Logf("%s isn't installed: not tried", kind)
			continue
		}
		tried++
		dir := t.TempDir()
		canary := filepath.Join(dir, "canary")
		for _, text := range foreigntest.Strings(canary) {
			plan := shell.Plan{Prompt: []string{"true"}, Variables: []string{"HOSTILE=" + text}, Keep: []string{"AWS_CA_BUNDLE", "AWS_USE_"}}
			start, err := plan.In(kind, dir, "")
			if strings.ContainsAny(text, "\n\r\x00") {
				if err == nil {
					t.Errorf("%q was written", text)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			file := map[shell.Kind]string{shell.Bash: "bashrc", shell.Zsh: "zsh/.zshrc", shell.Fish: "init.fish"}[kind]
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, []byte(start.Files[file]), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), program, "-c", "source "+path+"; printf 'p:%s b:%s f:%s ' \"$AWS_PROFILE\" \"$AWS_CA_BUNDLE\" \"$AWS_USE_FIPS_ENDPOINT\"; "+print)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_PROFILE=elsewhere", "AWS_CA_BUNDLE=ca", "AWS_USE_FIPS_ENDPOINT=true", "LANG=C.UTF-8"}
			out, err := cmd.Output()
			if want := "p: b:ca f:true " + text; err != nil || string(out) != want {
				t.Errorf("%s: %v, %q, want %q", kind, err, out, want)
			}
		}
		if _, err := os.Stat(canary); err == nil {
			t.Errorf("%s ran a variable", kind)
		}
	}
	if tried == 0 {
		t.Error("no shell was tried")
	}
}
