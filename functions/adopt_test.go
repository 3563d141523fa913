package functions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// vendors is an external ID in a vendor's own form, which Countersign would never make.
const vendors = "org:acme=production/17"

// found is a role that was there already and lets the provider in with a vendor's own ID. The stack that adopts it is deployed
// up to Custom::Grant.
func found(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 0)
	w.plan.Adopted, w.plan.Conditions = true, nil
	_, err := w.IAM.CreateRole(w.plan.RoleName(), fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Vendor","Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":%q}}},
		{"Sid":"Tags","Effect":"Allow","Principal":{"AWS":%[1]q},"Action":"sts:TagSession"}]}`,
		w.plan.Principals[0], vendors), sim.RoleOptions{Path: grant.DefaultRolePath})
	w.must(err)
	w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.OpenRevocation)))
	w.must(w.Create(w.plan))
	w.ResetCalls()
	return w
}

// adopts stores the role's own external ID, as an operator does behind the deploy.
func (w *world) adopts() {
	w.t.Helper()
	id, err := grant.ParseID(vendors)
	w.must(err)
	value, err := w.plan.EncodeValue(id)
	w.must(err)
	token := grant.AdoptedToken(w.plan.SecretARN, w.plan.RoleARN, 0)
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token, value, grant.StageCurrent, grant.StageAdopted))
}

// writes are the calls so far that changed the role or the secret.
func (w *world) writes() (out []string) {
	for _, r := range w.Calls() {
		switch r.Action {
		case "UpdateAssumeRolePolicy", "PutRolePolicy", "PutSecretValue", "RotateSecret", "UpdateSecretVersionStage":
			out = append(out, r.Action)
		}
	}
	return out
}

func TestADeployThatAdoptsARoleChangesNothingOfIt(t *testing.T) {
	w := found(t)
	before := w.document()
	for _, request := range []cfn.RequestType{cfn.RequestCreate, cfn.RequestUpdate, cfn.RequestDelete} { // the last is a rollback
		w.must(w.deploy(request))
	}
	if state, err := w.look(); err != nil || state != reconcile.Unborn {
		t.Errorf("reconcile finds it %s: %v", state, err)
	}
	w.fails(w.step("createSecret", w.start(token(1))), grant.ErrNotAdopted)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
	if w.document() != before || !w.enters(provider, vendors) {
		t.Error("the role changed before its external ID was handed over")
	}
	for _, event := range w.told() {
		if event == "Trust Drift Detected" || event == "Access Granted" {
			t.Errorf("said: %s", event)
		}
	}
}

func TestAnAdoptedIDOfAnyFormIsRotatedAtOnce(t *testing.T) {
	w := found(t)
	w.must(w.deploy(cfn.RequestCreate))
	w.adopts()
	w.ResetCalls()
	w.looks()
	if writes := w.writes(); len(writes) > 0 {
		t.Errorf("the hand-over made reconcile write: %v", writes)
	}
	if told := strings.Join(w.told(), ", "); !strings.Contains(told, "Access Granted") {
		t.Errorf("told: %s", told)
	}
	original := w.document()
	w.rotated(token(1))
	fresh := w.valueOf(token(1))
	if fresh == "" || !w.enters(provider, vendors) || !w.enters(provider, fresh) {
		t.Fatal("not both IDs enter in the overlap")
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()
	if w.enters(provider, vendors) || !w.enters(provider, fresh) {
		t.Error("not the new ID alone enters behind the overlap")
	}
	if !strings.Contains(w.document(), `"sts:TagSession"`) {
		t.Error("the owner's other statement is gone")
	}
	// Its owner's tool puts back what it knows, one rotation later and more: the ID has no label but the adopted one.
	w.rotated(token(2))
	w.Sleep(w.ctx, 48*time.Hour)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(original)))
	w.looks()
	if w.enters(provider, vendors) || !w.enters(provider, w.valueOf(token(2))) {
		t.Error("the document with the adopted ID was not mended")
	}
}

// Only the version of the adoption may hold an ID that Countersign would not make.
func TestAForeignIDUnderAnotherVersionIsRefused(t *testing.T) {
	w := found(t)
	w.adopts()
	id, err := grant.ParseID("other:form")
	w.must(err)
	value, err := w.plan.EncodeValue(id)
	w.must(err)
	w.start(token(1))
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token(1), value, grant.StagePending))
	w.fails(w.step("createSecret", token(1)), grant.ErrForeignValue)
}

func TestARoleThatWasGivenBackIsLeftAlone(t *testing.T) {
	w := found(t)
	w.adopts()
	w.start(token(1))
	w.must(w.step("createSecret", token(1)))
	w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.ReleasedRevocation)))
	edited := strings.Replace(w.document(), vendors, "the-owners-next-one", 1)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(edited)))
	edited = w.document()
	w.ResetCalls()
	w.fails(w.step("setSecret", token(1)), grant.ErrReleased)
	w.fails(w.step("createSecret", w.start(token(2))), grant.ErrReleased)
	if state, err := w.look(); err != nil || state != reconcile.Released {
		t.Errorf("reconcile finds it %s: %v", state, err)
	}
	w.must(w.deploy(cfn.RequestUpdate))
	w.must(w.deploy(cfn.RequestDelete))
	if w.document() != edited {
		t.Error("a role that was given back was edited")
	}
	for _, event := range w.told() {
		if event == "Rotation Failed" || event == "Trust Drift Detected" {
			t.Errorf("said: %s", event)
		}
	}
	w.revoked() // which works all the same
	w.looks()
	if w.enters(provider, "the-owners-next-one") || !w.denied() {
		t.Error("a revocation behind the release doesn't close")
	}
}

// A grant that goes without a release ends the access, live sessions too, as it does where the role goes with it.
func TestAnAdoptedGrantThatIsRemovedIsClosedForGood(t *testing.T) {
	w := found(t)
	w.adopts()
	w.looks()
	w.must(w.deploy(cfn.RequestDelete))
	if w.enters(provider, vendors) {
		t.Error("the provider still enters")
	}
	kept, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.KeptClosedPolicy)
	w.must(err)
	if !grant.ReadRevocation(kept).Denies {
		t.Error("no Deny outlives the template's own policy")
	}
	if !strings.Contains(w.document(), vendors) || !strings.Contains(w.document(), `"sts:TagSession"`) {
		t.Error("the owner's statements are gone")
	}
}

// Its owner's tool puts the oldest document back while the role is revoked, before the restore and in the middle of it. The new
// ID finds its place all the same, and no older one enters.
func TestARestoreFindsItsPlaceInAnOlderDocument(t *testing.T) {
	for name, again := range map[string]bool{"before the restore": false, "and in the middle of it": true} {
		t.Run(name, func(t *testing.T) {
			w := found(t)
			w.adopts()
			w.looks()
			original := w.document()
			for n := range 2 {
				w.rotated(token(n + 1))
				w.Sleep(w.ctx, 48*time.Hour)
				w.looks()
			}
			w.revoked()
			w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(original)))
			w.looks()
			status, err := w.Status(w.ctx, "migration")
			w.must(err)
			answer, err := w.Restore(w.ctx, "migration", status.RevokeID, "it goes on")
			w.must(err)
			w.must(w.RunRotations(w.ctx))
			if again {
				w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(original)))
			}
			w.looks()
			if w.denied() {
				t.Fatal("not restored")
			}
			w.lets(w.valueOf(answer.VersionID))
			if w.enters(provider, vendors) {
				t.Error("the adopted ID enters again")
			}
		})
	}
}

// Its owner's tool puts the oldest document back while the ID before the current one is to stay until somebody confirms. That
// one comes in again too: its provider may know no other.
func TestAnIDThatIsToStayComesBackToAnAdoptedRole(t *testing.T) {
	w := found(t)
	w.plan.WhenUnconfirmed = grant.UnconfirmedExtend
	w.Plans["migration"] = w.plan
	w.must(w.Redeploy(w.ctx, w.plan))
	w.adopts()
	w.looks()
	original := w.document()
	w.rotated("cut-0123456789abcdef0123456789abcdef")
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()
	known, fresh := w.valueOf("cut-0123456789abcdef0123456789abcdef"), w.valueOf(token(1))
	w.lets(known, fresh)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(original)))
	w.looks()
	w.lets(known, fresh)
	if w.enters(provider, vendors) {
		t.Error("the adopted ID, which is over, enters")
	}
	if _, previous := w.IAM.Shown(w.plan.RoleName(), 0).Deadline(known); !previous {
		t.Error("the ID before the current one is none that is going to end")
	}
}

// A tool that puts the same trust policy back is named the second time, and what it wrote is not repeated.
func TestWhoWritesTheSameEditAgainIsNamed(t *testing.T) {
	w := found(t)
	w.adopts()
	w.looks()
	original := w.document()
	w.Sleep(w.ctx, time.Hour)
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()
	said := func() string {
		terraform := sim.AsPrincipal(w.ctx, "terraform", "arn:aws:sts::444455556666:assumed-role/Deploy/run-7")
		w.must(w.IAM.SetTrust(terraform, w.plan.RoleName(), []byte(original)))
		w.Sleep(w.ctx, time.Hour)
		w.looks()
		drift, _ := last[*events.TrustDriftDetected](w)
		return strings.Join(drift.Findings, "\n")
	}
	if once := said(); once == "" || strings.Contains(once, "run-7") {
		t.Errorf("the first time: %s", once)
	}
	if twice := said(); !strings.Contains(twice, "the same edit was reverted before; arn:aws:sts::444455556666:assumed-role/Deploy/run-7 writes it") {
		t.Errorf("the second time: %s", twice)
	}
	w.Reconciler.Writers = nil
	if third := said(); !strings.Contains(third, "CloudTrail does not tell who writes it") {
		t.Errorf("where nobody knows: %s", third)
	}
}
