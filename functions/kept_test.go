package functions_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// elsewhere is a world whose role somebody made by plain calls of IAM, with permissions of its own, and not yet a stack.
func elsewhere(t *testing.T) *world {
	t.Helper()
	w := stacked(t)
	w.gone = []string{}
	w.makesTheRole()
	return w
}

func (w *world) makesTheRole() {
	w.t.Helper()
	_, err := w.IAM.CreateRole(w.plan.RoleName(), []byte(trust.BornDocument), sim.RoleOptions{
		Path: grant.DefaultRolePath, Tags: map[string]string{grant.TagGrant: "migration"}})
	w.must(err)
	w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), "theirs",
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)))
}

// engine is the template of a stack that runs the role and doesn't make it.
func (w *world) engine() sim.Template {
	return sim.Template{Plan: w.plan, RoleStays: true, Policies: []sim.Policy{{Name: grant.GuardPolicy, Document: grant.OpenRevocation}}}
}

func (w *world) session() *sim.Session {
	w.t.Helper()
	s, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, w.current("migration"), "jdoe")
	w.must(err)
	return s
}

// staysClosed asserts that the role is there, and that neither IDs nor sessions from before open anything.
func (w *world) staysClosed(ids []string, sessions ...*sim.Session) {
	w.t.Helper()
	kept, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy)
	if err != nil || !grant.ReadRevocation(kept).Denies || !mustParseTrust(w.t, []byte(w.document())).Closed() {
		w.t.Errorf("the role that stays is not closed: %s, %v", kept, err)
	}
	for _, id := range append(ids, "") {
		if w.enters(provider, id) || w.enters(third, id) {
			w.t.Errorf("the role that stays lets in")
		}
	}
	for _, s := range sessions {
		if s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
			w.t.Error("a session from before acts again")
		}
	}
	for _, policy := range []string{grant.RevocationPolicy, grant.GuardPolicy} {
		if _, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), policy); !errors.Is(err, grant.ErrNotFound) {
			w.t.Errorf("%s is still there: %v", policy, err)
		}
	}
}

func TestARoleThatTheStackDidNotMakeStaysClosed(t *testing.T) {
	for name, revoked := range map[string]bool{"open": false, "revoked": true} {
		t.Run(name, func(t *testing.T) {
			w := elsewhere(t)
			w.must(w.Stacks.Create(w.ctx, stackName, w.engine()))
			w.rotated(token(1))
			ids, s := w.allIDs(), w.session()
			w.lets(ids...)
			if revoked {
				w.revoked()
				w.must(w.round())
				w.refusesToGo()
				w.must(w.Stacks.Unprotect(w.ctx, stackName))
			}
			w.deletes()
			w.staysClosed(ids, s)

			// A new stack over it is refused, and changes nothing, until a person has opened it.
			err := w.Stacks.Create(w.ctx, stackName, w.engine())
			if !errors.Is(err, grant.ErrClosed) || !strings.Contains(err.Error(), "take its inline policy CountersignClosed off") {
				t.Errorf("deployed over a closed role: %v", err)
			}
			w.staysClosed(ids, s)
			w.must(w.Stacks.Delete(w.ctx, stackName))
			w.must(w.IAM.DeleteInlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy)) // the trust policy alone closes it too
			if err := w.Stacks.Create(w.ctx, stackName, w.engine()); !errors.Is(err, grant.ErrClosed) {
				t.Errorf("deployed over a closed trust policy: %v", err)
			}
			w.staysClosed(ids, s)
			w.must(w.Stacks.Delete(w.ctx, stackName))

			w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(trust.BornDocument)))
			w.must(w.IAM.DeleteInlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy))
			w.must(w.Stacks.Create(w.ctx, stackName, w.engine()))
			w.lets(w.current("migration"))
			if slices.Contains(ids, w.current("migration")) {
				t.Error("the new stack has an ID of the old one")
			}
		})
	}
}

// A creation that is taken back before anybody got in leaves the role as it was made: the next try works.
func TestACreationTakenBackLeavesAForeignRoleAlone(t *testing.T) {
	w := elsewhere(t)
	refused := errors.New("refused")
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		if e.RequestType == cfn.RequestCreate && e.ResourceType == "Custom::Grant" {
			return "countersign-migration", nil, refused
		}
		return w.Reconciler.CloudFormation(ctx, e)
	})
	before := w.document()
	w.fails(w.Stacks.Create(w.ctx, stackName, w.engine()), refused)
	if w.document() != before {
		t.Error("the trust policy changed")
	}
	if _, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("closed for good: %v", err)
	}
	w.Stacks.OnCustom("reconcile", w.Reconciler.CloudFormation)
	w.must(w.Stacks.Delete(w.ctx, stackName))
	w.must(w.Stacks.Create(w.ctx, stackName, w.engine()))
	w.lets(w.current("migration"))
}

// One whose first ID may have been let in already is closed.
func TestACreationTakenBackLateClosesAForeignRole(t *testing.T) {
	w := elsewhere(t)
	refused := errors.New("refused")
	var s *sim.Session
	var ids []string
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		id, data, err := w.Reconciler.CloudFormation(ctx, e)
		if err == nil && e.RequestType == cfn.RequestCreate && e.ResourceType == "Custom::Grant" {
			s, ids, err = w.session(), w.allIDs(), refused
		}
		return id, data, err
	})
	w.fails(w.Stacks.Create(w.ctx, stackName, w.engine()), refused)
	w.staysClosed(ids, s)
}

// Nor do labels that somebody moved call a grant unborn: with the birth document back, sessions from before would go on acting in the
// role that stays. The versions of the secret tell.
func TestMovedLabelsLeaveNoForeignRoleOpenToOldSessions(t *testing.T) {
	w := elsewhere(t)
	w.must(w.Stacks.Create(w.ctx, stackName, w.engine()))
	w.rotated(token(1))
	ids, s := w.allIDs(), w.session()
	versions := w.Secrets.Stored(w.plan.SecretARN)
	oldest := versions[0]
	for _, v := range versions {
		if v.Created.Before(oldest.Created) {
			oldest = v
		}
	}
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, oldest.ID, token(1)))
	previous, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StagePrevious)
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePrevious, "", previous))
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(trust.BornDocument)))
	w.deletes()
	w.staysClosed(ids, s)
}
