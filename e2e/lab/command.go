package lab

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// EnvironmentOf is the environment of somebody who types commands, with their credentials.
func (l *Lab) EnvironmentOf(ctx context.Context, who aws.Config) ([]string, error) {
	keys, err := who.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	env := append(l.environment(keys.AccessKeyID), "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey, "NO_COLOR=1")
	if keys.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+keys.SessionToken)
	}
	return append(env, l.names...), nil
}

// Countersign runs bin/countersign with who's credentials. An exit code other than 0 is no error here.
func (l *Lab) Countersign(ctx context.Context, who aws.Config, args ...string) (Output, error) {
	env, err := l.EnvironmentOf(ctx, who)
	if err != nil {
		return Output{}, err
	}
	stdout, stderr, err := l.run(ctx, env, filepath.Join(l.Root, "bin/countersign"), args...)
	out := Output{Args: strings.Join(args, " "), Stdout: string(stdout), Stderr: string(stderr)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		out.Code, err = exit.ExitCode(), nil
	}
	if err != nil {
		return Output{}, err
	}
	l.mu.Lock()
	l.outputs = append(l.outputs, out)
	l.mu.Unlock()
	return out, nil
}

// Typed notes what somebody saw on a terminal among the outputs.
func (l *Lab) Typed(args, seen string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outputs = append(l.outputs, Output{Args: args, Stdout: seen})
}
