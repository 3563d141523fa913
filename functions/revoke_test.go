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
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

func TestTheFirstCallOfARevokeIsTheDeny(t *testing.T) {
	w := opened(t)
	_, id := w.labelled(grant.StageCurrent)
	session, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, id, "jdoe")
	w.must(err)
	w.ResetCalls()
	w.revoked()
	want := []string{
		"iam:PutRolePolicy", "ssm:GetParameter", "iam:GetRole", "iam:UpdateAssumeRolePolicy",
		"secretsmanager:TagResource", "events:PutEvents", "secretsmanager:TagResource", "sqs:SendMessage",
	}
	if diff := cmp.Diff(want, calls(w.Calls("api"))); diff != "" {
		t.Error(diff)
	}
	if session.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) {
		t.Error("a live session goes on")
	}
	w.lets()
	e, _ := last[*events.AccessRevoked](w)
	if e.By != operator || e.Reason != "project ended" || e.RevokeID != w.tags()[grant.TagRevoked] {
		t.Errorf("announced %+v", e)
	}
	if m := w.Queue("countersign-check").Messages(); len(m) != 1 || string(m[0]) != `{"grant":"migration"}` {
		t.Errorf("queued %s", m)
	}
}

func TestARevocationGoesOnBehindAnActThatFails(t *testing.T) {
	for _, c := range []struct {
		fails        string
		status       int
		done, failed []string
	}{
		{"UpdateAssumeRolePolicy", 202, []string{"deny", "tag", "event", "check"}, []string{"trust"}},
		{"GetParameter", 202, []string{"deny", "trust", "check"}, []string{"tag", "event"}},
		{"PutEvents", 202, []string{"deny", "trust", "tag", "check"}, []string{"event"}},
		{"SendMessage", 202, []string{"deny", "trust", "tag", "event"}, []string{"check"}},
		{"PutRolePolicy", 500, nil, nil},
	} {
		t.Run(c.fails, func(t *testing.T) {
			w := opened(t)
			w.Schedule = func(call sim.Call) sim.Outcome {
				if call.Action == c.fails {
					return sim.Outcome{Fault: sim.Fail}
				}
				return sim.Outcome{}
			}
			status, body := w.call(w.Revoker.Handle, http.MethodPost, "/grants/migration/revoke", "", operator)
			w.Schedule = nil
			if status != c.status {
				t.Fatalf("%d: %s", status, body)
			}
			if status == http.StatusInternalServerError {
				var p api.Problem
				w.must(json.Unmarshal([]byte(body), &p))
				if !strings.Contains(p.Next, "--direct") || !strings.Contains(p.Error, "trust") {
					t.Errorf("%+v", p)
				}
				w.lets() // the trust policy is closed all the same
				return
			}
			var answer api.RevokeAnswer
			w.must(json.Unmarshal([]byte(body), &answer))
			if diff := cmp.Diff(append(c.done, c.failed...), append(answer.Done, answer.Failed...)); diff != "" {
				t.Error(diff)
			}
			w.Advance(time.Minute)
			w.looks()
			w.lets()
			if !w.denied() || w.tags()[grant.TagRevoked] == "" {
				t.Error("reconcile didn't put back what was missing")
			}
			if !slices.Contains(w.told(), "Access Revoked") {
				t.Error("not announced")
			}
		})
	}
}

func TestNothingOpensARevokedGrant(t *testing.T) {
	w := opened(t)
	w.rotated(token(1))
	w.revoked()
	w.lets()
	w.Sleep(w.ctx, 48*time.Hour)

	t.Log("a scheduled rotation runs through, and opens nothing")
	w.rotated(token(2))
	version, _ := w.labelled(grant.StageCurrent)
	if version != token(2) {
		t.Error("the rotation did not run through")
	}
	if e, ok := last[*events.ExternalIDRotated](w); !ok || e.VersionID != token(1) {
		t.Error("the provider was told of an ID that lets nobody in")
	}
	w.lets()
	cut := "cut-0123456789abcdef0123456789abcdef"
	w.rotated(cut)
	w.lets()

	t.Log("a deploy puts the birth document back")
	w.must(w.Redeploy(w.ctx, w.plan))
	w.lets()
	w.must(w.deploy("Update"))
	w.lets()
	if !strings.Contains(w.document(), trust.SidClosed) {
		t.Error("the trust policy's own Deny is not back")
	}

	t.Log("a rotation over the birth document of a closed grant")
	w.must(w.Redeploy(w.ctx, w.plan))
	w.Sleep(w.ctx, time.Hour)
	w.rotated(token(3))
	w.lets()
	w.looks()
	w.lets()

	t.Log("a birth is refused")
	w.must(w.Redeploy(w.ctx, w.plan))
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, "0123456789abcdef0123456789abcdef", []byte(grant.BornSecret)))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", token(3)))
	birth := w.start("birth-0123456789abcdef0123456789abcdef")
	w.must(w.step("createSecret", birth))
	w.fails(w.step("setSecret", birth), grant.ErrClosed)
	w.lets()
	w.looks()
	w.lets()
}

