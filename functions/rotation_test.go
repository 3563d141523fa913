package functions_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func TestAFreshGrantIsClosedUntilItsFirstIDIsIn(t *testing.T) {
	w := deployed(t)
	if w.enters(provider, "") || w.enters(provider, "anything") {
		t.Fatal("a born role lets somebody in")
	}
	w.must(w.deploy("Create"))
	version, id := w.labelled(grant.StageCurrent)
	if grant.PurposeOf(version) != grant.Birth || !strings.HasPrefix(id, "hestio-") {
		t.Errorf("first version %s", version)
	}
	w.lets(id)
	if diff := cmp.Diff([]string{"Access Granted"}, w.told()); diff != "" {
		t.Error(diff)
	}
	w.must(w.deploy("Create")) // CloudFormation asks again
	if again, _ := w.labelled(grant.StageCurrent); again != version {
		t.Error("the same request again made another ID")
	}
}

func TestARotationsCallsOneByOne(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.ResetCalls()
	w.rotated(token(1))
	var got, step []string
	for _, c := range w.Calls("rotate", "secretsmanager") {
		switch {
		case c.Action == "Invoke": // recorded once the step has ended
			got = append(append(got, strings.TrimPrefix(c.Resource, "rotate ")), step...)
			step = nil
		case c.Actor == "rotate":
			step = append(step, "  "+c.Service+":"+c.Action)
		}
	}
	t.Log("\n" + strings.Join(got, "\n"))
	want := []string{
		"createSecret",
		"  ssm:GetParameter",
		"  secretsmanager:DescribeSecret",
		"  secretsmanager:GetSecretValue", // of the token: not found
		"  secretsmanager:GetSecretValue", // of the current one: does a previous ID live?
		"  secretsmanager:PutSecretValue",
		"setSecret",
		"  ssm:GetParameter",
		"  secretsmanager:DescribeSecret",
		"  secretsmanager:GetSecretValue",
		"  secretsmanager:GetSecretValue",
		"  iam:GetRole",
		"  iam:UpdateAssumeRolePolicy",
		"  iam:GetRole",
		"testSecret",
		"  ssm:GetParameter",
		"  secretsmanager:GetSecretValue",
		"  iam:GetRole",
		"finishSecret",
		"  ssm:GetParameter",
		"  ssm:GetParameter", // again, having waited
		"  secretsmanager:DescribeSecret",
		"  secretsmanager:GetSecretValue",
		"  secretsmanager:GetSecretValue",
		"  iam:GetRole",
		"  secretsmanager:UpdateSecretVersionStage",
		"  iam:UpdateAssumeRolePolicy",
		"  iam:GetRole",
		"  secretsmanager:TagResource",
		"  events:PutEvents",
		"  secretsmanager:TagResource",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	count := map[string]int{}
	for _, c := range w.Calls("rotate") {
		count[c.Service]++
	}
	if count["iam"] > 7 || count["secretsmanager"] > 14 {
		t.Errorf("%d IAM and %d Secrets Manager calls, at most 7 and 14", count["iam"], count["secretsmanager"])
	}
}

func TestBothIDsEnterUntilTheDeadlineAndNothingRunsThen(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 48*time.Hour)
	before := w.Now()
	w.rotated(token(1))
	_, fresh := w.labelled(grant.StageCurrent)
	w.lets(old, fresh)
	e, _ := last[*events.ExternalIDRotated](w)
	if e.VersionID != token(1) || e.Cause != "scheduled" {
		t.Errorf("announced %+v", e)
	}
	if w.STS.Verdict(provider, w.plan.RoleARN, old, "confirm-"+token(1), sim.Assume{}).Effect == "allow" {
		t.Error("the previous ID opens a confirm session")
	}
	if until := e.PreviousUntil; until.Before(before.Add(24*time.Hour)) || until.After(w.Now().Add(24*time.Hour)) {
		t.Errorf("deadline %s", until)
	}
	w.Advance(e.PreviousUntil.Sub(w.Now()) - time.Second)
	w.lets(old, fresh)
	w.ResetCalls()
	w.Advance(time.Second)
	w.lets(fresh)
	if n := len(w.Calls("rotate", "reconcile")); n > 0 {
		t.Errorf("%d calls of ours", n)
	}
	w.looks()
	w.looks()
	if diff := cmp.Diff([]string{"Access Granted", "External ID Rotated", "Previous External ID Retired"}, w.told()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(w.document(), "CountersignPrevious") {
		t.Error("the statement that is over still stands")
	}
}

func TestACutDropsEveryOlderID(t *testing.T) {
	w := opened(t)
	w.rotated(token(1)) // its overlap is open
	_, old := w.labelled(grant.StageCurrent)
	began := w.Now()
	cut := w.start("cut-0123456789abcdef0123456789abcdef")
	w.must(w.step("createSecret", cut))
	w.must(w.step("setSecret", cut))
	w.lets(old, w.valueOf(cut))
	w.must(w.step("testSecret", cut))
	w.must(w.step("finishSecret", cut))
	w.lets(w.valueOf(cut))
	if took := w.Now().Sub(began); took >= settle {
		t.Errorf("a cut waited %s", took)
	}
	if e, _ := last[*events.ExternalIDRotated](w); !e.PreviousUntil.IsZero() || e.Cause != "leaked" {
		t.Errorf("announced %+v", e)
	}
}

func TestARotationWhileThePreviousIDLivesIsRefusedAndBlocksNothing(t *testing.T) {
	w := opened(t)
	w.rotated(token(1))
	_, current := w.labelled(grant.StageCurrent)
	_, previous := w.labelled(grant.StagePrevious)
	w.start(token(2))
	w.fails(w.step("createSecret", token(2)), grant.ErrOverlapOpen)
	w.fails(w.RunRotations(w.ctx), grant.ErrOverlapOpen)
	w.lets(previous, current)
	if w.valueOf(token(2)) != "" {
		t.Error("a value was stored")
	}
	if pending, _ := w.labelled(grant.StagePending); pending == token(2) {
		t.Error("the refused version still is pending")
	}
	e, ok := last[*events.RotationFailed](w)
	if !ok || e.VersionID != token(2) || !strings.Contains(e.Next, "--leaked") {
		t.Errorf("announced %+v", e)
	}
	w.Sleep(w.ctx, time.Hour) // Secrets Manager tries again, and is refused again
	if n := slices.Index(w.told(), "Rotation Failed"); n < 0 || slices.Contains(w.told()[n+1:], "Rotation Failed") {
		t.Errorf("told %v", w.told())
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(3))
	w.lets(current, w.valueOf(token(3)))
}

func TestTheOverlapIsLookedForInTheDocumentToo(t *testing.T) {
	w := opened(t)
	w.must(w.Secrets.Rotate(w.ctx, w.plan.SecretARN, token(1)))
	w.must(w.step("createSecret", token(1)))
	w.Advance(20 * time.Hour) // the rotation hung
	for _, step := range []string{"setSecret", "testSecret", "finishSecret"} {
		w.must(w.step(step, token(1)))
	}
	w.Advance(10 * time.Hour) // the version's date says that the overlap is over, the document that it isn't
	_, previous := w.labelled(grant.StagePrevious)
	_, current := w.labelled(grant.StageCurrent)
	w.start(token(2))
	w.must(w.step("createSecret", token(2)))
	w.fails(w.step("setSecret", token(2)), grant.ErrOverlapOpen)
	w.lets(previous, current)
}

func TestStepsComeTwiceLateAndAlone(t *testing.T) {
	t.Run("each step twice, in both spellings", func(t *testing.T) {
		w := opened(t)
		_, old := w.labelled(grant.StageCurrent)
		w.start(token(1))
		for _, step := range []string{"createSecret", "create_secret", "setSecret", "set_secret", "testSecret", "test_secret", "finishSecret", "finish_secret"} {
			w.must(w.step(step, token(1)))
		}
		e, _ := last[*events.ExternalIDRotated](w)
		w.lets(old, w.valueOf(token(1)))
		w.Advance(time.Hour)
		for _, step := range sim.RotationSteps {
			w.must(w.step(step, token(1)))
		}
		w.lets(old, w.valueOf(token(1)))
		w.Advance(e.PreviousUntil.Sub(w.Now()))
		w.lets(w.valueOf(token(1)))
		w.ResetCalls()
		w.must(w.step("finishSecret", token(1)))
		w.lets(w.valueOf(token(1)))
		for _, c := range w.Calls("rotate") {
			if slices.Contains([]string{"UpdateSecretVersionStage", "TagResource", "PutEvents"}, c.Action) {
				t.Errorf("a repeat calls %s", c.Action)
			}
		}
		if diff := cmp.Diff([]string{"Access Granted", "External ID Rotated"}, w.told()); diff != "" {
			t.Error(diff)
		}
	})
	for _, step := range sim.RotationSteps {
		t.Run(step+" alone", func(t *testing.T) {
			w := opened(t)
			version, old := w.labelled(grant.StageCurrent)
			w.start(token(1))
			err := w.step(step, token(1))
			if (err == nil) != (step == "createSecret" || step == "testSecret") {
				t.Errorf("got %v", err)
			}
			w.lets(old)
			if now, _ := w.labelled(grant.StageCurrent); now != version {
				t.Error("the label moved")
			}
			w.must(w.RunRotations(w.ctx)) // and the whole rotation still works
			w.lets(old, w.valueOf(token(1)))
		})
	}
	t.Run("finishSecret before setSecret moves no label", func(t *testing.T) {
		w := opened(t)
		version, old := w.labelled(grant.StageCurrent)
		w.start(token(1))
		w.must(w.step("createSecret", token(1)))
		w.fails(w.step("finishSecret", token(1)), grant.ErrDrift)
		w.fails(w.step("testSecret", token(1)), grant.ErrDrift)
		if now, _ := w.labelled(grant.StageCurrent); now != version {
			t.Error("the label moved")
		}
		w.lets(old)
	})
	t.Run("testSecret without any version", func(t *testing.T) {
		w := opened(t)
		w.must(w.step("testSecret", token(9)))
	})
	t.Run("createSecret before Secrets Manager made the version", func(t *testing.T) {
		w := opened(t)
		_, old := w.labelled(grant.StageCurrent)
		for _, step := range sim.RotationSteps {
			w.must(w.step(step, token(1)))
		}
		w.lets(old, w.valueOf(token(1)))
	})
	t.Run("an unknown step", func(t *testing.T) {
		w := opened(t)
		if w.step("dropSecret", token(1)) == nil {
			t.Error("accepted")
		}
	})
}

func TestADeletedPrincipalStopsTheRotationAndBothIDsStay(t *testing.T) {
	const person = "arn:aws:iam::111122223333:role/Engineers-jdoe"
	w := deployed(t, func(p *grant.Plan) { p.Principals, p.Conditions = []string{person}, nil })
	w.IAM.AddPrincipal(person)
	w.must(w.deploy("Create"))
	_, old := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	for _, step := range []string{"createSecret", "setSecret", "testSecret"} {
		w.must(w.step(step, token(1)))
	}
	w.IAM.DeletePrincipal(person)
	err := w.step("finishSecret", token(1))
	if err == nil {
		t.Fatal("finished")
	}
	e, ok := last[*events.RotationFailed](w)
	if !ok || e.Step != "finishSecret" || e.Next == "" || !strings.Contains(e.Reason, "delet") {
		t.Errorf("announced %+v", e)
	}
	if version, _ := w.labelled(grant.StageCurrent); version == token(1) {
		t.Error("the label moved although the trust policy can't follow")
	}
	document := w.document()
	for _, id := range []string{old, w.valueOf(token(1))} {
		if !strings.Contains(document, id) {
			t.Error("an ID was taken out")
		}
	}
	if strings.Contains(document, "CountersignPrevious") {
		t.Error("the old ID has a deadline although nothing was promoted")
	}
}
