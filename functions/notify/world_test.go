package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
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

// sent is a message on the queue.
type sent struct {
	body  string
	delay time.Duration
}

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
	tags map[string]string // of the signing secrets
	sent []sent            // onto the queue, and not received yet
	dead []string
	hid  []time.Duration
	log  bytes.Buffer
	said []events.Envelope // in the trail
	Handler
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, status: 200, keyed: now.AddDate(0, -1, 0), tags: map[string]string{}, fail: map[string]error{}, secrets: map[string]string{signingSecret: signingKey},
		plans: map[grant.Name]grant.Plan{"migration": plan("migration"), "audit": plan("audit"), "elsewhere": plan("elsewhere")},
		versions: []grant.VersionInfo{
			{ID: scheduled, Stages: []string{grant.StageCurrent, grant.StagePending}, Created: created},
			{ID: "birth-4f0c8e1d2b3a49586776859493a2b1c0", Stages: []string{grant.StagePrevious}, Created: created.AddDate(0, -1, 0)},
		},
	}
	w.Handler = Handler{
		Plans: w, Secrets: w, Mail: w, Topics: w, Bus: w, Trail: w, HTTP: w, Queue: w, Dead: letters{w},
		Grants: map[grant.Name]bool{"migration": true, "audit": true}, MailFrom: "countersign@example.com", StackVersion: "1.0.0",
		Now: func() time.Time { return now }, Rand: zero{}, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
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
			{Channel: grant.Mail, Address: "a@hestio.example"}, {Channel: grant.Mail, Address: "b@hestio.example"},
			{Channel: grant.Webhook, Address: "https://hooks.hestio.example/" + string(name), Secret: signingSecret},
			{Channel: grant.SNS, Address: topic},
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

func (w *world) Describe(_ context.Context, arn string) (grant.Secret, error) {
	s := grant.Secret{ARN: arn, Tags: w.tags, Stages: map[string][]string{}}
	if arn != signingSecret {
		s.Tags = map[string]string{grant.FactGranted.AnnouncedTag(): "birth-4f0c8e1d2b3a49586776859493a2b1c0"}
		for _, v := range w.versions {
			s.Stages[v.ID] = v.Stages
		}
	}
	return s, w.act("describe %s", arn)
}

func (w *world) Tag(_ context.Context, arn string, tags map[string]string) error {
	err := w.act("tag %s", arn)
	if err == nil {
		maps.Copy(w.tags, tags)
	}
	return err
}

func (w *world) Send(_ context.Context, body []byte, delay time.Duration) error {
	err := w.act("send %s", delay)
	if err == nil {
		w.sent = append(w.sent, sent{string(body), delay})
	}
	return err
}

func (w *world) Hide(_ context.Context, _ string, d time.Duration) error {
	w.hid = append(w.hid, d)
	return w.act("hide %s", d)
}

func (w *world) Delete(_ context.Context, receipt string) error { return w.act("delete %s", receipt) }

// letters are the dead ones.
type letters struct{ w *world }

func (l letters) Send(_ context.Context, body []byte, _ time.Duration) error {
	err := l.w.act("bury")
	if err == nil {
		l.w.dead = append(l.w.dead, string(body))
	}
	return err
}

// zero is randomness without a surprise: no jitter.
type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

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

// Since: what the bus takes comes into the trail, see keep.
func (w *world) Since(_ context.Context, from time.Time) (out []events.Envelope, err error) {
	for _, e := range w.said {
		if !e.Time.Before(from) {
			out = append(out, e)
		}
	}
	return out, w.act("trail since %s", from.Format(time.DateOnly))
}

// keep writes an event into the trail.
func (w *world) keep(e events.Event) {
	w.t.Helper()
	envelope, err := events.Enclose(e)
	if err != nil {
		w.t.Fatal(err)
	}
	envelope.Time = e.Metadata.Time
	w.said = append(w.said, envelope)
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

// handle delivers a batch, and then each delivery that comes of it at once, by itself. It answers with the ids of the messages
// that failed: "m1", "m2", … of the batch, "d" of a delivery.
func (w *world) handle(bodies ...string) []string {
	w.t.Helper()
	failed := w.handleWithin(w.t.Context(), bodies...)
	for i := 0; i < len(w.sent); {
		next := w.sent[i]
		if next.delay > 0 {
			i++
			continue
		}
		w.sent = slices.Delete(w.sent, i, i+1)
		if w.handleWithin(w.t.Context(), next.body) != nil {
			failed = append(failed, "d")
		}
	}
	return failed
}

func (w *world) handleWithin(ctx context.Context, bodies ...string) []string {
	w.t.Helper()
	var in lambdaevents.SQSEvent
	for i, b := range bodies {
		in.Records = append(in.Records, message(fmt.Sprintf("m%d", i+1), b, 1))
	}
	return w.failures(ctx, in)
}

func message(id, body string, receives int) lambdaevents.SQSMessage {
	return lambdaevents.SQSMessage{
		MessageId: id, ReceiptHandle: "receipt of " + id, Body: body, Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(receives)},
	}
}

func (w *world) failures(ctx context.Context, in lambdaevents.SQSEvent) (failed []string) {
	w.t.Helper()
	answer, err := w.Handle(ctx, in)
	if err != nil {
		w.t.Fatal(err)
	}
	if answer.BatchItemFailures == nil {
		w.t.Error("a null list makes Lambda count the whole batch as failed")
	}
	for _, f := range answer.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}

// waiting are the deliveries on the queue: "webhook 1 attempt 2 in 5s".
func (w *world) waiting() (out []string) {
	w.t.Helper()
	for _, s := range w.sent {
		in, err := (&batch{Handler: &w.Handler}).read(s.body)
		d := in.delivery
		if err != nil || d == nil {
			w.t.Fatalf("on the queue: %s: %v", s.body, err)
		}
		to, ok := find(w.plans[d.Grant], *d)
		if !ok {
			w.t.Fatalf("on the queue: %s: to nobody", s.body)
		}
		out = append(out, fmt.Sprintf("%s attempt %d in %s", to.Name, d.Attempt, d.NotBefore.Sub(w.Now())))
	}
	return out
}
