package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/aws/cloudformation"
	"github.com/countersign/countersign/internal/aws/operator"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

// defaultStack is the name under which the CDK app deploys.
const defaultStack = "ServiceProviderAccess"

var errNoStack = errors.New("no stack")

// remoteFlags say where the grants are deployed.
type remoteFlags struct{ stack, profile, region string }

func (f *remoteFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.stack, "stack", defaultStack, "the deployed stack, shards included")
	cmd.Flags().StringVar(&f.profile, "profile", "", "profile of AWS, instead of the environment's")
	cmd.Flags().StringVar(&f.region, "region", "", "where the stack is, instead of the profile's Region")
}

// stack is one deployed stack, as its outputs tell.
type stack struct {
	name    string
	outputs map[string]string
}

func (s stack) grants() []string {
	if s.outputs["Grants"] == "" {
		return nil
	}
	return strings.Split(s.outputs["Grants"], ",")
}

// roleName is the name of a grant's role, "" if the stack doesn't tell. One that was deployed from a link has one grant, and no
// output that is named after it.
func (s stack) roleName(name grant.Name) string {
	arn := cmp.Or(s.outputs["RoleArn"+access.Logical(name)], s.outputs["RoleArn"])
	return arn[strings.LastIndexByte(arn, '/')+1:]
}

// config reads the operator's AWS configuration.
func (f remoteFlags) config(ctx context.Context) (aws.Config, error) {
	cfg, err := operator.Load(ctx, f.profile, f.region)
	if err != nil {
		return aws.Config{}, fail(exitInput, "Set AWS_PROFILE or AWS_REGION, or give --profile and --region.", "%w", err)
	}
	return cfg, nil
}

// stacks reads the outputs of the stack and its shards, until yield says that it has enough.
func (f remoteFlags) stacks(ctx context.Context, cfg aws.Config, yield func(stack) bool) error {
	client := cloudformation.New(cfg)
	for shard := range access.MaxShards {
		name := access.StackName(f.stack, shard)
		outputs, err := client.Outputs(ctx, name)
		if errors.Is(err, grant.ErrNotFound) && shard > 0 {
			return nil
		}
		if errors.Is(err, grant.ErrNotFound) {
			return fail(exitInput, "--stack and --region say where it is deployed.", "%w %s in %s", errNoStack, name, cfg.Region)
		}
		if err != nil {
			return remoteError(fmt.Errorf("reading outputs of %s: %w", name, err))
		}
		if !yield(stack{name, outputs}) {
			return nil
		}
	}
	return nil
}

// stackOf finds the stack that a grant lies in.
func (f remoteFlags) stackOf(ctx context.Context, cfg aws.Config, name grant.Name) (stack, error) {
	var found stack
	var known []string
	err := f.stacks(ctx, cfg, func(s stack) bool {
		known = append(known, s.grants()...)
		if slices.Contains(s.grants(), string(name)) {
			found = s
			return false
		}
		return true
	})
	if err != nil {
		return stack{}, err
	}
	if found.name == "" {
		return stack{}, fail(exitInput, cmp.Or(strings.Join(known, ", "), "none")+" is what is deployed.", "no grant %s in %s", name, f.stack)
	}
	return found, nil
}

// deployed is the stack that a grant lies in, and the credentials that found it. Its errors are for people.
func (f remoteFlags) deployed(ctx context.Context, name grant.Name) (aws.Config, stack, error) {
	cfg, err := f.config(ctx)
	if err != nil {
		return aws.Config{}, stack{}, err
	}
	s, err := f.stackOf(ctx, cfg, name)
	return cfg, s, remoteError(err)
}

// api makes the client of a stack's API.
func (s stack) api(cfg aws.Config) (*apigateway.Client, error) {
	if s.outputs["ApiUrl"] == "" {
		return nil, fail(exitFailed, "Deploy it again.", "stack %s has no output ApiUrl", s.name)
	}
	return apigateway.New(cfg, s.outputs["ApiUrl"])
}

// grantAPI reads a command's grant and finds the API that it is behind.
func (f remoteFlags) grantAPI(ctx context.Context, args []string) (grant.Name, *apigateway.Client, error) {
	name, err := grantArg(args)
	if err != nil {
		return "", nil, err
	}
	cfg, s, err := f.deployed(ctx, name)
	if err != nil {
		return "", nil, err
	}
	client, err := s.api(cfg)
	return name, client, remoteError(err)
}

// grantArg reads a command's grant.
func grantArg(args []string) (grant.Name, error) {
	name, err := grant.ParseName(args[0])
	if err != nil {
		return "", fail(exitInput, "countersign grants lists them.", "%w", err)
	}
	return name, nil
}

// remoteError gives an error of AWS or of the API its exit code and what to try.
func remoteError(err error) error {
	if _, ok := errors.AsType[*exitError](err); ok || err == nil {
		return err
	}
	code, next := exitFailed, ""
	switch {
	case errors.Is(err, grant.ErrDenied):
		code, next = exitDenied, "Check with aws sts get-caller-identity who you are: operators may do this, granted roles may not."
	case errors.Is(err, grant.ErrOverlapOpen):
		code, next = exitRefused, "Wait for the deadline; or, if the ID leaked, countersign rotate GRANT --leaked."
	case errors.Is(err, grant.ErrConflict), errors.Is(err, grant.ErrClosed), errors.Is(err, grant.ErrBusy):
		code = exitRefused
	case errors.Is(err, grant.ErrNotFound):
		code, next = exitInput, "countersign grants lists what is deployed."
	case errors.Is(err, grant.ErrThrottled), errors.Is(err, grant.ErrUnavailable):
		next = "Try again; AWS's own state: https://health.aws.amazon.com"
	case errors.Is(err, context.Canceled):
		next = "Interrupted: what was sent may have worked. countersign show GRANT tells."
	}
	if r, ok := errors.AsType[*apigateway.Refusal](err); ok {
		next = cmp.Or(sentence(r.Next), next)
		if r.Status == 400 {
			code = exitInput
		}
		if !r.Until.IsZero() {
			err = fmt.Errorf("%w (until %s)", err, r.Until.UTC().Format(time.RFC3339))
		}
	}
	return &exitError{code: code, err: err, next: printable(next)}
}

// sentence ends a text with a full stop.
func sentence(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}
