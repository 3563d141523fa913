package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/countersign/countersign/internal/customers"
)

// toolFlags are those that the Makefile builds the command-line tool with, its version aside; a test compares the two.
var toolFlags = []string{"-trimpath", "-ldflags", "-s -w"}

// keystroke is what somebody waits for at the keyboard: the tool's whole run, next to a Python that has imported boto3 and ends.
type keystroke struct {
	args    []string
	says    string  // what must stand in its output
	atLeast float64 // times faster than Python

	ours, python time.Duration // medians
	best         time.Duration // of ours: what else the machine does is not the tool's
}

func (k keystroke) faster() float64 { return k.python.Seconds() / k.ours.Seconds() }

// keystrokes are what is waited for. The lists have the copy of a registry of 10,000 customers.
func keystrokes() []keystroke {
	return []keystroke{
		{args: []string{"--help"}, says: "sudo", atLeast: minHelp},
		{args: []string{"list", "customers"}, says: "customer-09999", atLeast: minList},
		{args: []string{"list", "customers", "customer-04242"}, says: "customer-04242", atLeast: minList},
		{args: []string{"__complete", "sudo", "customer-0424"}, says: "customer-04242", atLeast: minList},
	}
}

// measureTool builds the tool and times each keystroke and Python in turn, after one run of each that isn't counted.
func measureTool(ctx context.Context, root, python string, runs int) ([]keystroke, error) {
	tool := filepath.Join(root, ".cache", "bench", "countersign")
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build"}, toolFlags, []string{"-o", tool, "./cmd/countersign"})...)
	cmd.Dir = root
	if _, err := output(cmd); err != nil {
		return nil, fmt.Errorf("building the command-line tool: %w", err)
	}
	home, err := os.MkdirTemp("", "countersign-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(home) }()
	registry := filepath.Join(home, "customers.json")
	if err := writeCustomers(registry, 10_000); err != nil {
		return nil, err
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "COUNTERSIGN_CUSTOMERS=" + registry}
	out := keystrokes()
	for i := range out {
		k := &out[i]
		var ours, theirs []time.Duration
		for n := range runs + 1 {
			a, err := timed(ctx, process{path: tool, args: k.args, env: env}, k.says)
			if err != nil {
				return nil, err
			}
			b, err := timed(ctx, process{path: python, args: []string{"-c", "import boto3"}, env: env}, "")
			if err != nil {
				return nil, err
			}
			if n > 0 {
				ours, theirs = append(ours, a), append(theirs, b)
			}
		}
		k.ours, k.python, k.best = median(ours), median(theirs), slices.Min(ours)
	}
	return out, nil
}

// timed is how long a process takes from its start to its end.
func timed(ctx context.Context, p process, says string) (time.Duration, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &said, &said
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil || !strings.Contains(said.String(), says) {
		return 0, fmt.Errorf("%s %s (%v) doesn't say %q: %s", filepath.Base(p.path), strings.Join(p.args, " "), err, says, tail(said.Bytes()))
	}
	return took, nil
}

// writeCustomers writes a registry of so many customers.
func writeCustomers(path string, n int) error {
	rows := make([]customers.Customer, n)
	for i := range rows {
		account := fmt.Sprintf("%012d", 400_000_000_000+i)
		rows[i] = customers.Customer{
			Name: fmt.Sprintf("customer-%05d", i), Account: account, Prefix: fmt.Sprintf("prefix%05d", i), Grant: "migration",
			RoleARN:    "arn:aws:iam::" + account + ":role/countersign/ServiceProvider-migration",
			SecretARN:  "arn:aws:secretsmanager:eu-central-1:" + account + ":secret:countersign/migration-AbCdEf",
			ConfirmURL: "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1/grants/migration/confirm",
			Kind:       customers.KindCountersign, State: customers.StateAccepted, Teams: []string{"blue", "green"}, StackVersion: "1.2.3",
		}
	}
	body, err := json.Marshal(map[string]any{"customers": rows})
	if err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o600)
}

// toolTable is what a person reads.
func toolTable(strokes []keystroke) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprint(w, "countersign\tbest\tmedian\tPython\tfaster\tat least\t\n")
	for _, k := range strokes {
		_, _ = fmt.Fprintf(w, "%s\t%.0f ms\t%.0f ms\t%.0f ms\t%.1f x\t%.0f x\t\n", strings.Join(k.args, " "), milliseconds(k.best), milliseconds(k.ours), milliseconds(k.python), k.faster(), k.atLeast)
	}
	_ = w.Flush()
	return "\nAt the keyboard, from start to end, with 10,000 customers; Python only imports boto3.\n\n" + out.String()
}

// judgeTool names every keystroke that is too slow.
func judgeTool(strokes []keystroke) error {
	var missed []error
	for _, k := range strokes {
		if k.faster() < k.atLeast {
			missed = append(missed, fmt.Errorf("countersign %s is %.1f times faster than Python, less than %.0f", strings.Join(k.args, " "), k.faster(), k.atLeast))
		}
	}
	return errors.Join(missed...)
}
