package functions_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

func auto(p *grant.Plan)   { p.WhenUnconfirmed = grant.UnconfirmedAuto }
func extend(p *grant.Plan) { p.WhenUnconfirmed = grant.UnconfirmedExtend }

// confirms confirms the current version as the provider does: from a session that only its external ID opens.
func (w *world) confirms(retireIn string) api.ConfirmAnswer {
	w.t.Helper()
	version, id := w.labelled(grant.StageCurrent)
	s, err := w.EnterTo(w.ctx, "migration", version, id)
	w.must(err)
	answer, err := w.Confirm(w.ctx, s, "migration", version, retireIn)
	w.must(err)
	return answer
}

// refused is what the API says, with its status.
func (w *world) refused(err error) (status int, says string) {
	w.t.Helper()
	var r *simtest.Refused
	if !errors.As(err, &r) {
		w.t.Fatalf("not refused: %v", err)
	}
	return r.Status, r.Problem.Error
}

func TestAProviderThatNeverConfirmsIsNeverLockedOut(t *testing.T) {
	for _, change := range []func(*grant.Plan){auto, extend} {
		w := opened(t, change)
		w.rotated(token(1))
		_, old := w.labelled(grant.StagePrevious)
		_, fresh := w.labelled(grant.StageCurrent)
		e, _ := last[*events.ExternalIDRotated](w)
		if !e.Extended || e.PreviousUntil.IsZero() {
			t.Errorf("told: %+v", e)
		}
		for _, day := range []int{0, 1, 2, 31, 300} {
			w.Advance(time.Duration(day) * 24 * time.Hour)
			w.looks()
			w.lets(old, fresh)
		}
		w.must(w.Deploy(w.ctx, w.plan)) // puts the birth document back
		w.lets(old, fresh)

		// The schedule pauses; an operator is told why, and what to do.
		w.start(token(2))
		w.fails(w.RunRotations(w.ctx), grant.ErrUnconfirmed)
		if _, pending := w.labelled(grant.StagePending); pending != "" {
			t.Error("an external ID was made")
		}
		if version, _ := w.labelled(grant.StagePending); version == token(2) {
			t.Error("the refused rotation is still pending")
		}
		failed, _ := last[*events.RotationFailed](w)
		if !strings.Contains(failed.Next, "countersign confirm migration") {
			t.Errorf("told: %+v", failed)
		}
		_, err := w.Rotate(w.ctx, "migration", false)
		if status, says := w.refused(err); status != http.StatusConflict || !strings.Contains(says, "until somebody confirms") {
			t.Errorf("%d %s", status, says)
		}
		w.lets(old, fresh)

		// Only what leaked ends without a confirmation.
		_, err = w.Rotate(w.ctx, "migration", true)
		w.must(err)
		w.must(w.RunRotations(w.ctx))
		_, fresh = w.labelled(grant.StageCurrent)
		w.lets(fresh)
	}
}

func TestAProviderThatConfirmedOnceIsCutAtTheDeadline(t *testing.T) {
	w := opened(t, auto)
	w.rotated(token(1))
	_, old := w.labelled(grant.StagePrevious)
	_, fresh := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, time.Hour)
	if answer := w.confirms(""); !answer.RetireAt.Equal(w.Now().Add(15 * time.Minute).Truncate(time.Second)) {
		t.Errorf("ends at %s", answer.RetireAt)
	}
	w.looks()
	w.lets(old, fresh)
	told, _ := last[*events.ExternalIDConfirmed](w)
	if told.By != "provider" || told.VersionID != token(1) || told.PreviousUntil.IsZero() {
		t.Errorf("told: %+v", told)
	}
	w.Advance(15 * time.Minute)
	w.lets(fresh) // IAM's own clock
	w.looks()
	if len(w.told()) == 0 || w.told()[len(w.told())-1] != string(events.TypePreviousRetired) {
		t.Errorf("told: %v", w.told())
	}
	if strings.Contains(strings.Join(w.told(), ", "), "Drift") {
		t.Error("a confirmation is no drift")
	}

	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(2)) // which it doesn't confirm
	old = fresh
	_, fresh = w.labelled(grant.StageCurrent)
	e, _ := last[*events.ExternalIDRotated](w)
	if e.Extended || !e.PreviousUntil.Equal(w.Now().Add(24*time.Hour).Truncate(time.Second)) {
		t.Errorf("told: %+v", e)
	}
	w.lets(old, fresh)
	w.Advance(24 * time.Hour)
	w.lets(fresh)
	w.looks()

	w.Sleep(w.ctx, 24*time.Hour)
	w.rotated(token(3)) // and so this one is extended again
	old = fresh
	_, fresh = w.labelled(grant.StageCurrent)
	w.Advance(480 * time.Hour)
	w.looks()
	w.lets(old, fresh)
}

