package functions_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// restore asks for a restore of a revocation as an operator.
func (w *world) restore(revokeID string) (api.RestoreAnswer, int, string) {
	w.t.Helper()
	body, err := json.Marshal(api.RestoreRequest{Reason: "they are back", RevokeID: revokeID})
	w.must(err)
	status, text := w.call(w.Revoker.Handle, http.MethodPost, "/grants/migration/restore", string(body), operator)
	var answer api.RestoreAnswer
	if status == http.StatusAccepted {
		w.must(json.Unmarshal([]byte(text), &answer))
	}
	return answer, status, text
}

// begun is restore that must be accepted.
func (w *world) begun(revokeID string) api.RestoreAnswer {
	w.t.Helper()
	answer, status, text := w.restore(revokeID)
	if status != http.StatusAccepted {
		w.t.Fatalf("restore answers %d: %s", status, text)
	}
	return answer
}

// inline is the role's CountersignRevocation.
func (w *world) inline() string {
	resume := w.quiet()
	defer resume()
	p, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy)
	w.must(err)
	return string(p)
}

func (w *world) revokeID() string { return grant.ReadRevocation([]byte(w.inline())).RevokeID }

// revokedAndRestored is a grant with an old ID and a session from before.
func revokedAndRestored(t *testing.T, schedule func(sim.Call) sim.Outcome) (w *world, old []string, session *sim.Session) {
	t.Helper()
	w = opened(t)
	w.rotated(token(1))
	_, id := w.labelled(grant.StageCurrent)
	session, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, id, "jdoe", sim.Assume{Duration: time.Hour})
	w.must(err)
	w.revoked()
	w.Sleep(w.ctx, 5*time.Minute)
	w.looks()
	old = w.allIDs()
	w.ResetCalls()
	w.Schedule = schedule
	return w, old, session
}

func TestARestoreOpensWithANewIDAndNoOldSession(t *testing.T) {
	w, old, session := revokedAndRestored(t, nil)
	id := w.revokeID()
	answer := w.begun(id)
	if grant.UndoneBy(answer.VersionID) != id || answer.RevokeID != id {
		t.Fatalf("answered %+v", answer)
	}
	if diff := cmp.Diff([]string{
		"ssm:GetParameter", "iam:GetRole", "secretsmanager:DescribeSecret", "iam:GetRolePolicy", "iam:GetRolePolicy",
		"iam:PutRolePolicy", "secretsmanager:RotateSecret", "sqs:SendMessage", "sqs:SendMessage", "sqs:SendMessage",
		"events:PutEvents", // who asked and why, for the record
	}, calls(w.Calls("api"))); diff != "" {
		t.Error(diff)
	}
	w.lets()
	w.must(w.RunRotations(w.ctx))
	w.lets() // the new ID is made and current, and still nobody gets in
	w.ResetCalls()
	w.looks()
	if diff := cmp.Diff([]string{
		"ssm:GetParameter",
		"iam:GetRole", "iam:GetRolePolicy", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue",
		"secretsmanager:ListSecretVersionIds", // whose are the IDs that still stand there? Else they were drift
		"secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue",
		"iam:GetRole", "iam:UpdateAssumeRolePolicy", "iam:GetRole", // the trust policy, read back
		"ssm:GetParameter",
		"iam:GetRole", "iam:GetRolePolicy", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue",
		"secretsmanager:TagResource", "iam:GetRolePolicy", "iam:PutRolePolicy", // the opening comes last
		"ssm:GetParameter",
		"iam:GetRole", "iam:GetRolePolicy", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue",
	}, calls(w.Calls("reconcile"))[:29]); diff != "" {
		t.Error(diff)
	}
	fresh := w.valueOf(answer.VersionID)
	w.lets(fresh)

	early, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, fresh, "jdoe")
	w.must(err)
	w.Sleep(w.ctx, grant.RestoreMargin)
	late, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, fresh, "jdoe")
	w.must(err)
	for name, s := range map[string]struct {
		*sim.Session
		allowed bool
	}{"from before": {session, false}, "within the margin": {early, false}, "from after": {late, true}} {
		if got := s.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0); got != s.allowed {
			t.Errorf("a session %s is allowed: %v", name, got)
		}
	}
	e, ok := last[*events.AccessRestored](w)
	if !ok || e.RevokeID != id || e.VersionID != answer.VersionID || e.ValidFrom.IsZero() || w.Now().Before(e.ValidFrom) {
		t.Errorf("announced %+v", e)
	}

	t.Log("life goes on: a rotation, a deploy, another revocation")
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(2))
	_, next := w.labelled(grant.StageCurrent)
	w.lets(fresh, next)
	w.must(w.Redeploy(w.ctx, w.plan))
	w.must(w.deploy("Update"))
	w.lets(fresh, next)
	w.revoked()
	w.lets()
	if late.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) {
		t.Error("a session goes on behind the second revocation")
	}
	w.looks()
	if n := countOf(w.told(), "Access Restored"); n != 1 {
		t.Errorf("announced %d times", n)
	}
	if slices.Contains(old, next) || slices.Contains(old, fresh) {
		t.Error("an old ID came back")
	}
}

