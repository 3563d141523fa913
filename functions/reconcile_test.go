package functions_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

func TestABirthDocumentPutBackKeepsThePreviousIDToItsDeadlineAtMost(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	_, fresh := w.labelled(grant.StageCurrent)
	e, _ := last[*events.ExternalIDRotated](w)
	w.Advance(5 * time.Hour)
	w.must(w.Redeploy(w.ctx, w.plan))
	w.lets()
	w.must(w.deploy("Update"))
	w.lets(old, fresh)
	w.Advance(e.PreviousUntil.Sub(w.Now()) - time.Minute)
	w.lets(old, fresh)
	w.Advance(time.Minute)
	w.lets(fresh)

	t.Log("and again once it has passed")
	w.must(w.Redeploy(w.ctx, w.plan))
	w.must(w.deploy("Update"))
	w.lets(fresh)
	if slices.Contains(w.told(), "Trust Drift Detected") {
		t.Error("a deploy is no drift")
	}
}

func TestABirthDocumentPutBackInTheMiddleOfARotation(t *testing.T) {
	for i, after := range sim.RotationSteps[:3] {
		t.Run("after "+after, func(t *testing.T) {
			w := opened(t)
			_, old := w.labelled(grant.StageCurrent)
			w.start(token(1))
			for _, step := range sim.RotationSteps[:i+1] {
				w.must(w.step(step, token(1)))
			}
			w.must(w.Redeploy(w.ctx, w.plan))
			w.lets()
			if err := w.step(sim.RotationSteps[min(i+1, 3)], token(1)); err == nil {
				t.Error("the next step went on over a birth document")
			}
			w.lets()
			w.looks()
			w.lets(old)
			w.must(w.RunRotations(w.ctx))
			w.lets(old, w.valueOf(token(1)))
		})
	}
}

func TestNoRunOfReconcileLengthensADeadline(t *testing.T) {
	w := opened(t)
	w.rotated(token(1))
	_, fresh := w.labelled(grant.StageCurrent)
	document := w.document()
	for range 5 {
		w.Advance(time.Hour)
		w.looks()
	}
	if diff := cmp.Diff(document, w.document()); diff != "" {
		t.Error(diff)
	}
	e, _ := last[*events.ExternalIDRotated](w)

	t.Log("a deadline that somebody moved far away is brought back")
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(strings.Replace(document, e.PreviousUntil.Format(time.RFC3339), "2099-01-01T00:00:00Z", 1))))
	w.looks()
	w.Advance(24 * time.Hour)
	w.lets(fresh)

	t.Log("an ID that was taken out by hand stays out")
	w = opened(t)
	w.rotated(token(1))
	_, old := w.labelled(grant.StagePrevious)
	_, fresh = w.labelled(grant.StageCurrent)
	var d struct {
		Version   string
		Statement []map[string]any
	}
	w.must(json.Unmarshal([]byte(w.document()), &d))
	d.Statement = slices.DeleteFunc(d.Statement, func(s map[string]any) bool { return s["Sid"] == trust.SidPrevious })
	without, err := json.Marshal(d)
	w.must(err)
	w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), without))
	w.looks()
	w.lets(fresh)
	if w.enters(provider, old) {
		t.Error("it is back")
	}
}

func TestLabelsThatRunBackwardsAddNothing(t *testing.T) {
	w := opened(t)
	first, old := w.labelled(grant.StageCurrent)
	w.Sleep(w.ctx, 48*time.Hour)
	w.rotated(token(1))
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()
	_, fresh := w.labelled(grant.StageCurrent)
	w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StageCurrent, first, token(1)))
	document := w.document()
	_, err := w.look()
	w.fails(err, grant.ErrBackwards)
	if w.document() != document {
		t.Error("the trust policy changed")
	}
	w.lets(fresh)
	if w.enters(provider, old) {
		t.Error("the old ID is back")
	}
	if e, ok := last[*events.TrustDriftDetected](w); !ok || e.Mended {
		t.Errorf("announced %+v", e)
	}
	t.Log("over a birth document, too")
	w.must(w.Redeploy(w.ctx, w.plan))
	_, err = w.look()
	w.fails(err, grant.ErrBackwards)
	w.lets()
}

