package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Policy is a policy of a role that Deploy makes. With an ARN it is a managed policy, which is made if it isn't there;
// without one it is inline.
type Policy struct {
	Name, ARN, Document string
}

// Deploy makes what the stack makes for a grant: the role with the birth document, the frozen CountersignRevocation and the
// given policies; the secret with its constant value, the rotation function and the schedule; the plan's parameter; the SNS
// topics it names. It changes nothing else: what Custom::Grant does is the functions' part. It is how tests set up; nothing
// is recorded. An adopted role must be there already.
func (w *World) Deploy(p grant.Plan, policies ...Policy) error {
	if !p.Adopted {
		if err := w.deployRole(p, policies); err != nil {
			return fmt.Errorf("deploying the role of %s: %w", p.Grant, err)
		}
	}
	if !p.NoExternalID {
		if err := w.deploySecret(p); err != nil {
			return fmt.Errorf("deploying the secret of %s: %w", p.Grant, err)
		}
	}
	for _, topic := range p.Notify.By(grant.SNS) {
		w.Topics.Create(topic.Address)
	}
	return w.putPlan(p)
}

func (w *World) deployRole(p grant.Plan, policies []Policy) error {
	_, rest, _ := strings.Cut(p.RoleARN, ":role")
	options := RoleOptions{
		Path: rest[:strings.LastIndexByte(rest, '/')+1], Quota: p.Quota,
		Tags: map[string]string{grant.TagGrant: string(p.Grant)},
	}
	if p.ConfirmURL != "" {
		options.Tags[grant.TagSecret], options.Tags[grant.TagConfirm] = p.SecretARN, p.ConfirmURL
	}
	for _, policy := range policies {
		if policy.ARN == "" {
			continue
		}
		if err := w.IAM.ManagedPolicy(policy.ARN, []byte(policy.Document)); err != nil {
			return err
		}
		options.Managed = append(options.Managed, policy.ARN)
	}
	arn, err := w.IAM.CreateRole(p.RoleName(), []byte(trust.BornDocument), options)
	if err != nil {
		return err
	}
	if arn != p.RoleARN {
		return fmt.Errorf("the plan's role %s is not in account %s", p.RoleARN, w.cfg.Account)
	}
	r, err := w.IAM.find(p.RoleName())
	if err != nil {
		return err
	}
	inline := append([]Policy{{Name: grant.RevocationPolicy, Document: grant.OpenRevocation}}, policies...)
	for _, policy := range inline {
		if policy.ARN != "" {
			continue
		}
		if err := w.IAM.putInline(r, policy.Name, []byte(policy.Document)); err != nil {
			return fmt.Errorf("policy %s: %w", policy.Name, err)
		}
		r.inline[policy.Name].settle()
	}
	return nil
}

func (w *World) deploySecret(p grant.Plan) error {
	every, err := period(p.RotateEvery)
	if err != nil {
		return err
	}
	if err := w.makeSecret(p); err != nil {
		return err
	}
	return w.Secrets.EnableRotation(p.SecretARN, every, time.Hour)
}

// makeSecret makes a grant's secret with its constant value.
func (w *World) makeSecret(p grant.Plan) error {
	if name, err := grant.NameOfSecret(p.SecretARN); err != nil || name != p.Grant {
		return fmt.Errorf("the plan's secret %s is not called %s", p.SecretARN, p.Grant.Secret())
	}
	if _, err := w.Secrets.find(p.Grant.Secret()); err == nil {
		return fmt.Errorf("secret %s is there already, or marked as deleted", p.Grant.Secret())
	}
	w.Secrets.add(p.SecretARN, p.Grant.Secret(), p.KeyARN, []byte(grant.BornSecret), map[string]string{grant.TagGrant: string(p.Grant)})
	return nil
}

func (w *World) putPlan(p grant.Plan) error {
	document, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("writing the plan of %s: %w", p.Grant, err)
	}
	return w.Parameters.Put(p.Grant.Parameter(), string(document))
}

// period is how often access.yaml's rotateEvery rotates; zero: never.
func period(every string) (time.Duration, error) {
	switch every {
	case "", "never":
		return 0, nil
	case "daily":
		return 24 * time.Hour, nil
	case "weekly":
		return 7 * 24 * time.Hour, nil
	case "monthly":
		return 30 * 24 * time.Hour, nil
	}
	if days, ok := strings.CutSuffix(every, " days"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(every)
	if err != nil || d < 4*time.Hour {
		return 0, fmt.Errorf("rotateEvery %q: 4h, 6h, 8h, 12h, daily, weekly, monthly, N days or never", every)
	}
	return d, nil
}

// Redeploy puts back what the template says, where a deploy, rollback or drift-revert would: the role's trust policy becomes
// the birth document and the parameter becomes the plan. Secret and CountersignRevocation stay, because their properties in
// the template never change. Each write is a call of the actor cloudformation.
func (w *World) Redeploy(ctx context.Context, p grant.Plan) error {
	ctx = As(ctx, "cloudformation")
	if !p.Adopted {
		if err := w.IAM.SetTrust(ctx, p.RoleName(), []byte(trust.BornDocument)); err != nil {
			return fmt.Errorf("redeploying the role of %s: %w", p.Grant, err)
		}
	}
	return do(ctx, w, "ssm", "PutParameter", p.Grant.Parameter(), func() error { return w.putPlan(p) })
}

// Stacks is AWS CloudFormation: stacks of grants (stack.go), and their outputs.
type Stacks struct {
	w        *World
	outputs  map[string]map[string]string
	stacks   map[string]*stack
	function string // behind Custom::Grant
	custom   CustomResource
}

// SetOutputs makes a stack with its outputs. Nothing is recorded.
func (s *Stacks) SetOutputs(stack string, outputs map[string]string) {
	s.outputs[stack] = maps.Clone(outputs)
}

// Outputs is DescribeStacks. A stack that doesn't exist is grant.ErrNotFound.
func (s *Stacks) Outputs(ctx context.Context, stack string) (map[string]string, error) {
	return step(ctx, s.w, "cloudformation", "DescribeStacks", stack, func() (map[string]string, error) {
		outputs, ok := s.outputs[stack]
		if !ok {
			return nil, absent(stack)
		}
		return maps.Clone(outputs), nil
	})
}
