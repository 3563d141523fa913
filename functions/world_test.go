// Package functions_test tells stories about the functions together, on the embedded AWS.
package functions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/internal/door"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const (
	customer = simtest.Customer
	provider = simtest.Provider
	third    = simtest.Stranger
	operator = simtest.Operator
	settle   = simtest.Settle
)

// world is an account with one grant, its functions, and everything that they logged.
type world struct {
	*simtest.World
	t    *testing.T
	ctx  context.Context
	log  bytes.Buffer
	read map[metric.Name]int // how much of the log was read for a metric

	plan grant.Plan
	gone []string // external IDs that lay in a secret which is deleted
}

// newWorld is an account where nothing is deployed yet.
func newWorld(t *testing.T, seed uint64, change ...func(*sim.Config)) *world {
	w := &world{t: t, ctx: context.WithoutCancel(t.Context()), plan: migration()}
	aws := sim.Config{Seed: seed, Timeout: 5 * time.Minute}
	for _, c := range change {
		c(&aws)
	}
	log := slog.New(slog.NewJSONHandler(&w.log, nil))
	w.World = simtest.New(simtest.Config{AWS: aws, Log: log})
	meter := metric.Meter{Log: log, Stack: "ServiceProviderAccess", Ages: true, Now: w.Now}
	w.Rotator.Meter, w.Reconciler.Meter, w.Revoker.Meter = meter, meter, meter
	return w
}

func migration() grant.Plan { return simtest.Migration() }

