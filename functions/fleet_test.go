package functions_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
)

// A run of many rotations may be begun again at any point: what it has done stays done.
func TestARunRotatesAGrantOnce(t *testing.T) {
	const run, other = "4f2a9c01d3e7", "00000000000a"
	for _, leaked := range []bool{false, true} {
		w := opened(t)
		rotate := func(run string) (int, api.RotateAnswer) {
			t.Helper()
			body, err := json.Marshal(api.RotateRequest{Reason: "partner was broken into", Leaked: leaked, Run: run})
			w.must(err)
			status, text := w.call(w.Operations.Handle, http.MethodPost, "/grants/migration/rotate", string(body), operator)
			var answer api.RotateAnswer
			w.must(json.Unmarshal([]byte(text), &answer))
			return status, answer
		}
		head := "rotate-" + run
		if leaked {
			head = "cut-" + run
		}
		status, first := rotate(run)
		if status != 202 || first.Done || !strings.HasPrefix(first.VersionID, head) || grant.CheckRun(run) != nil {
			t.Fatalf("%d %+v", status, first)
		}
		if status, again := rotate(run); status != 202 || again != first {
			t.Errorf("under way: %d %+v, want %+v", status, again, first)
		}
		w.must(w.RunRotations(w.ctx))
		if status, again := rotate(run); status != 202 || again.VersionID != first.VersionID || !again.Done {
			t.Errorf("done: %d %+v, want %+v and done", status, again, first)
		}
		w.Sleep(w.ctx, 48*time.Hour)
		w.rotated(token(1)) // on schedule, meanwhile
		if status, again := rotate(run); status != 202 || again.VersionID != first.VersionID || !again.Done {
			t.Errorf("done long ago: %d %+v", status, again)
		}
		w.Sleep(w.ctx, 48*time.Hour)
		if status, fresh := rotate(other); status != 202 || fresh.Done || fresh.VersionID == first.VersionID {
			t.Errorf("another run: %d %+v", status, fresh)
		}
		for _, bad := range []string{"x", "4F2A9C01D3E7", "birth-000000", run + "0"} {
			if status, _ := rotate(bad); status != 400 {
				t.Errorf("run %q: %d", bad, status)
			}
		}
	}
}

func TestADenyAloneEndsSessionsAndTheRestFollows(t *testing.T) {
	for _, name := range []string{"by a revoke", "by reconcile"} {
		t.Run(name, func(t *testing.T) {
			w := opened(t)
			_, id := w.labelled(grant.StageCurrent)
			session, err := w.STS.AssumeRole(w.ctx, provider, w.plan.RoleARN, id, "jdoe")
			w.must(err)
			w.ResetCalls()
			status, body := w.call(w.Revoker.Handle, http.MethodPost, "/grants/migration/revoke", `{"reason":"project ended","denyOnly":true}`, operator)
			var answer api.RevokeAnswer
			w.must(json.Unmarshal([]byte(body), &answer))
			if diff := cmp.Diff(api.RevokeAnswer{Grant: "migration", Done: []string{"deny"}}, answer); status != 202 || diff != "" {
				t.Fatalf("%d: %s", status, diff)
			}
			if diff := cmp.Diff([]string{"iam:PutRolePolicy"}, calls(w.Calls("revoke", "api"))); diff != "" {
				t.Error(diff)
			}
			if session.Allowed("s3:GetObject", "arn:aws:s3:::bucket/key", 0) {
				t.Error("a live session goes on")
			}
			if name == "by a revoke" {
				w.revoked()
			} else {
				w.looks() // nobody called again
			}
			w.lets()
			e, ok := last[*events.AccessRevoked](w)
			if !ok || e.RevokeID != w.tags()[grant.TagRevoked] {
				t.Errorf("announced %+v", e)
			}
		})
	}
}
