package sim

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
)

// Template is what a stack's template says of one grant.
type Template struct {
	Plan     grant.Plan
	Policies []Policy // inline ones and managed ones, as for World.Deploy
	// Description stands for the role's properties that neither plan nor policies tell.
	Description string
	// RoleStays says that the role was made elsewhere: it must be there, and the stack adds its inline policies to it and takes them off.
	RoleStays bool
	// Revocation is the body of CountersignRevocation; empty: grant.OpenRevocation, as every template of ours has it.
	Revocation string
}

// CustomResource is the function behind Custom::Layout and Custom::Grant.
type CustomResource func(context.Context, cfn.Event) (physicalID string, data map[string]any, err error)

// Status is where a stack is, in CloudFormation's words.
type Status string

// The statuses that a stack can stay in.
const (
	CreateComplete         Status = "CREATE_COMPLETE"
	CreateRolledBack       Status = "ROLLBACK_COMPLETE" // can only be deleted
	UpdateComplete         Status = "UPDATE_COMPLETE"
	UpdateRolledBack       Status = "UPDATE_ROLLBACK_COMPLETE"
	UpdateRollbackFailed   Status = "UPDATE_ROLLBACK_FAILED" // see ContinueRollback
	updateRollingBack      Status = "UPDATE_ROLLBACK_IN_PROGRESS"
	DeleteFailed           Status = "DELETE_FAILED"
	underWay               Status = "IN_PROGRESS"
	deleting               Status = "DELETE_IN_PROGRESS"
	customResourceTimeout         = 15 * time.Minute
	customResourceAttempts        = 3 // of an asynchronous invocation whose function dies
)

// stack is one that stands.
type stack struct {
	name   string
	status Status
	layout map[string]any // Custom::Layout's properties
	grants []*stackGrant
	left   []func(context.Context) error // of a rollback that failed

	protected bool // from deletion
}

// stackGrant is one grant of a stack.
type stackGrant struct {
	Template
	physicalID string // of Custom::Grant; "" where it has none
	foreign    bool   // the role of that name is somebody else's
}

// OnCustom registers the function behind Custom::Layout and Custom::Grant. Without one they are left out.
func (s *Stacks) OnCustom(function string, handle CustomResource) {
	s.function, s.custom = function, handle
}

// Stands says that a stack of these grants has been deployed before, as by World.Deploy. Nothing is recorded.
func (s *Stacks) Stands(name string, grants ...Template) {
	st := &stack{name: name, status: CreateComplete, layout: Layout{}.properties(grants)}
	for _, g := range grants {
		st.grants = append(st.grants, &stackGrant{Template: g, physicalID: physicalID(g)})
	}
	s.put(st)
}

func physicalID(t Template) string { return "countersign-" + string(t.Plan.Grant) }

func (s *Stacks) put(st *stack) {
	if s.stacks == nil {
		s.stacks = map[string]*stack{}
	}
	s.stacks[st.name] = st
	if s.outputs[st.name] == nil {
		s.outputs[st.name] = map[string]string{}
	}
}

// Status is a stack's status, "" where there is none. Nothing is recorded.
func (s *Stacks) Status(name string) Status {
	if st := s.stacks[name]; st != nil {
		return st.status
	}
	return ""
}

// Create is a first deploy: each grant's parts in the order of their dependencies, Custom::Grant last. Every write is a call of
// the actor cloudformation. A failure takes back what was made; the error is the reason.
func (s *Stacks) Create(ctx context.Context, name string, grants ...Template) error {
	return s.CreateLayout(ctx, name, Layout{}, grants...)
}

// CreateLayout is Create of a template that also says something of the whole file.
func (s *Stacks) CreateLayout(ctx context.Context, name string, l Layout, grants ...Template) error {
	ctx = As(ctx, cloudFormation)
	if s.stacks[name] != nil {
		return refuse(grant.ErrConflict, "AlreadyExistsException", "Stack [%s] already exists", name)
	}
	st := &stack{name: name, status: underWay}
	s.put(st)
	d := &deployment{s: s, stack: st}
	if err := d.layOut(ctx, l.properties(grants)); err != nil {
		st.status = CreateRolledBack
		return fmt.Errorf("creating stack %s: %w", name, err)
	}
	for _, g := range grants {
		made := &stackGrant{Template: g}
		st.grants = append(st.grants, made)
		if err := d.create(ctx, made); err != nil {
			st.status = CreateRolledBack
			return errors.Join(fmt.Errorf("creating stack %s: %w", name, err), d.rollBack(ctx))
		}
	}
	st.status = CreateComplete
	return nil
}

