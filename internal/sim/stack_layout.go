package sim

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
)

// Layout is what a template says of the whole file, for Custom::Layout, beside the list of its grants.
type Layout struct {
	Shards, ReshardedFrom int      // zero shards: one
	RemoveRevoked         []string // grants that may go although they are revoked
	Name                  string   // of the stack; empty: it has none
}

// properties are Custom::Layout's, as package infra writes them: numbers and booleans reach the function as text.
func (l Layout) properties(grants []Template) map[string]any {
	list := []any{}
	byName := func(a, b Template) int { return cmp.Compare(a.Plan.Grant, b.Plan.Grant) }
	for _, t := range slices.SortedFunc(slices.Values(grants), byName) {
		_, role, _ := strings.Cut(t.Plan.RoleARN, ":role")
		parts := map[string]any{"Name": string(t.Plan.Grant), "Role": role, "Secret": fmt.Sprint(!t.Plan.NoExternalID)}
		if t.Plan.IssuedBy == grant.IssuedByProvider {
			parts["IssuedBy"] = string(t.Plan.IssuedBy)
		}
		if t.Plan.Adopted {
			parts["Adopted"] = "true"
		}
		if t.RoleStays {
			parts["RoleStays"] = "true"
		}
		list = append(list, parts)
	}
	forced := []any{}
	for _, name := range l.RemoveRevoked {
		forced = append(forced, name)
	}
	out := map[string]any{
		"Shards": fmt.Sprint(max(l.Shards, 1)), "ReshardedFrom": fmt.Sprint(l.ReshardedFrom), "Grants": list, "RemoveRevoked": forced,
	}
	if l.Name != "" {
		out["Name"] = l.Name
	}
	return out
}

// layOut calls Custom::Layout where its properties changed. All grants wait for it. One that refused an update is called again
// in the rollback, as CloudFormation does.
func (d *deployment) layOut(ctx context.Context, next map[string]any) error {
	old := d.stack.layout
	if old == nil {
		d.stack.layout = next
		return d.bringLayout(ctx, cfn.RequestCreate, next, nil)
	}
	if reflect.DeepEqual(old, next) {
		return nil
	}
	d.back = append(d.back, func(ctx context.Context) error {
		d.stack.layout = old
		return d.bringLayout(ctx, cfn.RequestUpdate, old, next)
	})
	d.stack.layout = next
	return d.bringLayout(ctx, cfn.RequestUpdate, next, old)
}

// bringLayout calls Custom::Layout.
func (d *deployment) bringLayout(ctx context.Context, kind cfn.RequestType, properties, old map[string]any) error {
	if d.s.custom == nil {
		return nil
	}
	e := cfn.Event{
		RequestType: kind, RequestID: d.s.w.uuid(), StackID: d.s.ARN(d.stack.name), ResourceType: "Custom::Layout", LogicalResourceID: "Layout",
		ResourceProperties: properties, OldResourceProperties: old,
	}
	if kind != cfn.RequestCreate {
		e.PhysicalResourceID = "countersign-layout"
	}
	if _, err := d.s.call(ctx, e); err != nil {
		return fmt.Errorf("Custom::Layout: %w", err)
	}
	return nil
}

// RollingBack is DescribeStacks: whether CloudFormation is taking an update of the stack back. The stack is named by its ARN.
func (s *Stacks) RollingBack(ctx context.Context, stackARN string) (bool, error) {
	return step(ctx, s.w, "cloudformation", "DescribeStacks", stackARN, func() (bool, error) {
		if st := s.of(stackARN); st != nil {
			return st.status == updateRollingBack, nil
		}
		return false, absent(stackARN)
	})
}
