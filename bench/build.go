package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// releaseFlags are those that the Makefile builds the functions with; a test compares the two.
var releaseFlags = []string{"-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w -buildid="}

// architectures are the one that is released and the host's, which is measured.
func architectures() []string {
	return slices.Compact([]string{"arm64", runtime.GOARCH})
}

// moduleRoot is the folder of go.mod.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}"))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(out), nil
}

// functions are the names of the folders functions/<name>/bootstrap.
func functions(root string) ([]string, error) {
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "bootstrap", "main.go"))
	if err != nil {
		return nil, err
	}
	if len(mains) == 0 {
		return nil, fmt.Errorf("no functions/*/bootstrap/main.go in %s: nothing to measure", root)
	}
	names := make([]string, len(mains))
	for i, path := range mains {
		names[i] = filepath.Base(filepath.Dir(filepath.Dir(path)))
	}
	return names, nil
}

// bootstrap is where a function's binary is built to, apart from dist, which holds what is deployed.
func bootstrap(root, name, arch string) string {
	return filepath.Join(root, ".cache", "bench", arch, name, "bootstrap")
}

// build builds one function as it is released and gives its size in bytes.
func build(ctx context.Context, root, name, arch string) (int64, error) {
	path := bootstrap(root, name, arch)
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build"}, releaseFlags, []string{"-o", path, "./functions/" + name + "/bootstrap"})...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if _, err := output(cmd); err != nil {
		return 0, fmt.Errorf("building %s for %s: %w", name, arch, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// botoNames are our adapters of AWS services, as boto3 names the services.
var botoNames = map[string]string{
	"cloudformation": "cloudformation", "dynamodb": "dynamodb", "eventbridge": "events", "iam": "iam", "secretsmanager": "secretsmanager",
	"ses": "ses", "sns": "sns", "sqs": "sqs", "ssm": "ssm", "sts": "sts",
}

// clientsOf names, as boto3 does and with commas, the AWS services that a function has clients for.
func clientsOf(ctx context.Context, root, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "./functions/"+name+"/bootstrap")
	cmd.Dir = root
	deps, err := output(cmd)
	if err != nil {
		return "", fmt.Errorf("listing what %s links: %w", name, err)
	}
	clients := services(deps)
	if len(clients) == 0 {
		return "", fmt.Errorf("%s has no client for an AWS service: there is nothing to compare", name)
	}
	return strings.Join(clients, ","), nil
}

// services picks our adapters from a list of import paths.
func services(deps string) []string {
	var found []string
	for path := range strings.Lines(deps) {
		if _, adapter, ok := strings.Cut(strings.TrimSpace(path), "/internal/aws/"); ok && botoNames[adapter] != "" {
			found = append(found, botoNames[adapter])
		}
	}
	return found
}

// pythonWithBoto is the interpreter of a virtual environment that holds exactly bench/python/requirements.txt. It is made
// once, in the repository's ignored .cache.
func pythonWithBoto(ctx context.Context, root string) (string, error) {
	requirements := filepath.Join(root, "bench", "python", "requirements.txt")
	wanted, err := os.ReadFile(requirements)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(wanted)
	venv := filepath.Join(root, ".cache", "bench-venv")
	python, stamp := filepath.Join(venv, "bin", "python"), filepath.Join(venv, ".requirements")
	if made, err := os.ReadFile(stamp); err == nil && string(made) == hex.EncodeToString(sum[:]) {
		return python, nil
	}
	base, err := exec.LookPath("python3")
	if err != nil {
		return "", errors.New("python3 is missing, and it is what the functions are compared with: install Python 3.11 or later, from https://www.python.org")
	}
	if _, err := output(exec.CommandContext(ctx, base, "-m", "venv", "--clear", venv)); err != nil {
		return "", fmt.Errorf("making a Python environment (on Debian and Ubuntu it needs the package python3-venv): %w", err)
	}
	install := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", requirements)
	if _, err := output(install); err != nil {
		return "", fmt.Errorf("installing boto3 (it needs a Python package index): %w", err)
	}
	return python, os.WriteFile(stamp, []byte(hex.EncodeToString(sum[:])), 0o644)
}

// output runs a command and gives its standard output; its error carries what the command said.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(failed.Stderr)))
	}
	return string(out), err
}