// Update is a deploy of a changed template: only what changed in the template is written. A failure puts back what the template
// said before, and is the error.
func (s *Stacks) Update(ctx context.Context, name string, grants ...Template) error {
	return s.update(As(ctx, cloudFormation), name, false, Layout{}, grants)
}

// UpdateLayout is Update of a template that also says something of the whole file.
func (s *Stacks) UpdateLayout(ctx context.Context, name string, l Layout, grants ...Template) error {
	return s.update(As(ctx, cloudFormation), name, false, l, grants)
}

// RevertDrift is Update that also puts live objects back to what the template says, where CloudFormation knows drift: the role's
// trust policy and the plan. AWS::IAM::Policy has no drift detection, a secret's value neither.
func (s *Stacks) RevertDrift(ctx context.Context, name string, grants ...Template) error {
	return s.update(As(ctx, cloudFormation), name, true, Layout{}, grants)
}

func (s *Stacks) update(ctx context.Context, name string, revert bool, l Layout, grants []Template) error {
	st, err := s.standing(name)
	if err != nil {
		return err
	}
	now := func(i int) Template { return st.grants[i].Template }
	layout := l.properties(grants)
	if !revert && reflect.DeepEqual(layout, st.layout) && !slices.ContainsFunc(grants, func(g Template) bool {
		i := st.index(g)
		return i < 0 || !reflect.DeepEqual(now(i), g)
	}) {
		return refuse(nil, "ValidationError", "No updates are to be performed.")
	}
	st.status = underWay
	d := &deployment{s: s, stack: st, revert: revert}
	before := slices.Clone(st.grants)
	if err := d.layOut(ctx, layout); err != nil {
		return d.fail(ctx, err)
	}
	var kept []*stackGrant
	for _, g := range grants {
		next := &stackGrant{Template: g}
		kept = append(kept, next)
		if i := st.index(g); i >= 0 {
			next.physicalID = st.grants[i].physicalID
			err = d.update(ctx, before[i], next)
		} else {
			err = d.create(ctx, next)
		}
		if err != nil {
			return d.fail(ctx, err)
		}
	}
	st.grants = kept
	st.status = UpdateComplete
	// What the template lost goes last, and a failure there fails no deploy.
	for _, old := range before {
		if st.index(old.Template) < 0 {
			_ = d.remove(ctx, old)
		} else {
			d.cleanUp(ctx, old, st.grants[st.index(old.Template)])
		}
	}
	return nil
}

// ContinueRollback tries again what a failed rollback could not put back.
func (s *Stacks) ContinueRollback(ctx context.Context, name string) error {
	st := s.stacks[name]
	if st == nil || st.status != UpdateRollbackFailed {
		return refuse(nil, "ValidationError", "Stack %s is not in UPDATE_ROLLBACK_FAILED", clip(name))
	}
	d := &deployment{s: s, stack: st, back: st.left}
	st.status = updateRollingBack
	err := d.rollBack(As(ctx, cloudFormation))
	st.status = UpdateRollbackFailed
	if err == nil {
		st.status = UpdateRolledBack
	}
	return err
}