func countOf(list []string, s string) (n int) {
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}

func TestARestoreIsRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(w *world) (revokeID string)
		says    string
	}{
		{"of an open grant", func(w *world) string { return "rv-20260101T000000Z-00000000" }, "is not revoked"},
		{"of another revocation", func(w *world) string { w.revoked(); w.looks(); return "rv-20260101T000000Z-00000000" }, "not by the revocation that was named"},
		{"of none", func(w *world) string { w.revoked(); w.looks(); return "" }, "not by the revocation that was named"},
		{"of a Deny by hand", func(w *world) string {
			w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation)))
			return ""
		}, "has just begun, or was written by hand"},
		{"of a tag alone", func(w *world) string {
			w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRevoked: "rv-20260101T000000Z-00000000"}))
			return "rv-20260101T000000Z-00000000"
		}, "has just begun"},
		{"of the revocation before", func(w *world) string {
			w.revoked()
			id := w.revokeID()
			w.Advance(time.Minute)
			w.revoked()
			return id
		}, "not by the revocation that was named"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := opened(t)
			id := c.prepare(w)
			before := w.inline()
			_, status, text := w.restore(id)
			if status != http.StatusConflict || !strings.Contains(text, c.says) || !strings.Contains(text, "countersign show migration") {
				t.Errorf("%d %s", status, text)
			}
			if w.inline() != before {
				t.Error("something was written")
			}
		})
	}
	t.Run("of a grant that has ended", func(t *testing.T) {
		w := opened(t, func(p *grant.Plan) { p.Expires = time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC) })
		w.revoked()
		w.looks()
		w.Sleep(w.ctx, 30*24*time.Hour)
		if _, status, text := w.restore(w.revokeID()); status != http.StatusConflict || !strings.Contains(text, "ended on 2026-01-10") {
			t.Errorf("%d %s", status, text)
		}
	})
}

func TestALaterRevocationEndsARestore(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	w.begun(w.revokeID())
	w.Advance(time.Second)
	w.revoked()
	w.must(w.RunRotations(w.ctx))
	w.looks()
	w.Sleep(w.ctx, time.Hour)
	w.looks()
	w.lets()
	if got := grant.ReadRevocation([]byte(w.inline())); !got.Denies || got.RestoreTo != "" || got.RevokeID != w.tags()[grant.TagRevoked] {
		t.Errorf("%+v, tags %v", got, w.tags())
	}
}

// A revocation lands between the restore's last look at the Deny and its own write of it. Its tag and its check remain.
func TestARevocationWhoseDenyARestoreOverwritesClosesAllTheSame(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	answer := w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	w.ResetCalls()
	puts := 0
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "reconcile" && c.Action == "PutRolePolicy" {
			if puts++; puts == 1 {
				resume := w.quiet()
				w.revoked()
				resume()
			}
		}
		return sim.Outcome{}
	}
	w.looks()
	w.Schedule = nil
	fresh := w.valueOf(answer.VersionID)
	for range 10 {
		if s, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, fresh, "jdoe"); err == nil && s.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) {
			t.Fatal("somebody gets in behind the revocation")
		}
		w.Sleep(w.ctx, 30*time.Second)
		w.looks()
	}
	w.lets()
	if !w.denied() {
		t.Error("the Deny is not back")
	}
}

func TestARestoreAskedForTwiceIsOne(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	id := w.revokeID()
	one, two := w.begun(id), w.begun(id)
	if one != two {
		t.Errorf("%+v, then %+v", one, two)
	}
	w.must(w.RunRotations(w.ctx))
	if three := w.begun(id); three != one {
		t.Errorf("%+v, then %+v", one, three)
	}
	w.looks()
	w.lets(w.valueOf(one.VersionID))
}

