package functions_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
	"github.com/countersign/countersign/internal/sim"
)

const day = 24 * time.Hour

// measured gives what was written of a metric since the last time that it was asked.
func (w *world) measured(name metric.Name) (values []float64) {
	w.t.Helper()
	for line := range strings.Lines(w.log.String()[w.read[name]:]) {
		var entry map[string]any
		w.must(json.Unmarshal([]byte(line), &entry))
		if value, ok := entry[string(name)].(float64); ok && entry["_aws"] != nil {
			values = append(values, value)
			if entry[metric.Stack] != "ServiceProviderAccess" || (entry[metric.Grant] == "migration") != (name == metric.ExternalIDAge) {
				w.t.Errorf("dimensions of %s", line)
			}
		}
	}
	if w.read == nil {
		w.read = map[metric.Name]int{}
	}
	w.read[name] = w.log.Len()
	return values
}

// round lets the timer look at every grant. An error of a grant is not the round's to hide.
func (w *world) round() error {
	return w.Invoke(w.ctx, "reconcile", func(ctx context.Context) error { return w.Reconciler.Timer(ctx) })
}

func TestWhichRotationsAreOverdue(t *testing.T) {
	expiring := func(p *grant.Plan) { p.Expires = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) }
	never := func(p *grant.Plan) { p.RotateEvery = "never" }
	for name, c := range map[string]struct {
		deploy func(t *testing.T) *world
		live   func(w *world)
		want   float64
	}{
		"new":                  {live: func(*world) {}},
		"as old as it gets":    {live: func(w *world) { w.Advance(32 * day) }},
		"older":                {live: func(w *world) { w.Advance(33 * day) }, want: 1},
		"the schedule goes on": {live: func(w *world) { w.Sleep(w.ctx, 100*day) }},
		"rotated by somebody": {live: func(w *world) {
			w.Advance(31 * day)
			w.rotated("rotate-0123456789abcdef0123456789abcdef")
			w.Advance(10 * day)
		}},
		"never rotates":             {deploy: func(t *testing.T) *world { return opened(t, never) }, live: func(w *world) { w.Advance(400 * day) }},
		"ended":                     {deploy: func(t *testing.T) *world { return opened(t, expiring) }, live: func(w *world) { w.Advance(400 * day) }},
		"not born":                  {deploy: func(t *testing.T) *world { return deployed(t) }, live: func(w *world) { w.Advance(400 * day) }},
		"without an external ID":    {deploy: deployedWithoutID, live: func(w *world) { w.Advance(400 * day) }},
		"revoked":                   {live: func(w *world) { w.Advance(20 * day); w.revoked(); w.Advance(90 * day) }},
		"paused":                    {live: func(w *world) { w.paused(90 * day); w.Advance(89 * day) }},
		"paused until a while ago":  {live: func(w *world) { w.paused(60 * day); w.Advance(61 * day) }},
		"the window behind a pause": {live: func(w *world) { w.paused(60 * day); w.Advance(93 * day) }, want: 1},
		"waits for the provider": {deploy: func(t *testing.T) *world { return opened(t, auto) }, live: func(w *world) {
			w.rotated(token(1))
			w.Advance(400 * day)
		}},
		"confirmed a while ago": {deploy: func(t *testing.T) *world { return opened(t, auto) }, live: func(w *world) {
			w.rotated(token(1))
			w.Advance(60 * day)
			w.confirms("")
			w.Advance(32 * day)
		}},
		"the window behind a confirmation": {deploy: func(t *testing.T) *world { return opened(t, auto) }, live: func(w *world) {
			w.rotated(token(1))
			w.Advance(60 * day)
			w.confirms("")
			w.Advance(33 * day)
		}, want: 1},
		"resumed": {live: func(w *world) {
			w.paused(90 * day)
			w.Advance(60 * day)
			w.pause("resume", `{"reason":"freeze called off"}`)
			w.Advance(day)
		}},
		"the window behind a resume": {live: func(w *world) {
			w.paused(90 * day)
			w.Advance(60 * day)
			w.pause("resume", `{"reason":"freeze called off"}`)
			w.Advance(33 * day)
		}, want: 1},
		"nobody can look": {live: func(w *world) {
			w.Schedule = func(c sim.Call) sim.Outcome {
				if c.Action == "DescribeSecret" {
					return sim.Outcome{Fault: sim.Fail}
				}
				return sim.Outcome{}
			}
		}, want: 1},
		"labels that run backwards, new": {live: func(w *world) { w.backwards() }},
	} {
		t.Run(name, func(t *testing.T) {
			if c.deploy == nil {
				c.deploy = func(t *testing.T) *world { return opened(t) }
			}
			w := c.deploy(t)
			c.live(w)
			w.measured(metric.RotationsOverdue)
			err := w.round()
			w.Schedule = nil
			if diff := cmp.Diff([]float64{c.want}, w.measured(metric.RotationsOverdue)); diff != "" {
				t.Errorf("%s (the round's error: %v)", diff, err)
			}
		})
	}
}