// deployed is a world whose stack is deployed as CloudFormation does it up to Custom::Grant: the role is born closed.
func deployed(t *testing.T, change ...func(*grant.Plan)) *world {
	t.Helper()
	w := newWorld(t, 0)
	for _, c := range change {
		c(&w.plan)
	}
	w.must(w.Create(w.plan, sim.Policy{Name: "s3", Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`}))
	t.Cleanup(func() { w.nothingLeaked() })
	return w
}

// opened is a deployed world whose grant has its first ID.
func opened(t *testing.T, change ...func(*grant.Plan)) *world {
	t.Helper()
	w := deployed(t, change...)
	w.must(w.deploy(cfn.RequestCreate))
	w.ResetCalls()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fails asserts the kind of an error.
func (w *world) fails(err, kind error) {
	w.t.Helper()
	if !errors.Is(err, kind) {
		w.t.Fatalf("got error %v, want %v", err, kind)
	}
}

// deploy runs Custom::Grant's request.
func (w *world) deploy(kind cfn.RequestType) error { return w.CustomGrant(w.ctx, "migration", kind) }

// look is one run of reconcile.
func (w *world) look() (reconcile.State, error) { return w.Reconcile(w.ctx, "migration") }

// looks is look that must succeed.
func (w *world) looks() {
	w.t.Helper()
	_, err := w.look()
	w.must(err)
}

// start starts a rotation and returns its token.
func (w *world) start(token string) string {
	w.t.Helper()
	w.must(w.Secrets.Rotate(w.ctx, w.plan.SecretARN, token))
	return token
}

// rotated runs a whole rotation.
func (w *world) rotated(token string) {
	w.t.Helper()
	w.start(token)
	w.must(w.RunRotations(w.ctx))
}

// step runs one step of a rotation.
func (w *world) step(name, token string) error {
	return w.Secrets.InvokeStep(w.ctx, sim.RotationEvent{Step: name, SecretID: w.plan.SecretARN, ClientRequestToken: token})
}

// token makes a version id as Secrets Manager does for a scheduled rotation.
func token(n int) string { return fmt.Sprintf("%08d-6b7c-4d8e-9f10-213243546576", n) }

// labelled is the version at a label and the external ID that lies there, "" where there is none.
func (w *world) labelled(stage string) (versionID, id string) {
	w.t.Helper()
	quiet := w.quiet()
	defer quiet()
	s, err := w.Secrets.Describe(w.ctx, w.plan.SecretARN)
	w.must(err)
	versionID = s.At(stage)
	return versionID, w.valueOf(versionID)
}

// valueOf is the external ID of a version.
func (w *world) valueOf(versionID string) string {
	quiet := w.quiet()
	defer quiet()
	v, err := w.Secrets.Version(w.ctx, w.plan.SecretARN, versionID)
	if err != nil {
		return ""
	}
	var value struct {
		ExternalID string `json:"externalId"`
	}
	if json.Unmarshal(v.Value, &value) != nil {
		return "" // none of ours
	}
	return value.ExternalID
}

// busDown has the bus take nothing until Schedule is nil again.
func (w *world) busDown() {
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "PutEvents" {
			return sim.Outcome{Fault: sim.Fail}
		}
		return sim.Outcome{}
	}
}

// quiet switches faults off until the function that it returns is called.
func (w *world) quiet() func() {
	schedule := w.Schedule
	w.Schedule = nil
	return func() { w.Schedule = schedule }
}

// enters says whether somebody gets in with an ID.
func (w *world) enters(who, id string) bool {
	return w.STS.Verdict(who, w.plan.RoleARN, id, "jdoe", sim.Assume{}).Effect == "allow"
}

// lets asserts who gets in: exactly those of the IDs, only the provider, and nobody without an ID.
func (w *world) lets(in ...string) {
	w.t.Helper()
	for _, id := range w.allIDs() {
		if got, want := w.enters(provider, id), slices.Contains(in, id); got != want {
			w.t.Errorf("%s: provider with %s gets in: %v, want %v", w.Now().Format(time.DateTime), id[len(id)-4:], got, want)
		}
		if w.enters(third, id) {
			w.t.Errorf("a third account gets in with %s", id[len(id)-4:])
		}
	}
	for _, id := range []string{"", "wrong-id"} {
		if w.enters(provider, id) && !w.plan.NoExternalID {
			w.t.Errorf("the provider gets in with the ID %q", id)
		}
	}
}

// allIDs are all external IDs that lie in the secret, under whatever label or none.
func (w *world) allIDs() []string {
	var ids []string
	for _, versionID := range w.everyVersion() {
		if id := w.valueOf(versionID); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// everyVersion are the version ids that the calls and labels tell of.
func (w *world) everyVersion() []string {
	quiet := w.quiet()
	defer quiet()
	s, err := w.Secrets.Describe(w.ctx, w.plan.SecretARN)
	w.must(err)
	var out []string
	for id := range s.Stages {
		out = append(out, id)
	}
	for line := range strings.Lines(w.log.String()) {
		var entry struct {
			VersionID string `json:"version_id"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.VersionID != "" {
			out = append(out, entry.VersionID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// told lists the types of the events on the bus, in their order; repeats of one event count once.
func (w *world) told() []string {
	var out []string
	seen := map[string]bool{}
	for _, e := range w.Bus("countersign").Events() {
		if !seen[e.Metadata.ID] {
			out = append(out, string(e.Data.Type()))
		}
		seen[e.Metadata.ID] = true
	}
	return out
}

// last is the latest event of a type.
func last[T events.Data](w *world) (data T, ok bool) {
	for _, e := range w.Bus("countersign").Events() {
		if d, is := e.Data.(T); is {
			data, ok = d, true
		}
	}
	return data, ok
}

// tags are the secret's.
func (w *world) tags() map[string]string {
	quiet := w.quiet()
	defer quiet()
	s, err := w.Secrets.Describe(w.ctx, w.plan.SecretARN)
	w.must(err)
	return s.Tags
}

// document is the role's trust policy, deny its CountersignRevocation.
func (w *world) document() string {
	quiet := w.quiet()
	defer quiet()
	r, err := w.IAM.Role(w.ctx, w.plan.RoleName())
	w.must(err)
	return string(r.Trust)
}

func (w *world) denied() bool {
	quiet := w.quiet()
	defer quiet()
	p, err := w.IAM.InlinePolicy(w.ctx, w.plan.RoleName(), grant.RevocationPolicy)
	w.must(err)
	return grant.ReadRevocation(p).Denies
}

// call sends a request to a function behind the API.
func (w *world) call(handle func(context.Context, door.Request) (door.Response, error), method, path, body, caller string) (int, string) {
	w.t.Helper()
	r := door.Request{HTTPMethod: method, Path: path, Body: body}
	r.RequestContext.Identity = lambdaevents.APIGatewayRequestIdentity{UserArn: caller, AccountID: strings.Split(caller+":::::", ":")[4]}
	response, err := handle(sim.As(w.ctx, "api"), r)
	w.must(err)
	return response.StatusCode, response.Body
}

// revoked revokes as an operator.
func (w *world) revoked() {
	w.t.Helper()
	if status, body := w.call(w.Revoker.Handle, http.MethodPost, "/grants/migration/revoke", `{"reason":"project ended"}`, operator); status != http.StatusAccepted {
		w.t.Fatalf("revoke answers %d: %s", status, body)
	}
}

// deletes deletes the stack.
func (w *world) deletes() {
	w.t.Helper()
	w.gone = w.allIDs()
	w.must(w.Stacks.Delete(w.ctx, stackName))
}

// nothingLeaked searches everything that was said for external IDs.
func (w *world) nothingLeaked() {
	w.t.Helper()
	said := map[string]string{"log": w.log.String()}
	for i, e := range w.Bus("countersign").Archive() {
		said[fmt.Sprintf("event %d", i)] = string(e.Detail)
	}
	ids := w.gone
	if ids == nil {
		ids = w.allIDs()
		for key, value := range w.tags() {
			said["tag "+key] = value
		}
	}
	for where, text := range said {
		for _, id := range ids {
			if len(id) < 32 {
				continue // a test's, not ours
			}
			if random := id[len(id)-32:]; strings.Contains(text, random[:12]) || strings.Contains(text, random[20:]) {
				w.t.Errorf("an external ID stands in %s", where)
			}
		}
	}
}

// calls are what an actor did of a service, one line a call.
func calls(records []sim.Record) (lines []string) {
	for _, r := range records {
		lines = append(lines, r.Service+":"+r.Action)
	}
	return lines
}

// deployedWithoutID is a deployed world whose grant has its external ID switched off.
func deployedWithoutID(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, 0)
	w.plan.NoExternalID, w.plan.SecretARN, w.plan.Prefix = true, "", ""
	w.must(w.Create(w.plan))
	return w
}