func TestThePreviousIDOpensNoConfirmingSession(t *testing.T) {
	w := opened(t, auto)
	w.rotated(token(1))
	version, fresh := w.labelled(grant.StageCurrent)
	_, old := w.labelled(grant.StagePrevious)
	if _, err := w.EnterTo(w.ctx, "migration", version, old); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("the previous ID opens a session named after the version: %v", err)
	}
	_, err := w.EnterTo(w.ctx, "migration", version, fresh)
	w.must(err)
	s, err := w.Enter(w.ctx, provider, "migration", old)
	w.must(err)
	_, err = w.Confirm(w.ctx, s, "migration", version, "")
	if status, _ := w.refused(err); status != http.StatusForbidden {
		t.Errorf("an old session's confirm gets %d", status)
	}
	if w.tags()[grant.FactConfirmed.Tag()] != "" {
		t.Error("it was noted")
	}
}

// TestAWrongConfirmationChangesNothing asks in every wrong way that there is.
func TestAWrongConfirmationChangesNothing(t *testing.T) {
	w := opened(t, auto)
	before, _ := w.labelled(grant.StageCurrent)
	w.rotated(token(1))
	w.Grants["other"] = "ServiceProvider-other"
	session := func(role, name string) string {
		return "arn:aws:sts::" + customer + ":assumed-role/" + role + "/" + name
	}
	own := session(w.plan.RoleName(), "confirm-"+token(1))
	body := func(version, retireIn string) string {
		b, err := json.Marshal(api.ConfirmRequest{VersionID: version, RetireIn: retireIn})
		w.must(err)
		return string(b)
	}
	good := body(token(1), "")
	for _, tt := range []struct {
		name, caller, method, path, body string
		status                           int
		says                             string
	}{
		{"another grant's role", session("ServiceProvider-other", "confirm-"+token(1)), "POST", "/grants/migration/confirm", good, 403, "granted role"},
		{"another grant", own, "POST", "/grants/other/confirm", good, 403, "granted role"},
		{"a grant that isn't there", own, "POST", "/grants/nowhere/confirm", good, 404, "no grant"},
		{"another account", strings.Replace(own, customer, "999900001111", 1), "POST", "/grants/migration/confirm", good, 403, "another account"},
		{"nobody", "", "POST", "/grants/migration/confirm", good, 403, "unknown"},
		{"the role itself", w.plan.RoleARN, "POST", "/grants/migration/confirm", good, 403, "granted role"},
		{"a role whose name begins alike", session(w.plan.RoleName()+"-2", "confirm-"+token(1)), "POST", "/grants/migration/confirm", good, 202, ""}, // an operator's
		{"a session of another name", session(w.plan.RoleName(), "session"), "POST", "/grants/migration/confirm", good, 403, "only one called confirm-"},
		{"a session named after another version", session(w.plan.RoleName(), "confirm-"+before), "POST", "/grants/migration/confirm", good, 403, "another version"},
		{"a session's name with a slash", own + "/x", "POST", "/grants/migration/confirm", good, 403, "granted role"},
		{"an old version", session(w.plan.RoleName(), "confirm-"+before), "POST", "/grants/migration/confirm", body(before, ""), 409, `any more","next":"read the secret again: its current version is the one to confirm","code":"not-current"`},
		{"a version that isn't there", session(w.plan.RoleName(), "confirm-"+token(9)), "POST", "/grants/migration/confirm", body(token(9), ""), 409, `"code":"not-current"`},
		{"no version", own, "POST", "/grants/migration/confirm", "", 403, "no version id"},
		{"no JSON", own, "POST", "/grants/migration/confirm", "{", 400, "can't be read"},
		{"another field", own, "POST", "/grants/migration/confirm", `{"versionId":"x","leaked":true}`, 400, "can't be read"},
		{"two bodies", own, "POST", "/grants/migration/confirm", good + good, 400, "behind its end"},
		{"a negative time", own, "POST", "/grants/migration/confirm", body(token(1), "-1s"), 400, "not a duration"},
		{"no time", own, "POST", "/grants/migration/confirm", body(token(1), "soon"), 400, "not a duration"},
		{"GET", own, "GET", "/grants/migration/confirm", good, 404, "nothing at this path"},
		{"another verb", own, "POST", "/grants/migration/revoke", good, 404, "nothing at this path"},
		{"a path with dots", own, "POST", "/grants/other/../migration/confirm", good, 404, "nothing at this path"},
		{"an encoded path", own, "POST", "/grants/migration%2fconfirm", good, 400, ""},
		{"a path that goes on", own, "POST", "/grants/migration/confirm/x", good, 404, "nothing at this path"},
		{"a second grant in the path", own, "POST", "/grants/grants/migration/confirm", good, 404, "nothing at this path"},
	} {
		status, answer := w.call(w.Confirming.Handle, tt.method, tt.path, tt.body, tt.caller)
		if status != tt.status || !strings.Contains(answer, tt.says) {
			t.Errorf("%s: %d %s", tt.name, status, answer)
		}
		noted := w.tags()[grant.FactConfirmed.Tag()]
		if (noted != "") != (status == 202) {
			t.Errorf("%s: noted %q", tt.name, noted)
		}
		if noted != "" {
			w.must(w.Secrets.Tag(w.ctx, w.plan.SecretARN, map[string]string{grant.FactConfirmed.Tag(): ""}))
		}
	}
	for _, c := range w.Calls("confirm") {
		t.Errorf("called as confirm: %v", c)
	}

	w.confirms("")
	noted := w.tags()[grant.FactConfirmed.Tag()]
	status, answer := w.call(w.Confirming.Handle, "POST", "/grants/migration/confirm", good, own)
	if status != http.StatusConflict || !strings.Contains(answer, `is confirmed already","next":"nothing has to be done","code":"confirmed"`) || !strings.Contains(answer, `"until"`) {
		t.Errorf("again: %d %s", status, answer)
	}
	if w.tags()[grant.FactConfirmed.Tag()] != noted {
		t.Error("a repeat changed what was noted")
	}
	w.revoked()
	if status, answer = w.call(w.Confirming.Handle, "POST", "/grants/migration/confirm", good, operator); status != http.StatusConflict || !strings.Contains(answer, "revoked") {
		t.Errorf("revoked: %d %s", status, answer)
	}
}