func TestForeignEditsAreAnnouncedAndOursAreMended(t *testing.T) {
	edit := func(w *world, from, to string) {
		t.Helper()
		edited := strings.Replace(w.document(), from, to, 1)
		if edited == w.document() {
			t.Fatalf("%s is not in %s", from, w.document())
		}
		w.must(w.IAM.SetTrust(w.ctx, w.plan.RoleName(), []byte(edited)))
	}
	t.Run("a statement of ours is mended, and every time it is news", func(t *testing.T) {
		w := opened(t)
		_, id := w.labelled(grant.StageCurrent)
		for range 2 {
			w.Advance(time.Hour)
			edit(w, "Engineers-*", "*")
			w.looks()
			w.lets(id)
		}
		told := w.told()
		if diff := cmp.Diff([]string{"Access Granted", "Trust Drift Detected", "Trust Drift Detected"}, told); diff != "" {
			t.Error(diff)
		}
		if e, _ := last[*events.TrustDriftDetected](w); !e.Mended || len(e.Findings) == 0 {
			t.Errorf("announced %+v", e)
		}
	})
	t.Run("another one's statement is left alone, announced once, and rotations refuse", func(t *testing.T) {
		w := opened(t)
		_, id := w.labelled(grant.StageCurrent)
		edit(w, `"Statement":[`, `"Statement":[{"Sid":"Eve","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999900001111:root"},"Action":"sts:AssumeRole"},`)
		for range 3 {
			w.Advance(time.Hour)
			_, err := w.look()
			w.fails(err, trust.ErrRefused)
		}
		if diff := cmp.Diff([]string{"Access Granted", "Trust Drift Detected"}, w.told()); diff != "" {
			t.Error(diff)
		}
		w.start(token(1))
		w.fails(w.RunRotations(w.ctx), trust.ErrRefused)
		if !w.enters(provider, id) {
			t.Error("the provider was locked out")
		}
		if _, ok := last[*events.RotationFailed](w); !ok {
			t.Error("the refusal was not announced")
		}
		t.Log("a revoke works all the same")
		w.revoked()
		if w.enters(third, "") || w.enters(provider, id) {
			t.Error("somebody gets in")
		}
	})
	t.Run("the ID taken out: rotations refuse until reconcile has mended it", func(t *testing.T) {
		w := opened(t)
		_, id := w.labelled(grant.StageCurrent)
		edit(w, id, "hestio-abcdefghijklmnopqrstuvwxyz012345")
		w.start(token(1))
		w.fails(w.RunRotations(w.ctx), grant.ErrDrift)
		if e, ok := last[*events.RotationFailed](w); !ok || e.Next == "" {
			t.Errorf("announced %+v", e)
		}
		w.looks()
		w.lets(id)
		w.Sleep(w.ctx, time.Hour)
		w.lets(id, w.valueOf(token(1)))
	})
	t.Run("a document that nobody can read", func(t *testing.T) {
		w := opened(t)
		document := []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"X","Sid":"Y","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999900001111:root"},"Action":"sts:AssumeRole"}]}`)
		if err := w.IAM.SetTrust(w.ctx, w.plan.RoleName(), document); err != nil {
			t.Logf("IAM refuses it too: %v", err)
			return
		}
		_, err := w.look()
		w.fails(err, trust.ErrRefused)
		w.revoked()
		w.lets()
	})
}

func TestAForeignValueInTheSecretChangesNothing(t *testing.T) {
	w := opened(t)
	_, id := w.labelled(grant.StageCurrent)
	w.Advance(time.Hour)
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, "0123456789abcdef0123456789abcdef", []byte(
		`{"grant":"migration","roleArn":"`+w.plan.RoleARN+`","externalId":"evil"}`)))
	_, err := w.look()
	w.fails(err, grant.ErrForeignValue)
	w.lets(id)
	w.must(w.deploy("Update")) // a deploy neither made nor mends it
	w.lets(id)
}

func TestAGrantEndsOnceAndIsAnnouncedOnce(t *testing.T) {
	w := opened(t, func(p *grant.Plan) { p.Expires = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) })
	_, id := w.labelled(grant.StageCurrent)
	w.lets(id)
	w.Advance(w.plan.Expires.Sub(w.Now()))
	w.lets()
	for range 3 {
		w.looks()
	}
	w.rotated(token(1))
	w.lets()
	if diff := cmp.Diff([]string{"Access Granted", "Access Expired", "External ID Rotated"}, w.told()); diff != "" {
		t.Error(diff)
	}
}

func TestAGrantWithoutAnExternalID(t *testing.T) {
	w := deployedWithoutID(t)
	if w.enters(provider, "") {
		t.Fatal("born open")
	}
	w.must(w.deploy("Create"))
	if !w.enters(provider, "") || w.enters(third, "") {
		t.Error("not open to the provider alone")
	}
	if diff := cmp.Diff([]string{"Access Granted"}, w.told()); diff != "" {
		t.Error(diff)
	}
	w.revoked()
	if w.enters(provider, "") {
		t.Error("open while revoked")
	}
	w.must(w.Redeploy(w.ctx, w.plan))
	w.must(w.deploy("Update"))
	if w.enters(provider, "") {
		t.Error("a deploy opened it")
	}
}

func TestTheThreeKindsOfPayload(t *testing.T) {
	w := opened(t)
	var answer cfn.Response
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPut || json.Unmarshal(body, &answer) != nil {
			t.Errorf("%s %s", r.Method, body)
		}
	}))
	defer server.Close()
	request := func(kind, resource, properties, old string) cfn.Response {
		t.Helper()
		answer = cfn.Response{}
		_, err := w.Reconciler.Handle(w.ctx, json.RawMessage(`{"RequestType":"`+kind+`","ResponseURL":"`+server.URL+`","RequestId":"r","StackId":"s","LogicalResourceId":"l",
			"PhysicalResourceId":"p","ResourceType":"`+resource+`","ResourceProperties":`+properties+`,"OldResourceProperties":`+old+`}`))
		w.must(err)
		return answer
	}
	if a := request("Update", "Custom::Grant", `{"Grant":"migration"}`, `{}`); a.Status != cfn.StatusSuccess || a.PhysicalResourceID != "countersign-migration" || a.RequestID != "r" {
		t.Errorf("%+v", a)
	}
	if a := request("Update", "Custom::Grant", `{"Grant":"other"}`, `{}`); a.Status != cfn.StatusFailed || a.Reason == "" {
		t.Errorf("%+v", a)
	}
	for _, c := range []struct {
		kind, now, old string
		status         cfn.StatusType
	}{
		{"Create", `{"Shards":"1","ReshardedFrom":"0"}`, `{}`, cfn.StatusSuccess},
		{"Update", `{"Shards":"2","ReshardedFrom":"0"}`, `{"Shards":"2","ReshardedFrom":"0"}`, cfn.StatusSuccess},
		{"Update", `{"Shards":"2","ReshardedFrom":"0"}`, `{"Shards":"1","ReshardedFrom":"0"}`, cfn.StatusFailed},
		{"Update", `{"Shards":2,"ReshardedFrom":1}`, `{"Shards":"1","ReshardedFrom":"0"}`, cfn.StatusSuccess},
		{"Update", `{"Shards":"3","ReshardedFrom":"1"}`, `{"Shards":"2","ReshardedFrom":"1"}`, cfn.StatusFailed},
		{"Delete", `{"Shards":"2","ReshardedFrom":"0"}`, `{}`, cfn.StatusSuccess},
	} {
		if a := request(c.kind, "Custom::Layout", c.now, c.old); a.Status != c.status {
			t.Errorf("%s %s: %+v", c.kind, c.now, a)
		}
	}

	if _, err := w.Reconciler.Handle(w.ctx, json.RawMessage(`{"reconcile":"all"}`)); err != nil {
		t.Error(err)
	}
	out, err := w.Reconciler.Handle(w.ctx, json.RawMessage(`{"Records":[
		{"messageId":"1","body":"{\"grant\":\"migration\"}"},{"messageId":"2","body":"{\"grant\":\"other\"}"},{"messageId":"3","body":"x"}]}`))
	w.must(err)
	if diff := cmp.Diff(lambdaevents.SQSEventResponse{BatchItemFailures: []lambdaevents.SQSBatchItemFailure{}}, out); diff != "" {
		t.Error(diff)
	}
	w.Schedule = func(c sim.Call) sim.Outcome { return sim.Outcome{Fault: sim.Throttle} }
	out, err = w.Reconciler.Handle(w.ctx, json.RawMessage(`{"Records":[{"messageId":"1","body":"{\"grant\":\"migration\"}"}]}`))
	w.Schedule = nil
	w.must(err)
	if r, ok := out.(lambdaevents.SQSEventResponse); !ok || len(r.BatchItemFailures) != 1 || r.BatchItemFailures[0].ItemIdentifier != "1" {
		t.Errorf("%+v", out)
	}
	for _, payload := range []string{`{}`, `[]`, `{"reconcile":"one"}`} {
		if _, err := w.Reconciler.Handle(w.ctx, json.RawMessage(payload)); err == nil {
			t.Errorf("%s accepted", payload)
		}
	}
}

func TestABirthThatCannotSucceedFailsTheDeployWithTheReason(t *testing.T) {
	w := deployed(t, func(p *grant.Plan) { p.Quota = 200 })
	err := w.deploy("Create")
	if err == nil || !strings.Contains(err.Error(), "quota") && !strings.Contains(err.Error(), "can't be edited") {
		t.Errorf("got %v", err)
	}
	w.lets()
	if took := w.Now().Sub(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); took > 2*time.Minute {
		t.Errorf("it took %s to say so", took)
	}

	w = deployed(t, func(p *grant.Plan) { p.Principals = []string{"arn:aws:iam::111122223333:role/Nobody"} })
	err = w.deploy("Create")
	if err == nil || !strings.Contains(err.Error(), "principal") {
		t.Errorf("got %v", err)
	}
	w.lets()
}

func TestAReplacedRoleGetsAnIDOfItsOwn(t *testing.T) {
	w := opened(t)
	_, old := w.labelled(grant.StageCurrent)
	moved := w.plan
	moved.RoleARN = strings.Replace(moved.RoleARN, "ServiceProvider-migration", "Vendor", 1)
	_, err := w.IAM.CreateRole("Vendor", []byte(trust.BornDocument), sim.RoleOptions{Path: "/countersign/"})
	w.must(err)
	w.IAM.DeleteRole(w.plan.RoleName())
	w.must(w.Redeploy(w.ctx, moved))
	w.plan = moved
	w.must(w.deploy("Update"))
	_, id := w.labelled(grant.StageCurrent)
	if id == old {
		t.Error("the ID of another role was taken")
	}
	w.lets(id)
}

func TestABirthWaitsWhileSecretsManagerTriesTheSchedule(t *testing.T) {
	w := deployed(t)
	// Where a schedule is made and nothing shall rotate at once, Secrets Manager tests with a pending version, which it removes.
	const trial = "0123456789abcdef0123456789abcdef"
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, trial, []byte(grant.BornSecret), grant.StagePending))
	until, wait := w.Now().Add(90*time.Second), w.Reconciler.Wait
	removed := false
	w.Reconciler.Wait = func(ctx context.Context, d time.Duration) error {
		if !removed && w.Now().After(until) {
			w.must(w.Secrets.MoveStage(w.ctx, w.plan.SecretARN, grant.StagePending, "", trial))
			removed = true
		}
		return wait(ctx, d)
	}
	w.must(w.deploy(cfn.RequestCreate))
	_, id := w.labelled(grant.StageCurrent)
	w.lets(id)
}