func TestAnyMarkCloses(t *testing.T) {
	for name, mark := range map[string]func(w *world) error{
		"the Deny": func(w *world) error {
			return w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation))
		},
		"a Deny with another Sid": func(w *world) error {
			return w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(strings.Replace(grant.DenyRevocation, "CountersignRevoked", "RestoreTorestore0123", 1)))
		},
		"the trust policy's Deny": func(w *world) error {
			closed := strings.Replace(w.document(), `"Statement":[`, `"Statement":[{"Sid":"CountersignClosed","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"},`, 1)
			return w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(closed))
		},
		"the tag": func(w *world) error {
			return w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRevoked: "rv-20260901T160200Z-5d0c2e9a"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			w.must(mark(w))
			state, err := w.look()
			w.must(err)
			if state != reconcile.Closed {
				t.Errorf("found %s", state)
			}
			w.lets()
			if !w.denied() || !strings.Contains(w.document(), trust.SidClosed) || w.tags()[grant.TagRevoked] == "" {
				t.Errorf("marks missing: %s", w.document())
			}
			if e, ok := last[*events.AccessRevoked](w); !ok || e.By != "unknown" || e.RevokeID != w.tags()[grant.TagRevoked] {
				t.Errorf("announced %+v", e)
			}
			n := len(w.Bus("countersign").Events())
			w.looks()
			if len(w.Bus("countersign").Events()) != n {
				t.Error("announced twice")
			}
		})
	}
	t.Run("a Deny that never matches does not", func(t *testing.T) {
		w := opened(t)
		_, id := w.labelled(grant.StageCurrent)
		w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRevoked: "rv-1", grant.TagRestored: "rv-1"}))
		w.looks()
		w.lets(id)
	})
}

func TestAMarkThatCannotBeReadKeepsTheBirthDocument(t *testing.T) {
	for _, action := range []string{"GetRolePolicy", "DescribeSecret"} {
		w := opened(t)
		w.must(w.Redeploy(w.ctx, w.plan))
		w.Schedule = func(c sim.Call) sim.Outcome {
			if c.Action == action && c.Actor == "reconcile" {
				return sim.Outcome{Fault: sim.Throttle}
			}
			return sim.Outcome{}
		}
		_, err := w.look()
		w.fails(err, grant.ErrThrottled)
		w.Schedule = nil
		w.lets()
	}
}

func TestWhoMayRevoke(t *testing.T) {
	w := opened(t)
	_, id := w.labelled(grant.StageCurrent)
	for _, c := range []struct {
		caller, path, body string
		status             int
	}{
		{"arn:aws:sts::444455556666:assumed-role/ServiceProvider-migration/jdoe", "/grants/migration/revoke", "", 403},
		{"arn:aws:sts::444455556666:assumed-role/serviceprovider-MIGRATION/jdoe", "/grants/migration/revoke", "", 403},
		{"arn:aws:sts::111122223333:assumed-role/Engineers-jdoe/jdoe", "/grants/migration/revoke", "", 403},
		{"", "/grants/migration/revoke", "", 403},
		{operator, "/grants/other/revoke", "", 404},
		{operator, "/grants/migration/forgive", "", 404},
		{"arn:aws:sts::444455556666:assumed-role/ServiceProvider-migration/jdoe", "/grants/migration/restore", "", 403},
		{"arn:aws:sts::111122223333:assumed-role/Engineers-jdoe/jdoe", "/grants/migration/restore", "", 403},
		{operator, "/grants/migration/restore", `{"undo":"x"}`, 400},
		{operator, "/grants/UPPER/revoke", "", 400},
		{operator, "/grants/migration/revoke", `{"reason":"a` + strings.Repeat("b", 200) + `"}`, 400},
		{operator, "/grants/migration/revoke", `{"reason":"two\nlines"}`, 400},
		{operator, "/grants/migration/revoke", `{"because":"x"}`, 400},
		{operator, "/grants/migration/revoke", `{"reason":"x"} {}`, 400},
		{operator, "/grants/migration/revoke", `reason=x`, 400},
	} {
		status, body := w.call(w.Revoker.Handle, http.MethodPost, c.path, c.body, c.caller)
		var p api.Problem
		w.must(json.Unmarshal([]byte(body), &p))
		if status != c.status || p.Error == "" {
			t.Errorf("%s by %s: %d %s, want %d", c.path, c.caller, status, body, c.status)
		}
	}
	w.lets(id)
	if n := len(w.Calls("api")); n > 0 {
		t.Errorf("%d AWS calls for refused requests", n)
	}
}

func TestDeletingAGrantOnlyCloses(t *testing.T) {
	w := opened(t)
	w.must(w.deploy("Delete"))
	w.lets()
	if !w.denied() {
		t.Error("live sessions go on")
	}
	w.must(w.deploy("Delete"))
	w.IAM.DeleteRole(w.plan.RoleName())
	w.must(w.deploy("Delete"))
}
