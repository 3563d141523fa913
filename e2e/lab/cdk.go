package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Bootstrap prepares the customer's account for CDK.
func (l *Lab) Bootstrap(ctx context.Context) error {
	return l.cdk(ctx, "bootstrap", "aws://"+Customer+"/"+Region, "--app", "")
}

// Synth builds the templates of an access.yaml into the folder out.
func (l *Lab) Synth(ctx context.Context, access, out string) error {
	return l.cdk(ctx, "synth", "--quiet", "--app", filepath.Join(l.Root, "bin/countersign-app"), "--output", out,
		"-c", "access="+access, "-c", "functions="+filepath.Join(l.Root, "dist/functions"), "-c", "local=true")
}

// Deploy deploys what Synth built, whether CDK thinks that it changed or not.
func (l *Lab) Deploy(ctx context.Context, out string) error {
	return l.cdk(ctx, "deploy", "--all", "--force", "--require-approval", "never", "--app", out)
}

// Destroy deletes the stacks of what Synth built.
func (l *Lab) Destroy(ctx context.Context, out string) error {
	return l.cdk(ctx, "destroy", "--all", "--force", "--app", out)
}

// cdk runs the pinned CDK CLI as the customer's administrator.
func (l *Lab) cdk(ctx context.Context, args ...string) error { return l.cdkAs(ctx, "test", args...) }

// cdkAs runs it with an account's key. It takes no longer than four minutes.
func (l *Lab) cdkAs(ctx context.Context, key string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	env := append(l.environment(key), "CDK_DISABLE_CLI_TELEMETRY=true", "CI=true",
		"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1", "JSII_RUNTIME_PACKAGE_CACHE_ROOT="+filepath.Join(l.Root, ".cache/jsii"))
	stdout, stderr, err := l.run(ctx, env, filepath.Join(l.Root, ".tools/node/node_modules/.bin/cdk"), append(args, "--no-notices")...)
	if err := l.note(args, stdout, stderr); err != nil {
		return fmt.Errorf("writing %s: %w", l.CDKLog(), err)
	}
	if err != nil {
		return fmt.Errorf("cdk %s: %w\n%s%s", args[0], err, stdout, stderr)
	}
	return nil
}

// note appends to the log of the CDK CLI.
func (l *Lab) note(args []string, stdout, stderr []byte) error {
	file, err := os.OpenFile(l.CDKLog(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "$ cdk %q\n%s%s", args, stdout, stderr)
	return errors.Join(err, file.Close())
}

// CDKLog is what the CDK CLI printed.
func (l *Lab) CDKLog() string { return filepath.Join(l.Dir, "cdk.log") }