// backwards moves the current label to an older version.
func (w *world) backwards() {
	w.t.Helper()
	first, _ := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 2*day)
	w.rotated(token(1))
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, first, token(1)))
}

// An alarm that rings while all is well is one that nobody reads.
func TestNothingIsOverdueWhileTheScheduleGoesOn(t *testing.T) {
	for _, every := range []string{"4h", "daily", "weekly", "monthly", "30 days"} {
		t.Run(every, func(t *testing.T) {
			w := opened(t, func(p *grant.Plan) { p.RotateEvery, p.Overlap = every, grant.Duration(time.Hour) })
			first, _ := w.labelled(grant.StageCurrent)
			w.measured(metric.RotationsOverdue)
			const all = 200
			for range all {
				w.Sleep(w.ctx, 13*time.Hour) // at another hour each time
				w.must(w.round())
			}
			rounds := w.measured(metric.RotationsOverdue)
			if i := slices.IndexFunc(rounds, func(n float64) bool { return n > 0 }); len(rounds) != all || i >= 0 {
				t.Errorf("%d rounds, overdue in round %d", len(rounds), i)
			}
			if now, _ := w.labelled(grant.StageCurrent); now == first {
				t.Error("nothing was rotated")
			}
		})
	}
}

// Missing is what the alarm rings for: a round that doesn't come to its end says nothing.
func TestARoundThatDoesNotEndIsSilent(t *testing.T) {
	w := opened(t)
	w.measured(metric.RotationsOverdue)
	ctx, cancel := context.WithDeadline(w.ctx, w.Now().Add(time.Second))
	defer cancel()
	w.fails(w.Reconciler.Timer(ctx), grant.ErrUnavailable)
	if got := w.measured(metric.RotationsOverdue); got != nil {
		t.Errorf("written: %v", got)
	}
}

func TestTheFirstDeployAlreadyCounts(t *testing.T) {
	w := opened(t)
	if diff := cmp.Diff([]float64{0}, w.measured(metric.RotationsOverdue)); diff != "" {
		t.Error(diff)
	}
	w.must(w.deploy("Update"))
	if got := w.measured(metric.RotationsOverdue); got != nil {
		t.Errorf("a later one: %v", got)
	}
}

func TestTheAgeOfAnExternalID(t *testing.T) {
	w := opened(t)
	w.measured(metric.ExternalIDAge)
	w.Advance(3 * day)
	w.must(w.round())
	got := w.measured(metric.ExternalIDAge)
	if len(got) != 1 || got[0] < (3*day).Seconds() || got[0] > (3*day+time.Hour).Seconds() {
		t.Errorf("%v", got)
	}
	w.revoked()
	_ = w.round()
	if got := w.measured(metric.ExternalIDAge); got != nil {
		t.Errorf("of a revoked grant: %v", got)
	}
}