func TestARestoreWhoseRotationWasGivenUpStartsAnother(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	id := w.revokeID()
	one := w.begun(id)
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", one.VersionID))
	two := w.begun(id)
	if one.VersionID == two.VersionID {
		t.Fatal("the same version again")
	}
	w.must(w.RunRotations(w.ctx))
	w.looks()
	w.lets(w.valueOf(two.VersionID))
}

func TestARestoreIsNotStoppedByAStuckRotation(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	w.Sleep(w.ctx, 48*time.Hour)
	w.start(token(7))
	w.must(w.step("createSecret", token(7)))
	answer := w.begun(w.revokeID())
	w.fails(w.step("finishSecret", token(7)), grant.ErrBadToken)
	w.must(w.RunRotations(w.ctx))
	w.looks()
	w.lets(w.valueOf(answer.VersionID))
}

// reconcile dies with the trust policy open and the Deny still standing, and a rotation follows before it looks again.
func TestARestoreOvertakenByARotationOpensToItsID(t *testing.T) {
	w, old, session := revokedAndRestored(t, nil)
	answer := w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "reconcile" && c.Action == "PutRolePolicy" {
			return sim.Outcome{Fault: sim.CrashBefore}
		}
		return sim.Outcome{}
	}
	if _, err := w.Reconcile(w.ctx, w.plan.Grant); err == nil {
		t.Fatal("reconcile did not die")
	}
	w.Schedule = nil
	w.Sleep(w.ctx, 5*time.Second)
	w.rotated(token(2))
	if current, _ := w.labelled(grant.StageCurrent); current != token(2) {
		t.Fatalf("%s is current", current)
	}
	w.looks()
	w.lets(w.valueOf(token(2)), w.valueOf(answer.VersionID)) // which has its overlap
	for _, id := range old {
		if w.Enters(provider, w.plan.Grant, id) {
			t.Error("an older ID gets in")
		}
	}
	if session.Do(w.ctx, "s3:ListBucket", "arn:aws:s3:::data") == nil {
		t.Error("a session from before acts")
	}
}

func TestAGrantThatWasRevokedBeforeItsBirthIsRestored(t *testing.T) {
	w := deployed(t)
	w.revoked()
	w.looks()
	answer := w.begun(w.revokeID())
	w.must(w.RunRotations(w.ctx))
	w.looks()
	w.lets(w.valueOf(answer.VersionID))
}

func TestAGrantWithoutAnIDIsRestored(t *testing.T) {
	w := deployedWithoutID(t)
	w.must(w.deploy("Create"))
	w.revoked()
	w.looks()
	if w.enters(provider, "") {
		t.Fatal("not revoked")
	}
	w.begun(w.revokeID())
	w.looks()
	if !w.enters(provider, "") {
		t.Error("not restored")
	}
	if _, ok := last[*events.AccessRestored](w); !ok {
		t.Error("not announced")
	}
}

// reconcile dies behind its note that the revocation is undone, with the Deny still standing, and two rotations follow before
// it looks again: the version that may reopen is neither current nor previous any more.
func TestARestoreThatWasGivenUpHalfWayLeavesEveryMark(t *testing.T) {
	w, _, _ := revokedAndRestored(t, nil)
	id := w.revokeID()
	w.begun(id)
	w.must(w.RunRotations(w.ctx))
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "reconcile" && c.Action == "PutRolePolicy" {
			return sim.Outcome{Fault: sim.CrashBefore}
		}
		return sim.Outcome{}
	}
	if _, err := w.look(); err == nil {
		t.Fatal("the look went well")
	}
	w.Schedule = nil
	if w.tags()[grant.TagRestored] != id {
		t.Fatal("the restore isn't noted: this test shows nothing")
	}
	w.Sleep(w.ctx, 5*time.Second)
	w.rotated(token(7))
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(8))
	if current, _ := w.labelled(grant.StageCurrent); current != token(8) {
		t.Fatalf("%s is current", current)
	}
	w.looks()
	w.lets()
	doc, err := trust.Parse([]byte(w.document()))
	w.must(err)
	if c := grant.ClosureOf([]byte(w.inline()), doc, w.tags()); len(c.Missing()) > 0 {
		t.Errorf("missing: %v", c.Missing())
	}
	answer := w.begun(id)
	w.must(w.RunRotations(w.ctx))
	w.looks()
	w.lets(w.valueOf(answer.VersionID))
}