// Delete is DeleteStack, a call of whoever asks, which a protected stack refuses. Then CloudFormation deletes of each grant
// Custom::Grant, which closes, then the policies, CountersignRevocation last of them, the role, the schedule, the plan, the secret. A
// failure leaves the rest standing: it can be called again.
func (s *Stacks) Delete(ctx context.Context, name string) error {
	taken := false
	err := do(ctx, s.w, "cloudformation", "DeleteStack", name, func() error {
		switch st := s.stacks[name]; {
		case st == nil || st.status == underWay || st.status == deleting:
			return refuse(nil, "ValidationError", "Stack %s does not exist or is in progress", clip(name))
		case st.protected:
			return refuse(nil, "ValidationError", "Stack [%s] cannot be deleted while TerminationProtection is enabled", clip(name))
		default:
			st.status, taken = deleting, true
			return nil
		}
	})
	if !taken { // else it goes on, whether the answer came or not
		return err
	}
	ctx = As(ctx, cloudFormation)
	st := s.stacks[name]
	d := &deployment{s: s, stack: st}
	for _, g := range slices.Backward(slices.Clone(st.grants)) {
		if err := d.remove(ctx, g); err != nil {
			st.status = DeleteFailed
			return fmt.Errorf("deleting stack %s: %w", name, err)
		}
		st.grants = slices.DeleteFunc(st.grants, func(other *stackGrant) bool { return other == g })
	}
	if err := d.bringLayout(ctx, cfn.RequestDelete, st.layout, nil); err != nil {
		st.status = DeleteFailed
		return fmt.Errorf("deleting stack %s: %w", name, err)
	}
	delete(s.stacks, name)
	delete(s.outputs, name)
	return nil
}

// standing is a stack that can be updated.
func (s *Stacks) standing(name string) (*stack, error) {
	st := s.stacks[name]
	switch {
	case st == nil:
		return nil, refuse(grant.ErrNotFound, "ValidationError", "Stack [%s] does not exist", clip(name))
	case st.status == CreateComplete, st.status == UpdateComplete, st.status == UpdateRolledBack:
		return st, nil
	}
	return nil, refuse(nil, "ValidationError", "Stack:%s is in %s state and can not be updated.", name, st.status)
}

func (st *stack) index(t Template) int {
	return slices.IndexFunc(st.grants, func(g *stackGrant) bool { return g.Plan.Grant == t.Plan.Grant })
}

// request makes Custom::Grant's request. A retry is the same request.
func (s *Stacks) request(st *stack, kind cfn.RequestType, g *stackGrant, old *Template) cfn.Event {
	e := cfn.Event{
		RequestType: kind, RequestID: s.w.uuid(), StackID: s.ARN(st.name),
		ResourceType: "Custom::Grant", LogicalResourceID: "Grant" + string(g.Plan.Grant), PhysicalResourceID: g.physicalID,
		ResourceProperties: properties(g.Template),
	}
	if old != nil {
		e.OldResourceProperties = properties(*old)
	}
	return e
}

func properties(t Template) map[string]any {
	out := map[string]any{"Grant": string(t.Plan.Grant), "Digest": t.digest()}
	if t.RoleStays {
		out["RoleStays"] = "true"
	}
	return out
}

// call invokes a custom resource's function and waits for its answer. A function that dies is invoked again, as Lambda does with
// asynchronous invocations; without an answer CloudFormation gives up after the resource's timeout.
func (s *Stacks) call(ctx context.Context, e cfn.Event) (physicalID string, err error) {
	start, answered := s.w.now, false
	for attempt := 1; attempt <= customResourceAttempts && !answered; attempt++ {
		if attempt > 1 {
			if err := s.w.Wait(ctx, time.Minute<<(attempt-2)); err != nil {
				return "", err
			}
		}
		invoked := do(ctx, s.w, "lambda", "Invoke", s.function+" "+e.ResourceType+" "+string(e.RequestType), func() error {
			return s.w.Invoke(ctx, s.function, func(ctx context.Context) error {
				id, _, refused := s.custom(ctx, e)
				if ctx.Err() == nil { // else it was ended before it could answer
					physicalID, err, answered = id, refused, true
				}
				return refused
			})
		})
		if invoked != nil && !answered {
			err = invoked
		}
	}
	if !answered {
		if left := start.Add(customResourceTimeout).Sub(s.w.now); left > 0 {
			if waiting := s.w.Wait(ctx, left); waiting != nil {
				return "", waiting
			}
		}
		return "", fmt.Errorf("CloudFormation did not receive a response from your Custom Resource: %w", err)
	}
	return physicalID, err
}