func TestWhichStepsCountAsFailed(t *testing.T) {
	for name, c := range map[string]struct {
		live func(w *world)
		want bool
	}{
		"a rotation": {func(w *world) { w.rotated(token(1)) }, false},
		"put off":    {func(w *world) { w.paused(60 * day); w.Sleep(w.ctx, 45*day) }, false},
		"overlap open": {func(w *world) {
			w.rotated(token(1))
			w.start(token(2))
			w.fails(w.RunRotations(w.ctx), grant.ErrOverlapOpen)
		}, false},
		"throttled, then done": {func(w *world) {
			w.Schedule = nth("rotate", 9, sim.Throttle)
			w.rotated(token(1))
		}, false},
		"edited out": {func(w *world) {
			before := w.document()
			w.Sleep(w.ctx, 2*day)
			w.rotated(token(1))
			w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(before)))
			w.Advance(2 * day)
			w.start(token(2))
			w.fails(w.RunRotations(w.ctx), grant.ErrDrift)
		}, true},
		"a value of somebody else": {func(w *world) {
			w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token(1), []byte(`{"who":"knows"}`), grant.StagePending))
			w.fails(w.step("createSecret", token(1)), grant.ErrForeignValue)
		}, true},
		"given up half-way": {func(w *world) {
			w.start(token(1))
			w.must(w.step("createSecret", token(1)))
			w.Advance(3 * time.Hour)
			w.looks()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			c.live(w)
			w.Schedule = nil
			if got := w.measured(metric.StepsFailed); (len(got) > 0) != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestDriftAndLabelsCountAtEachLook(t *testing.T) {
	w := opened(t)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(strings.Replace(w.document(), "Engineers-*", "*", 1))))
	w.looks()
	w.looks()
	if diff := cmp.Diff([]float64{1}, w.measured(metric.TrustDrifts)); diff != "" {
		t.Errorf("mended at the first look: %s", diff)
	}

	w = opened(t)
	w.backwards()
	for range 2 {
		_, err := w.look()
		w.fails(err, grant.ErrBackwards)
	}
	if diff := cmp.Diff([]float64{1, 1}, w.measured(metric.LabelsBackwards)); diff != "" {
		t.Error(diff)
	}
	if got := w.measured(metric.TrustDrifts); got != nil {
		t.Errorf("counted as drift, too: %v", got)
	}
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", token(1)))
	w.start(token(3))
	w.fails(w.RunRotations(w.ctx), grant.ErrBackwards)
	if got := w.measured(metric.LabelsBackwards); len(got) == 0 {
		t.Error("a rotation that is refused for it doesn't count")
	}
}

func TestWhatOfARevokeCountsAsAnError(t *testing.T) {
	for fails, want := range map[string]int{
		"": 0, "PutRolePolicy": 1, "UpdateAssumeRolePolicy": 1, "GetParameter": 1, "PutEvents": 1, "SendMessage": 1,
	} {
		w := opened(t)
		w.Schedule = func(call sim.Call) sim.Outcome {
			if call.Action == fails {
				return sim.Outcome{Fault: sim.Fail}
			}
			return sim.Outcome{}
		}
		w.call(w.Revoker.Handle, http.MethodPost, "/grants/migration/revoke", "", operator)
		w.Schedule = nil
		if got := w.measured(metric.RevokeErrors); len(got) != want {
			t.Errorf("%q: %v", fails, got)
		}
	}
	t.Log("what the caller does wrong is no error of ours")
	w := opened(t)
	for path, caller := range map[string]string{
		"/grants/migration/revoke": provider, "/grants/other/revoke": operator, "/grants/migration/restore": operator,
	} {
		if status, body := w.call(w.Revoker.Handle, http.MethodPost, path, `{}`, caller); status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if got := w.measured(metric.RevokeErrors); got != nil {
		t.Errorf("%v", got)
	}
}

// What explain reckons with: an hourly look at a grant that has been rotated, when nothing is to be done.
func TestTheCallsOfAQuietLook(t *testing.T) {
	w := opened(t)
	w.Sleep(w.ctx, 2*day)
	w.rotated(token(1))
	w.Sleep(w.ctx, 2*day)
	w.must(w.round())
	w.ResetCalls()
	w.must(w.round())
	want := []string{
		"ssm:GetParameter", "iam:GetRole", "iam:GetRolePolicy",
		"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue",
	}
	if diff := cmp.Diff(want, calls(w.Calls("reconcile"))); diff != "" {
		t.Error(diff)
	}
}
