package functions_test

import (
	"encoding/json"
	"fmt"
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

// A deploy ends the grant while the last step waits for IAM to settle.
func TestAPlanThatChangesWhileARotationWaitsIsFollowed(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(1))
	for _, step := range []string{"createSecret", "setSecret", "testSecret"} {
		w.must(w.step(step, token(1)))
	}
	w.plan.Expires = w.Now().Add(time.Hour)
	plan, err := json.Marshal(w.plan)
	w.must(err)
	calls := 0
	w.Schedule = func(c sim.Call) sim.Outcome {
		if calls++; calls == 3 { // the step is called, and reads the plan
			w.must(w.Parameters.Put(w.plan.Grant.Parameter(), string(plan)))
		}
		return sim.Outcome{}
	}
	w.must(w.step("finishSecret", token(1)))
	w.Schedule = nil
	w.Sleep(w.ctx, 2*time.Hour)
	w.lets()
}
