package functions_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// replaceOnce is strings.Replace that must find something.
func replaceOnce(t *testing.T, s, from, to string) string {
	t.Helper()
	out := strings.Replace(s, from, to, 1)
	if out == s {
		t.Fatalf("%s is not in %s", from, s)
	}
	return out
}

func (w *world) show() api.Status {
	w.t.Helper()
	status, body := w.call(w.Operations.Handle, http.MethodGet, "/grants/migration", "", operator)
	var s api.Status
	w.must(json.Unmarshal([]byte(body), &s))
	if status != http.StatusOK {
		w.t.Fatalf("%d: %s", status, body)
	}
	return s
}

func TestShowTellsWhatIAMSays(t *testing.T) {
	w := deployed(t)
	if s := w.show(); s.State != api.Born || len(s.Accepted) > 0 {
		t.Errorf("born: %+v", s)
	}
	w.must(w.deploy("Create"))
	_, old := w.labelled(grant.StageCurrent)
	s := w.show()
	if s.State != api.Open || len(s.Accepted) != 1 || s.Accepted[0].Fingerprint != trust.Fingerprint(old) || len(s.Drift) > 0 || s.Fault != "" {
		t.Errorf("open: %+v", s)
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	_, fresh := w.labelled(grant.StageCurrent)
	e, _ := last[*events.ExternalIDRotated](w)
	s = w.show()
	if s.VersionID != token(1) || len(s.Accepted) != 2 || s.Accepted[0].Fingerprint != trust.Fingerprint(fresh) ||
		s.Accepted[1].Fingerprint != trust.Fingerprint(old) || !s.Accepted[1].Until.Equal(e.PreviousUntil) || s.NextRotation.IsZero() {
		t.Errorf("overlap: %+v", s)
	}
	w.Advance(25 * time.Hour)
	if s = w.show(); len(s.Accepted) != 1 {
		t.Errorf("a deadline has passed: %+v", s)
	}
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(replaceOnce(t, w.document(), "Engineers-*", "*"))))
	if s = w.show(); len(s.Drift) == 0 {
		t.Errorf("drift: %+v", s)
	}
	w.looks()

	w.must(w.IAM.PutInlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation)))
	if s = w.show(); s.State != api.Closed || strings.Join(s.Missing, " ") != "trust tag" || len(s.Accepted) > 0 {
		t.Errorf("a Deny by hand: %+v", s)
	}
	w.revoked()
	if s = w.show(); s.State != api.Closed || len(s.Missing) > 0 || s.RevokeID != w.tags()[grant.TagRevoked] {
		t.Errorf("revoked: %+v", s)
	}
	if strings.Contains(strings.Join(calls(w.Calls("api")), " "), "GetSecretValue") {
		t.Error("it read a secret's value")
	}
}

func TestShowDoesNotCallOpenWhatItCannotRead(t *testing.T) {
	w := opened(t)
	for _, action := range []string{"GetRole", "GetRolePolicy", "DescribeSecret", "GetParameter"} {
		w.Schedule = func(c sim.Call) sim.Outcome {
			if c.Action == action {
				return sim.Outcome{Fault: sim.Throttle}
			}
			return sim.Outcome{}
		}
		if s := w.show(); s.State != "" || s.Fault == "" {
			t.Errorf("%s: %+v", action, s)
		}
	}
}

func TestListTellsOfEveryGrant(t *testing.T) {
	w := opened(t)
	w.Operations.Grants["second"] = "ServiceProvider-second"
	status, body := w.call(w.Operations.Handle, http.MethodGet, "/grants", "", operator)
	var list api.List
	w.must(json.Unmarshal([]byte(body), &list))
	if status != 200 || len(list.Grants) != 2 || list.Grants[0].State != api.Open || list.Grants[1].Fault == "" {
		t.Errorf("%d: %s", status, body)
	}
	if status, _ := w.call(w.Operations.Handle, http.MethodGet, "/grants", "", "arn:aws:sts::444455556666:assumed-role/ServiceProvider-second/jdoe"); status != 403 {
		t.Errorf("a granted role lists: %d", status)
	}
}

func TestRotateOnDemand(t *testing.T) {
	rotate := func(w *world, body string) (int, api.RotateAnswer, api.Problem) {
		t.Helper()
		status, text := w.call(w.Operations.Handle, http.MethodPost, "/grants/migration/rotate", body, operator)
		var answer api.RotateAnswer
		var p api.Problem
		w.must(json.Unmarshal([]byte(text), &answer))
		w.must(json.Unmarshal([]byte(text), &p))
		return status, answer, p
	}
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	status, answer, _ := rotate(w, `{"reason":"first"}`)
	if status != 202 || !strings.HasPrefix(answer.VersionID, "rotate-") {
		t.Fatalf("%d %+v", status, answer)
	}
	status, _, p := rotate(w, `{"reason":"impatient"}`)
	if status != 409 || p.Next == "" {
		t.Errorf("under way: %d %+v", status, p)
	}
	w.must(w.RunRotations(w.ctx))
	w.lets(old, w.valueOf(answer.VersionID))
	e, _ := last[*events.ExternalIDRotated](w)
	if e.Cause != "requested" {
		t.Errorf("announced %+v", e)
	}
	if status, _, p = rotate(w, `{}`); status != 409 || !p.Until.Equal(e.PreviousUntil) || !strings.Contains(p.Next, "--leaked") {
		t.Errorf("overlap open: %d %+v", status, p)
	}

	t.Log("leaked: a stuck rotation doesn't block it, and every older ID ends")
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token(7), []byte("x"), grant.StagePending))
	status, answer, _ = rotate(w, `{"reason":"found on a paste site","leaked":true}`)
	if status != 202 || !strings.HasPrefix(answer.VersionID, "cut-") {
		t.Fatalf("%d %+v", status, answer)
	}
	w.must(w.RunRotations(w.ctx))
	w.lets(w.valueOf(answer.VersionID))
	if !strings.Contains(w.log.String(), "found on a paste site") {
		t.Error("the reason isn't logged")
	}

	w.revoked()
	if status, _, p = rotate(w, `{}`); status != 409 || p.Next == "" {
		t.Errorf("revoked: %d %+v", status, p)
	}
	if status, _, p = rotate(w, `{"leaked":true}`); status != 409 {
		t.Errorf("revoked and leaked: %d %+v", status, p)
	}
	w = deployed(t)
	if status, _, p = rotate(w, `{}`); status != 409 || p.Next == "" {
		t.Errorf("born: %d %+v", status, p)
	}
	w = deployedWithoutID(t)
	if status, _, p = rotate(w, `{}`); status != 409 || p.Next == "" {
		t.Errorf("without an external ID: %d %+v", status, p)
	}
}

// Tags that call a revocation undone keep reconcile from touching anything under its Deny: whoever looks is told what to do.
func TestARevocationThatTheTagsCallUndoneIsShown(t *testing.T) {
	w := opened(t)
	w.revoked()
	if s := w.show(); s.State != api.Closed || s.Undone {
		t.Errorf("%+v", s)
	}
	w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.TagRestored: w.revokeID()}))
	if s := w.show(); s.State != api.Closed || !s.Undone {
		t.Errorf("%+v", s)
	}
}

func TestADeletedSecretIsShown(t *testing.T) {
	w := opened(t)
	w.must(w.Secrets.Delete(w.plan.SecretARN))
	if s := w.show(); s.State != api.Open || !strings.Contains(s.Fault, "aws secretsmanager restore-secret --secret-id "+w.plan.SecretARN) {
		t.Errorf("%+v", s)
	}
}
