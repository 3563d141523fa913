package functions_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// Behind the deletion of a stack nobody gets in: not with any ID that ever was, not by a session, not to a grant that was revoked,
// paused, or in the middle of an overlap.
func TestNothingOfADeletedStackLetsAnybodyIn(t *testing.T) {
	w := stacked(t)
	open := w.audit(withoutID, movedTo("Open"))
	open.Plan.Grant = "open"
	w.Plans["open"], w.Grants["open"] = open.Plan, open.Plan.RoleName()
	audit := w.audit()
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), audit, open))
	w.rotated(token(1))
	closures["revoked"](w)
	_, err := w.Pause(w.ctx, "migration", w.Now().Add(48*time.Hour))
	w.must(err)

	ids := append(w.allIDs(), w.current("audit"), "")
	if len(ids) < 4 {
		t.Fatalf("%d IDs", len(ids))
	}
	session := func(p grant.Plan, id string) *sim.Session {
		s, err := w.STS.AssumeRole(w.ctx, provider, p.RoleARN, id, "jdoe")
		w.must(err)
		return s
	}
	sessions := []*sim.Session{session(w.plan, w.current("migration")), session(open.Plan, "")}
	w.deletes()
	for _, p := range []grant.Plan{w.plan, audit.Plan, open.Plan} {
		if _, err := w.IAM.Role(w.ctx, p.RoleName()); !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("the role of %s: %v", p.Grant, err)
		}
		for _, id := range ids {
			if w.STS.Verdict(provider, p.RoleARN, id, "jdoe", sim.Assume{}).Effect == trust.Allow {
				t.Errorf("%s still opens", p.Grant)
			}
		}
		if _, err := w.Parameters.Plan(w.ctx, p.Grant); !errors.Is(err, grant.ErrNotConfigured) {
			t.Errorf("the plan of %s: %v", p.Grant, err)
		}
		if _, err := w.Secrets.Describe(w.ctx, p.Grant.Secret()); !errors.Is(err, grant.ErrNotFound) {
			t.Errorf("the secret of %s: %v", p.Grant, err)
		}
	}
	for i, s := range sessions {
		if s.Allowed("s3:GetObject", "arn:aws:s3:::data/x", 0) {
			t.Errorf("session %d still acts", i)
		}
	}

	// Deployed again, it begins anew: whatever was revoked is open, to an ID that never was.
	w.must(w.Stacks.Create(w.ctx, stackName, w.template(), w.audit()))
	for _, name := range []grant.Name{"migration", "audit"} {
		if !w.Enters(provider, name, w.current(name)) || slices.Contains(ids, w.current(name)) {
			t.Errorf("%s doesn't open to a new ID", name)
		}
		for _, id := range ids {
			if w.Enters(provider, name, id) {
				t.Errorf("%s opens to an ID from before", name)
			}
		}
	}
	w.gone = nil
}

// An adopted role is not the stack's to delete. It stays, closed to everybody, with what others wrote into it: nothing in it is more
// open than before.
func TestAnAdoptedRoleThatStaysIsClosed(t *testing.T) {
	for name, revoked := range map[string]bool{"open": false, "revoked": true} {
		t.Run(name, func(t *testing.T) {
			w, _ := adopted(t)
			w.Plans["migration"], w.Grants["migration"] = w.plan, w.plan.RoleName()
			w.Stacks.Stands(stackName, sim.Template{Plan: w.plan})
			role, err := w.IAM.Role(w.ctx, w.plan.RoleName())
			w.must(err)
			before := mustParseTrust(t, role.Trust)
			if revoked {
				_, err := w.Revoke(w.ctx, "migration", "project ended")
				w.must(err)
			}
			w.deletes()
			role, err = w.IAM.Role(w.ctx, w.plan.RoleName())
			w.must(err)
			after := mustParseTrust(t, role.Trust)
			kept, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy) // CountersignRevocation goes with the stack
			w.must(err)
			if gains := trust.Compare(before, after).Gains; len(gains) > 0 || !after.Closed() || !grant.ReadRevocation(kept).Denies {
				t.Errorf("the role that stays lets in %v, closed %t, under %s", gains, after.Closed(), kept)
			}
			if !strings.Contains(string(role.Trust), "hestio-"+strings.Repeat("Zz", 16)) {
				t.Error("somebody else's value is gone")
			}
		})
	}
}

// Nor do moved labels make it look as if it had never been handed over.
func TestMovedLabelsLeaveNoAdoptedRoleOpen(t *testing.T) {
	w, _ := adopted(t)
	w.Plans["migration"], w.Grants["migration"] = w.plan, w.plan.RoleName()
	w.Stacks.Stands(stackName, sim.Template{Plan: w.plan})
	ids := w.allIDs()
	current, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StageCurrent)
	for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
		if _, err := w.plan.DecodeVersion(grant.Version{ID: v.ID, Value: v.Value}); errors.Is(err, grant.ErrNotFound) {
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, v.ID, current))
		}
	}
	if moved, _ := w.Secrets.Labelled(w.plan.SecretARN, grant.StageCurrent); moved == current {
		t.Fatal("no version holds the template's constant")
	}
	w.deletes()
	for _, id := range ids {
		if w.enters(provider, id) {
			t.Error("the role that stays lets in")
		}
	}
}

func mustParseTrust(t *testing.T, document []byte) *trust.Document {
	t.Helper()
	doc, err := trust.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
