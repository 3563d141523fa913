package functions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// On an adopted role every foreign value stays, so an ID whose rotation was given up has to be known as ours.
func TestAnAdoptedRoleForgetsTheIDOfARotationThatWasGivenUp(t *testing.T) {
	w, first := adopted(t)
	w.start(token(1))
	w.must(w.step("createSecret", token(1)))
	w.must(w.step("setSecret", token(1)))
	given := w.valueOf(token(1))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", token(1))) // as a leak does
	for name, act := range map[string]func(){
		"reconcile": w.looks,
		"the next rotation": func() {
			w.start(token(2))
			w.must(w.step("createSecret", token(2)))
			w.must(w.step("setSecret", token(2)))
		},
	} {
		before := w.document()
		act()
		if strings.Contains(w.document(), given) || !strings.Contains(w.document(), first) || !strings.Contains(w.document(), "hestio-ZzZz") {
			t.Errorf("%s leaves the wrong IDs", name)
		}
		w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	}
}

// The owner of an adopted role puts its document back as it was before the rotation.
func TestAnAdoptedRolesOlderDocumentIsMended(t *testing.T) {
	w, first := adopted(t)
	before := w.document()
	w.rotated(token(1))
	fresh := w.valueOf(token(1))
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	w.lets(first)
	w.looks()
	w.lets(first, fresh)
	w.Sleep(w.ctx, 25*time.Hour)
	w.looks()
	w.lets(fresh)
}

// So does one from before the last two rotations: it holds none of the IDs that have a label.
func TestAnAdoptedRolesMuchOlderDocumentIsMended(t *testing.T) {
	w, first := adopted(t)
	before := w.document()
	for n := range 2 {
		w.rotated(token(n + 1))
		w.Sleep(w.ctx, 48*time.Hour)
	}
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	w.lets(first)
	w.looks()
	w.lets(w.valueOf(token(2)))
	if !strings.Contains(w.document(), "hestio-ZzZz") {
		t.Error("somebody else's ID is gone")
	}
}

// The document may hold the previous ID as well, with a deadline that has passed: never more than two of ours are written.
func TestAnAdoptedRolesMuchOlderDocumentLosesThePreviousID(t *testing.T) {
	w, first := adopted(t)
	older := w.document()
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()
	w.rotated(token(2)) // token(1) has a deadline now
	second := w.valueOf(token(1))
	mixed := strings.Replace(w.document(), w.valueOf(token(2)), first, 1)
	if !strings.Contains(older, first) || !strings.Contains(mixed, second) {
		t.Fatal("not the document that is meant")
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(mixed)))
	w.Schedule = func(c sim.Call) sim.Outcome {
		if document := w.IAM.Shown(w.plan.RoleName(), 0); c.Action == "GetRole" && len(document.Accepted()) > 3 { // somebody else's is one
			t.Errorf("%d IDs", len(document.Accepted()))
		}
		return sim.Outcome{}
	}
	w.looks()
	w.Schedule = nil
	w.lets(w.valueOf(token(2)))
}

// IAM may show for two minutes what stood there before a leaked ID was taken out. It looks like an older document that was put
// back, and a mend of that would let the ID in again.
func TestAnAdoptedRolesLateDocumentIsNotMended(t *testing.T) {
	w, _ := adopted(t, func(c *sim.Config) {
		c.Replicas, c.Lag = 1, func(int) time.Duration { return 100 * time.Second }
	})
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	cut := "cut-0123456789abcdef0123456789abcdef"
	w.rotated(cut)
	w.Schedule = func(c sim.Call) sim.Outcome {
		switch c.Action {
		case "GetRole":
			return sim.Outcome{Replica: 1}
		case "UpdateAssumeRolePolicy":
			t.Error("the trust policy is written")
		}
		return sim.Outcome{}
	}
	w.looks()
	w.lets(w.valueOf(cut))
}

// adopted is a role that was there already, whose statement holds our ID and somebody else's.
func adopted(t *testing.T, change ...func(*sim.Config)) (w *world, first string) {
	t.Helper()
	w = newWorld(t, 0, change...)
	w.plan.Adopted, w.plan.Conditions = true, nil
	first = "hestio-" + strings.Repeat("Va", 16)
	_, err := w.IAM.CreateRole(w.plan.RoleName(), fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Sid":"Vendor","Effect":"Allow",
		"Principal":{"AWS":%q},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":[%q,"hestio-%s"]}}}]}`,
		w.plan.Principals[0], first, strings.Repeat("Zz", 16)), sim.RoleOptions{Path: grant.DefaultRolePath})
	w.must(err)
	w.must(w.Create(w.plan))
	value := fmt.Appendf(nil, `{"grant":"migration","roleArn":%q,"externalId":%q}`, w.plan.RoleARN, first)
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, "adopted-0123456789abcdef0123456789abcdef", value))
	w.looks()
	w.Sleep(w.ctx, 48*time.Hour)
	return w, first
}

// An older document that its owner puts back shows the ID that is to stay without an end, as a current one. The next rotation still
// waits until somebody confirms: it would take that ID out.
func TestAnAdoptedRolesOlderDocumentLetsNoRotationPastAnUnconfirmedOne(t *testing.T) {
	w, first := adopted(t)
	before := w.document()
	extend(&w.plan)
	w.must(w.Deploy(w.ctx, w.plan))
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	w.start(token(2))
	w.fails(w.RunRotations(w.ctx), grant.ErrUnconfirmed)
	w.looks()
	w.lets(first, w.valueOf(token(1)))
}
