package sim

import (
	"context"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// Parameters is AWS Systems Manager's parameter store, as far as plans need it.
type Parameters struct {
	w      *World
	values map[string]string
}

// maxParameter is the length of a standard parameter's value in characters.
const maxParameter = 4096

// Put sets a parameter as a deploy does. Nothing is recorded.
func (p *Parameters) Put(name, value string) error {
	if n := len([]rune(value)); n == 0 || n > maxParameter {
		return refuse(nil, "ValidationException", "a standard parameter holds 1 to %d characters, not %d", maxParameter, n)
	}
	p.values[name] = value
	return nil
}

// Plan is GetParameter and grant.ParsePlan.
func (p *Parameters) Plan(ctx context.Context, name grant.Name) (grant.Plan, error) {
	value, err := step(ctx, p.w, "ssm", "GetParameter", name.Parameter(), func() (string, error) {
		value, ok := p.values[name.Parameter()]
		if !ok {
			return "", refuse(fmt.Errorf("%w: %w", grant.ErrNotConfigured, grant.ErrNotFound), "ParameterNotFound", "%s", name.Parameter())
		}
		return value, nil
	})
	if err != nil {
		return grant.Plan{}, err
	}
	return p.w.cfg.Policies.plan(value, name)
}
