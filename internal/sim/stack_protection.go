package sim

import (
	"context"
	"maps"
	"slices"

	"github.com/countersign/countersign/internal/grant"
)

// ARN is a stack's.
func (s *Stacks) ARN(name string) string {
	return "arn:aws:cloudformation:" + s.w.cfg.Region + ":" + s.w.cfg.Account + ":stack/" + name + "/1"
}

// of is the stack that a name or an ARN names; nil where there is none.
func (s *Stacks) of(nameOrARN string) *stack {
	for name, st := range s.stacks {
		if name == nameOrARN || s.ARN(name) == nameOrARN {
			return st
		}
	}
	return nil
}

// Deletable is DescribeStacks: whether the stack stands, and its termination protection is off.
func (s *Stacks) Deletable(ctx context.Context, stack string) (bool, error) {
	return step(ctx, s.w, "cloudformation", "DescribeStacks", stack, func() (bool, error) {
		st := s.of(stack)
		if st == nil {
			return false, absent(stack)
		}
		return !st.protected && !slices.Contains([]Status{deleting, DeleteFailed, CreateRolledBack}, st.status), nil
	})
}

// Protect is UpdateTerminationProtection, on.
func (s *Stacks) Protect(ctx context.Context, stack string) error { return s.protect(ctx, stack, true) }

// Unprotect is the same, off: what a person does before a deletion, and cdk deploy at each run.
func (s *Stacks) Unprotect(ctx context.Context, stack string) error {
	return s.protect(ctx, stack, false)
}

func (s *Stacks) protect(ctx context.Context, stack string, on bool) error {
	return do(ctx, s.w, "cloudformation", "UpdateTerminationProtection", stack, func() error {
		st := s.of(stack)
		if st == nil || st.status == deleting {
			return absent(stack)
		}
		st.protected = on
		return nil
	})
}

// Protected says whether a stack's termination protection is on. Nothing is recorded.
func (s *Stacks) Protected(stack string) bool {
	st := s.of(stack)
	return st != nil && st.protected
}

func absent(stack string) error {
	return refuse(grant.ErrNotFound, "ValidationError", "Stack with id %s does not exist", clip(stack))
}

// clone copies stacks for a snapshot.
func clone(stacks map[string]*stack) map[string]*stack {
	out := maps.Clone(stacks)
	for name, st := range out {
		one := *st
		one.grants = nil
		for _, g := range st.grants {
			grant := *g
			one.grants = append(one.grants, &grant)
		}
		out[name] = &one
	}
	return out
}
