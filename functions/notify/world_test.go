package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

const (
	signingSecret = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-XyZ123"
	signingKey    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	topic         = "arn:aws:sns:eu-west-1:444455556666:ops-alerts"
	scheduled     = "8c1e5f0a-6b7c-4d8e-9f10-213243546576"
	leaked        = "cut-0123456789abcdef0123456789abcdef"
	revocation    = "rv-20260901T160200Z-5d0c2e9a"
)

var (
	now     = time.Date(2026, 2, 4, 3, 0, 25, 0, time.UTC)
	created = time.Date(2026, 2, 4, 3, 0, 3, 400e6, time.UTC)
)

// world is everything that notify reaches, and what it did there.
type world struct {
	t        *testing.T
	plans    map[grant.Name]grant.Plan
	versions []grant.VersionInfo
	secrets  map[string]string
	keyed    time.Time        // when the signing key was put in
	fail     map[string]error // by the first words of an act, as "mail b@"
	status   int              // of the webhooks' receivers

	did  []string // the acts, in order
	mail []deliver.Mail
	hook []*http.Request
	body [][]byte
	bus  []events.Event
	log  bytes.Buffer
	Handler
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, status: 200, keyed: now.AddDate(0, -1, 0), fail: map[string]error{}, secrets: map[string]string{signingSecret: signingKey},
		plans: map[grant.Name]grant.Plan{"migration": plan("migration"), "audit": plan("audit"), "elsewhere": plan("elsewhere")},
		versions: []grant.VersionInfo{
			{ID: scheduled, Stages: []string{grant.StageCurrent, grant.StagePending}, Created: created},
			{ID: "birth-4f0c8e1d2b3a49586776859493a2b1c0", Stages: []string{grant.StagePrevious}, Created: created.AddDate(0, -1, 0)},
		},
	}
	w.Handler = Handler{
		Plans: w, Secrets: w, Mail: w, Topics: w, Bus: w, HTTP: w,
		Grants: map[grant.Name]bool{"migration": true, "audit": true}, MailFrom: "countersign@example.com", StackVersion: "1.0.0",
		Now: func() time.Time { return now }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	return w
}

func plan(name grant.Name) grant.Plan {
	return grant.Plan{
		Grant: name, Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-west-1",
		RoleARN:    "arn:aws:iam::444455556666:role/countersign/ServiceProvider-" + string(name),
		SecretARN:  "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/" + string(name) + "-Ab3dEf",
		KeyARN:     "arn:aws:kms:eu-west-1:444455556666:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
		Principals: []string{"111122223333"}, Overlap: grant.Duration(24 * time.Hour),
		Notify: grant.Notify{
			Mail:    []string{"a@hestio.example", "b@hestio.example"},
			Webhook: []grant.Webhook{{URL: "https://hooks.hestio.example/" + string(name), Secret: signingSecret}},
			SNS:     []string{topic},
		},
	}
}

func (w *world) act(format string, args ...any) error {
	did := fmt.Sprintf(format, args...)
	w.did = append(w.did, did)
	for prefix, err := range w.fail {
		if strings.HasPrefix(did, prefix) {
			return err
		}
	}
	return nil
}

func (w *world) Plan(_ context.Context, name grant.Name) (grant.Plan, error) {
	p, ok := w.plans[name]
	if !ok {
		return p, fmt.Errorf("plan of %s: %w", name, grant.ErrNotConfigured)
	}
	return p, w.act("plan %s", name)
}

func (w *world) Versions(_ context.Context, arn string) ([]grant.VersionInfo, error) {
	return w.versions, w.act("versions %s", arn)
}

// AtStage: w.secrets holds the current value by ARN, and the one before by ARN and label.
func (w *world) AtStage(_ context.Context, arn, stage string) (grant.Version, error) {
	if stage == grant.StageCurrent {
		return grant.Version{Value: []byte(w.secrets[arn]), Created: w.keyed}, w.act("secret %s", arn)
	}
	err := w.act("%s of secret %s", stage, arn)
	if value, ok := w.secrets[arn+" "+stage]; ok {
		return grant.Version{Value: []byte(value)}, err
	}
	return grant.Version{}, errors.Join(err, grant.ErrNotFound)
}

func (w *world) SendMail(ctx context.Context, m deliver.Mail) error {
	if _, err := m.MIME(); err != nil {
		return err
	}
	w.mail = append(w.mail, m)
	return w.act("mail %s", strings.Join(m.To, ","))
}

func (w *world) Publish(_ context.Context, arn, subject, message string) error {
	return w.act("sns %s %s", arn, subject)
}

func (w *world) Put(_ context.Context, e events.Event) error {
	w.bus = append(w.bus, e)
	return w.act("event %s", e.Data.Type())
}

// Do stands for the guarded client, which package deliver tests.
func (w *world) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	w.hook, w.body = append(w.hook, r), append(w.body, body)
	if err := w.act("webhook %s", r.URL); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: w.status, Body: http.NoBody, Request: r}, nil
}

// told are the acts that somebody outside notices.
func (w *world) told() []string {
	var out []string
	for _, did := range w.did {
		switch what, _, _ := strings.Cut(did, " "); what {
		case "mail", "webhook", "sns":
			out = append(out, did)
		}
	}
	return out
}

// outcomes are the events about deliveries: "mail 1 ok", "webhook 1 the endpoint answered 503".
func (w *world) outcomes() []string {
	var out []string
	for _, e := range w.bus {
		switch d := e.Data.(type) {
		case events.DeliverySucceeded:
			out = append(out, d.Destination+" ok")
		case events.DeliveryFailed:
			out = append(out, d.Destination+" "+d.Reason)
		}
	}
	return out
}

// where is what an event says of ARNs: here another's, which must show nowhere.
var where = events.Where{
	Provider: "mallory", ProviderAccount: "666666666666", Account: "777777777777",
	RoleARN: "arn:aws:iam::777777777777:role/Forged", SecretARN: "arn:aws:secretsmanager:us-east-1:777777777777:secret:countersign/forged-Ab3dEf",
	KeyARN: "arn:aws:kms:us-east-1:777777777777:key/forged",
}

func event(name string, data events.Data) events.Event {
	return events.New(name, "change", "1.0.0", now, data)
}

func rotated(version string) events.Data {
	return events.ExternalIDRotated{Where: where, VersionID: version, Cause: "scheduled", PreviousUntil: now.AddDate(10, 0, 0)}
}

// body is an event as EventBridge puts it into the queue.
func body(t *testing.T, e events.Event) string {
	t.Helper()
	envelope, err := events.Enclose(e)
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// handle delivers a batch and answers with the ids of the messages that failed: "m1", "m2", …
func (w *world) handle(bodies ...string) []string {
	w.t.Helper()
	return w.handleWithin(w.t.Context(), bodies...)
}

func (w *world) handleWithin(ctx context.Context, bodies ...string) []string {
	w.t.Helper()
	var in lambdaevents.SQSEvent
	for i, b := range bodies {
		in.Records = append(in.Records, lambdaevents.SQSMessage{
			MessageId: fmt.Sprintf("m%d", i+1), Body: b, Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		})
	}
	answer, err := w.Handle(ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.BatchItemFailures == nil {
		w.t.Error("a null list makes Lambda count the whole batch as failed")
	}
	var failed []string
	for _, f := range answer.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}
