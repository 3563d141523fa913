package functions_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func TestStepsOfAnAbandonedTokenRefuse(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	w.start(token(1))
	w.must(w.step("createSecret", token(1)))
	w.must(w.step("setSecret", token(1)))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", token(1)))
	cut := w.start("cut-0123456789abcdef0123456789abcdef")
	abandoned := func() {
		t.Helper()
		for _, step := range []string{"createSecret", "setSecret", "finishSecret"} {
			w.fails(w.step(step, token(1)), grant.ErrBadToken)
		}
	}
	abandoned()
	w.must(w.step("createSecret", cut))
	w.must(w.step("setSecret", cut))
	w.lets(old, w.valueOf(cut))
	abandoned()
	w.fails(w.step("testSecret", token(1)), grant.ErrBadToken)
	w.must(w.step("testSecret", cut))
	w.must(w.step("finishSecret", cut))
	abandoned()
	w.lets(w.valueOf(cut))
}

func TestAnEmptyAbandonedTokenStealsNoLabel(t *testing.T) {
	w := opened(t)
	w.start(token(1))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", token(1)))
	cut := w.start("cut-0123456789abcdef0123456789abcdef")
	w.fails(w.step("createSecret", token(1)), grant.ErrBadToken)
	if pending, _ := w.labelled(grant.StagePending); pending != cut {
		t.Errorf("%s is pending", pending)
	}
	w.must(w.RunRotations(w.ctx))
	w.lets(w.valueOf(cut))
}

func TestAStrayPendingLabelIsClearedAndARunningRotationIsNot(t *testing.T) {
	w := opened(t)
	w.start(token(1))
	w.must(w.step("createSecret", token(1)))
	w.Advance(time.Minute)
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", token(1)))
	w.rotated(token(2))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, token(1), token(2))) // by hand
	w.must(w.step("finishSecret", token(2)))
	if pending, _ := w.labelled(grant.StagePending); pending != "" {
		t.Errorf("%s still is pending and blocks every rotation", pending)
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(3))
	w.must(w.step("finishSecret", token(2)))
	w.must(w.step("createSecret", token(3)))
	w.must(w.step("finishSecret", token(2)))
	if pending, _ := w.labelled(grant.StagePending); pending != token(3) {
		t.Error("a rotation under way lost its label")
	}
}

func TestValuesThatLieUnderTheTokenAreForeignInput(t *testing.T) {
	const ours = `{"grant":"migration","roleArn":"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration","externalId":`
	for name, value := range map[string]string{
		"another role":      `{"grant":"migration","roleArn":"arn:aws:iam::444455556666:role/Admin","externalId":"hestio-abcdefghijklmnopqrstuvwxyz012345"}`,
		"another grant":     `{"grant":"other","roleArn":"` + migration().RoleARN + `","externalId":"hestio-abcdefghijklmnopqrstuvwxyz012345"}`,
		"another prefix":    ours + `"vendor-abcdefghijklmnopqrstuvwxyz012345"}`,
		"no prefix":         ours + `"abcdefghijklmnopqrstuvwxyz012345"}`,
		"a pattern":         ours + `"*"}`,
		"an unknown field":  ours + `"hestio-abcdefghijklmnopqrstuvwxyz012345","x":1}`,
		"not JSON":          `hunter2`,
		"the born constant": grant.BornSecret,
		"the current ID":    "",
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			_, old := w.labelled(grant.StageCurrent)
			if value == "" {
				value = ours + `"` + old + `"}`
			}
			w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token(1), []byte(value), grant.StagePending))
			w.fails(w.step("createSecret", token(1)), grant.ErrForeignValue)
			w.lets(old)
			if pending, _ := w.labelled(grant.StagePending); pending == token(1) {
				t.Error("the foreign version still is pending and blocks every rotation")
			}
			w.rotated(token(2))
			w.lets(old, w.valueOf(token(2)))
		})
	}
	t.Run("ours goes in as it is", func(t *testing.T) {
		w := opened(t)
		const id = "hestio-abcdefghijklmnopqrstuvwxyz012345"
		w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token(1), []byte(ours+`"`+id+`"}`), grant.StagePending))
		for _, step := range sim.RotationSteps {
			w.must(w.step(step, token(1)))
		}
		if _, current := w.labelled(grant.StageCurrent); current != id {
			t.Error("another ID was promoted")
		}
	})
}

func TestABirthIsTheFirstOnly(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	again := w.start("birth-0123456789abcdef0123456789abcdef")
	w.fails(w.step("createSecret", again), grant.ErrBadToken)
	w.lets(old)
	if pending, _ := w.labelled(grant.StagePending); pending == again {
		t.Error("it still is pending")
	}

	w = deployed(t)
	w.start(token(1))
	w.fails(w.RunRotations(w.ctx), grant.ErrNotConfigured)
	w.lets()
	w.must(w.deploy("Create"))
	_, id := w.labelled(grant.StageCurrent)
	w.lets(id)
}

func TestASecretThatIsNotConfiguredIsRefused(t *testing.T) {
	w := opened(t)
	for _, arn := range []string{
		"arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/other-Ab12Cd",
		"arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-Zz99Zz",
		"arn:aws:secretsmanager:eu-central-1:444455556666:secret:database-Ab12Cd",
		"",
	} {
		err := w.Secrets.InvokeStep(w.ctx, sim.RotationEvent{Step: "createSecret", SecretID: arn, ClientRequestToken: token(1)})
		w.fails(err, grant.ErrNotConfigured)
	}
}

func TestAScheduleMayBeTriedBeforeTheBirth(t *testing.T) {
	w := deployed(t)
	w.ResetCalls()
	born, _ := w.labelled(grant.StageCurrent)
	w.must(w.step("testSecret", born)) // as Secrets Manager does where a schedule is made and nothing rotates at once
	w.lets()
	if len(w.Bus("countersign").Events()) > 0 {
		t.Error("somebody was told")
	}
}

// Somebody moved AWSCURRENT back to an ID that is over, and its last step comes again.
func TestALateStepDoesNotReopenAnIDThatLabelsWereMovedBackTo(t *testing.T) {
	for name, previous := range map[string]string{"the younger one previous": token(2), "the older one previous": ""} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			first, _ := w.labelled(grant.StageCurrent)
			w.Sleep(w.ctx, 48*time.Hour)
			w.rotated(token(1))
			w.Sleep(w.ctx, 48*time.Hour)
			w.rotated(token(2))
			w.Sleep(w.ctx, 48*time.Hour)
			w.looks()
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, token(1), token(2)))
			if previous == "" {
				w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePrevious, first, token(2)))
			}
			_ = w.step("finishSecret", token(1))
			w.lets(w.valueOf(token(2)))
			_, _ = w.look()
			w.lets(w.valueOf(token(2)))
		})
	}
}

// Somebody put AWSCURRENT on the template's constant and AWSPENDING on an ID that is over, and its last step comes again.
func TestALateStepDoesNotPromoteAnIDThatIsOver(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	constant := w.Secrets.Stored(w.plan.SecretARN)[0].ID
	w.rotated(token(2))
	w.Sleep(w.ctx, 24*time.Hour+time.Minute)
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, constant, token(2)))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, token(1), token(2)))
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(w.document()))) // as it stood, the end of the first one in it
	_ = w.step("finishSecret", token(1))
	if w.enters(provider, w.valueOf(token(1))) {
		t.Error("an ID that is over gets in")
	}
}