func TestARevokedSessionConfirmsNothing(t *testing.T) {
	w := opened(t, auto)
	w.rotated(token(1))
	version, id := w.labelled(grant.StageCurrent)
	s, err := w.EnterTo(w.ctx, "migration", version, id)
	w.must(err)
	w.revoked()
	if _, err := w.Confirm(w.ctx, s, "migration", version, ""); !errors.Is(err, grant.ErrDenied) {
		t.Errorf("got %v", err)
	}
	w.looks()
	w.lets()
}

func TestAnOperatorConfirmsByHand(t *testing.T) {
	w := opened(t, auto)
	w.rotated(token(1))
	_, fresh := w.labelled(grant.StageCurrent)
	answer, err := w.ConfirmByHand(w.ctx, "migration", token(1), "0s")
	w.must(err)
	if answer.RetireAt.After(w.Now()) {
		t.Errorf("ends at %s", answer.RetireAt)
	}
	w.looks()
	w.lets(fresh)
	said, _ := last[*events.OperationRequested](w)
	if said.Operation != "confirm" || said.By != operator || said.VersionID != token(1) {
		t.Errorf("said: %+v", said)
	}
	// That somebody at the customer's looked doesn't show that the provider follows.
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(2))
	if e, _ := last[*events.ExternalIDRotated](w); !e.Extended {
		t.Errorf("told: %+v", e)
	}
}

func TestARotationMayStartOnceThePreviousIDIsRetired(t *testing.T) {
	w := opened(t, auto)
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	w.confirms("15m")
	w.looks()
	w.start(token(2))
	w.fails(w.RunRotations(w.ctx), grant.ErrOverlapOpen)
	w.Sleep(w.ctx, 20*time.Minute) // Secrets Manager tries again
	if version, _ := w.labelled(grant.StageCurrent); version != token(2) {
		t.Errorf("%s is current", version)
	}
	_, old := w.labelled(grant.StagePrevious)
	_, fresh := w.labelled(grant.StageCurrent)
	w.lets(old, fresh)
}

func TestRemindersComeOnceEach(t *testing.T) {
	w := opened(t, auto)
	w.rotated(token(1))
	for range 60 {
		w.Sleep(w.ctx, time.Hour)
		w.looks()
	}
	var got []string
	for _, e := range w.Bus("countersign").Events() {
		if d, is := e.Data.(*events.RotationUnconfirmed); is {
			got = append(got, d.Reminder)
		}
	}
	if strings.Join(got, " ") != "half nine-tenths over" {
		t.Errorf("reminded: %v", got)
	}
	w.must(w.Reconciler.Timer(w.ctx))
	if !strings.Contains(w.log.String(), `"RotationsUnconfirmed":1`) {
		t.Error("the alarm has no number")
	}
	w.confirms("")
	w.looks()
	w.Sleep(w.ctx, time.Hour)
	w.log.Reset()
	w.must(w.Reconciler.Timer(w.ctx))
	if strings.Contains(w.log.String(), "RotationsUnconfirmed") {
		t.Error("the alarm has a number still")
	}
}

// A grant that ends has that end in each statement: it is not taken for the previous ID's deadline.
func TestAnExtendedIDOfAGrantThatEnds(t *testing.T) {
	w := opened(t, auto, func(p *grant.Plan) { p.Expires = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) })
	w.rotated(token(1))
	_, old := w.labelled(grant.StagePrevious)
	_, fresh := w.labelled(grant.StageCurrent)
	for range 3 {
		w.Sleep(w.ctx, 30*time.Hour)
		w.looks()
		w.lets(old, fresh)
	}
	w.plan.Expires = w.plan.Expires.AddDate(0, 1, 0)
	w.must(w.Deploy(w.ctx, w.plan))
	w.Sleep(w.ctx, 30*time.Hour)
	w.looks()
	w.lets(old, fresh)
	if !w.enters(provider, old) {
		t.Error("the deploy of a later end ended the previous ID")
	}
	doc, err := trust.Parse([]byte(w.document()))
	w.must(err)
	if until, _ := doc.Deadline(old); !until.Equal(w.plan.Expires) {
		t.Errorf("the previous ID ends at %s, the grant at %s", until, w.plan.Expires)
	}
}
