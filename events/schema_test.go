package events_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// compiled holds every schema with its formats asserted, not only noted.
func compiled(t tb) map[events.Type]*jsonschema.Schema {
	t.Helper()
	out := map[events.Type]*jsonschema.Schema{}
	for _, typ := range events.Types() {
		src, err := events.Schema(typ)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("urn:schema", doc); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if out[typ], err = c.Compile("urn:schema"); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
	}
	return out
}

func validate(t tb, schema *jsonschema.Schema, src []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

// node walks down a decoded JSON document.
func node(doc any, path ...string) map[string]any {
	for _, key := range path {
		doc = doc.(map[string]any)[key]
	}
	return doc.(map[string]any)
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	for typ, schema := range compiled(t) {
		src, err := events.Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schema, src); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestExamplesFitNoOtherSchema(t *testing.T) {
	schemas := compiled(t)
	for _, typ := range events.Types() {
		src, err := events.Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		for other, schema := range schemas {
			if other != typ && validate(t, schema, src) == nil {
				t.Errorf("the example of %q fits the schema of %q", typ, other)
			}
		}
	}
}

// TestSchemasAreClosed adds an unknown field, and takes away a required one, at every level.
func TestSchemasAreClosed(t *testing.T) {
	for typ, schema := range compiled(t) {
		src, err := events.Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		schemaSrc, err := events.Schema(typ)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range [][]string{{}, {"detail"}, {"detail", "metadata"}, {"detail", "data"}} {
			doc := meaning(t, src)
			node(doc, path...)["externalId"] = "x"
			if schema.Validate(doc) == nil {
				t.Errorf("%s: an unknown field in %v was taken", typ, path)
			}
			where := meaning(t, schemaSrc)
			for _, step := range path {
				where = node(where, "properties", step)
			}
			required := node(where)["required"].([]any)
			if len(required) == 0 {
				t.Errorf("%s: nothing is required in %v", typ, path)
			}
			for _, field := range required {
				doc := meaning(t, src)
				delete(node(doc, path...), field.(string))
				if schema.Validate(doc) == nil {
					t.Errorf("%s: %v without %s was taken", typ, path, field)
				}
			}
		}
	}
}

func TestSchemasRefuseWrongForms(t *testing.T) {
	schemas := compiled(t)
	for _, tt := range []struct {
		typ   events.Type
		path  string
		value any
	}{
		{events.TypeAccessGranted, "metadata.id", "not-hex"},
		{events.TypeAccessGranted, "metadata.version", "2"},
		{events.TypeAccessGranted, "metadata.time", "4 Feb"},
		{events.TypeAccessGranted, "metadata.grant", "Migration"},
		{events.TypeAccessGranted, "metadata.grant", "a\nb"},
		{events.TypeAccessGranted, "data.account", "12"},
		{events.TypeAccessGranted, "data.roleArn", "role/x"},
		{events.TypeAccessGranted, "data.versionId", "short"},
		{events.TypeAccessRevoked, "data.revokeId", "rv-1"},
		{events.TypeExternalIDRotated, "data.cause", "whim"},
		{events.TypeExternalIDRotated, "data.previousUntil", "later"},
		{events.TypeRotationFailed, "data.step", "create"},
		{events.TypeExternalIDConfirmed, "data.by", "somebody"},
		{events.TypeExternalIDConfirmed, "data.versionId", "short"},
		{events.TypeRotationUnconfirmed, "data.reminder", "soon"},
		{events.TypeRotationUnconfirmed, "data.extended", "yes"},
		{events.TypeTrustDriftDetected, "data.mended", "yes"},
		{events.TypeOperationRequested, "data.operation", "revoke"},
		{events.TypeOperationRequested, "data.by", ""},
		{events.TypeDeliveryFailed, "data.destination", "ops@example.com"},
		{events.TypeDeliveryFailed, "data.event", "Delivery Failed"},
		{events.TypeDeliveryFailed, "data.attempt", 0},
		{events.TypeDestinationDisabled, "data.destination", "mail 1"},
		{events.TypeDestinationDisabled, "data.tag", "countersign:revoked"},
		{events.TypeMailUndelivered, "data.destination", "ops@example.com"},
		{events.TypeMailUndelivered, "data.destination", "webhook 1"},
		{events.TypeMailUndelivered, "data.kind", "Bounce"},
		{events.TypeMailUndelivered, "data.cause", "call +1 555 0100"},
		{events.TypeDeliverySucceeded, "data.reason", "said of failures only"},
	} {
		src, err := events.Example(tt.typ)
		if err != nil {
			t.Fatal(err)
		}
		doc := meaning(t, src)
		part, field, _ := strings.Cut(tt.path, ".")
		node(doc, "detail", part)[field] = tt.value
		if schemas[tt.typ].Validate(doc) == nil {
			t.Errorf("%s: %s = %v was taken", tt.typ, tt.path, tt.value)
		}
	}
}

// TestSchemasNameTheFieldsOfTheGoTypes compares both ways: a field added to one must be added to the other.
func TestSchemasNameTheFieldsOfTheGoTypes(t *testing.T) {
	for typ := range bodies {
		src, err := events.Schema(typ)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := events.Parse(typ, []byte(`{"data":{}}`))
		if err != nil {
			t.Fatal(err)
		}
		required, optional := fields(reflect.TypeOf(parsed.Data).Elem())
		data := node(meaning(t, src), "properties", "detail", "properties", "data")
		var wantRequired []string
		for _, field := range data["required"].([]any) {
			wantRequired = append(wantRequired, field.(string))
		}
		// Delivery Failed asks for the reason that Delivery Succeeded leaves out.
		switch typ {
		case events.TypeDeliverySucceeded:
			optional = slices.DeleteFunc(optional, func(f string) bool { return f == "reason" })
		case events.TypeDeliveryFailed:
			required = append(required, "reason")
		}
		slices.Sort(required)
		slices.Sort(wantRequired)
		if diff := cmp.Diff(wantRequired, required); diff != "" {
			t.Errorf("%s: required (-schema +Go):\n%s", typ, diff)
		}
		all := slices.Compact(slices.Sorted(slices.Values(append(required, optional...))))
		if diff := cmp.Diff(slices.Sorted(maps.Keys(data["properties"].(map[string]any))), all); diff != "" {
			t.Errorf("%s: properties (-schema +Go):\n%s", typ, diff)
		}
	}
}

func fields(typ reflect.Type) (required, optional []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			r, o := fields(f.Type)
			required, optional = append(required, r...), append(optional, o...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "" {
			required = append(required, name)
		} else {
			optional = append(optional, name)
		}
	}
	return required, optional
}

// bodies draws a body of each event, from one with nothing optional to a full one.
var bodies = map[events.Type]func(*rapid.T) events.Data{
	events.TypeAccessGranted: func(t *rapid.T) events.Data {
		return events.AccessGranted{Where: where(t), VersionID: maybe(t, version(t)), Expires: maybe(t, date(t))}
	},
	events.TypeAccessExpired: func(t *rapid.T) events.Data { return events.AccessExpired{Where: where(t), Expires: date(t)} },
	events.TypeAccessRevoked: func(t *rapid.T) events.Data {
		return events.AccessRevoked{
			Where: where(t), Reason: rapid.String().Draw(t, "reason"),
			RevokeID: "rv-" + date(t).Format("20060102T150405Z") + "-" + rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "random"),
			By:       rapid.SampledFrom([]string{"unknown", "arn:aws:iam::444455556666:role/Operations"}).Draw(t, "by"),
		}
	},
	events.TypeAccessRestored: func(t *rapid.T) events.Data {
		return events.AccessRestored{
			Where: where(t), VersionID: maybe(t, version(t)), ValidFrom: date(t),
			RevokeID: "rv-" + date(t).Format("20060102T150405Z") + "-" + rapid.StringMatching(`[0-9a-f]{8}`).Draw(t, "random"),
		}
	},
	events.TypeExternalIDRotated: func(t *rapid.T) events.Data {
		return events.ExternalIDRotated{
			Where: where(t), VersionID: version(t), PreviousUntil: maybe(t, date(t)), Extended: rapid.Bool().Draw(t, "extended"),
			Cause: rapid.SampledFrom([]string{"scheduled", "requested", "leaked", "restored"}).Draw(t, "cause"),
		}
	},
	events.TypeExternalIDConfirmed: func(t *rapid.T) events.Data {
		return events.ExternalIDConfirmed{
			Where: where(t), VersionID: version(t), PreviousUntil: maybe(t, date(t)),
			By: rapid.SampledFrom([]string{"provider", "operator"}).Draw(t, "by"),
		}
	},
	events.TypeRotationUnconfirmed: func(t *rapid.T) events.Data {
		return events.RotationUnconfirmed{
			Where: where(t), VersionID: version(t), PreviousUntil: date(t), Extended: rapid.Bool().Draw(t, "extended"),
			Reminder: rapid.SampledFrom([]string{"half", "nine-tenths", "over"}).Draw(t, "reminder"),
		}
	},
	events.TypeRotationFailed: func(t *rapid.T) events.Data {
		return events.RotationFailed{
			Where: where(t), VersionID: version(t), Reason: rapid.String().Draw(t, "reason"), Next: rapid.String().Draw(t, "next"),
			Step: rapid.SampledFrom([]string{"createSecret", "setSecret", "testSecret", "finishSecret"}).Draw(t, "step"),
		}
	},
	events.TypePreviousRetired: func(t *rapid.T) events.Data {
		return events.PreviousRetired{Where: where(t), VersionID: version(t)}
	},
	events.TypeTrustDriftDetected: func(t *rapid.T) events.Data {
		return events.TrustDriftDetected{
			Where: where(t), Findings: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "findings"), Mended: rapid.Bool().Draw(t, "mended"),
		}
	},
	events.TypeGrantReported: func(t *rapid.T) events.Data {
		state := rapid.SampledFrom([]string{"open", "closed"}).Draw(t, "state")
		return events.GrantReported{Where: where(t), State: state, VersionID: maybe(t, version(t)), Expires: maybe(t, date(t)), ConfirmURL: maybe(t, "https://api.example.com/confirm")}
	},
	events.TypeOperationRequested: func(t *rapid.T) events.Data {
		return events.OperationRequested{
			Where: where(t), VersionID: maybe(t, version(t)), Until: maybe(t, date(t)), Reason: rapid.String().Draw(t, "reason"),
			Operation: rapid.SampledFrom([]string{"rotate", "rotate-leaked", "restore", "confirm", "pause", "resume"}).Draw(t, "operation"),
			RevokeID:  maybe(t, "rv-"+date(t).Format("20060102T150405Z")+"-0a1b2c3d"),
			By:        "arn:aws:iam::444455556666:role/Operations",
		}
	},
	events.TypeTestRequested: func(t *rapid.T) events.Data {
		return events.TestRequested{Where: where(t), Reason: rapid.String().Draw(t, "reason"), By: "arn:aws:iam::444455556666:role/Operations"}
	},
	events.TypeDeliverySucceeded: func(t *rapid.T) events.Data { return events.DeliverySucceeded{Delivery: delivery(t)} },
	events.TypeDeliveryFailed: func(t *rapid.T) events.Data {
		d := delivery(t)
		d.Reason = rapid.StringN(1, 200, -1).Draw(t, "reason")
		return events.DeliveryFailed{Delivery: d, Next: maybe(t, date(t))}
	},
	events.TypeDestinationDisabled: func(t *rapid.T) events.Data {
		d := delivery(t)
		if d.Event == events.WeeklyDigest { // a mail's
			d.Event = events.TypeAccessRevoked
		}
		return events.DestinationDisabled{
			EventID: d.EventID, Event: d.Event, Channel: "webhook", Destination: "webhook 2", SecretARN: "arn:aws:secretsmanager:eu-west-1:" + account(t) + ":secret:hook-XyZ123",
			Tag: "countersign:disabled-" + rapid.StringMatching(`[0-9a-f]{16}`).Draw(t, "mark"), Reason: rapid.StringN(1, 200, -1).Draw(t, "reason"),
		}
	},
	events.TypeMailUndelivered: func(t *rapid.T) events.Data {
		return events.MailUndelivered{
			EventID: delivery(t).EventID, Destination: "mail 2", Permanent: rapid.Bool().Draw(t, "permanent"),
			Kind:  rapid.SampledFrom([]string{events.MailBounced, events.MailComplaint, events.MailRejected, events.MailUnrendered}).Draw(t, "kind"),
			Cause: maybe(t, "OnAccountSuppressionList"),
		}
	},
}

func maybe[T any](t *rapid.T, v T) T {
	if rapid.Bool().Draw(t, "present") {
		return v
	}
	return *new(T)
}

func account(t *rapid.T) string { return rapid.StringMatching(`[0-9]{12}`).Draw(t, "account") }
func version(t *rapid.T) string {
	return rapid.StringMatching(`(birth-|cut-|restore-)?[0-9a-f]{32}`).Draw(t, "version")
}
func date(t *rapid.T) time.Time {
	return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "date"), 0).UTC()
}

func where(t *rapid.T) events.Where {
	a := account(t)
	return events.Where{
		Provider: rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "provider"), ProviderAccount: account(t), Account: a,
		RoleARN:   "arn:aws:iam::" + a + ":role/" + rapid.StringMatching(`(countersign/)?[\w+=,.@-]{1,64}`).Draw(t, "role"),
		SecretARN: maybe(t, "arn:aws-cn:secretsmanager:cn-north-1:"+a+":secret:countersign/x-Ab3dEf"),
		KeyARN:    maybe(t, "arn:aws-us-gov:kms:us-gov-west-1:"+a+":key/0f1e"),
	}
}

func delivery(t *rapid.T) events.Delivery {
	channel := rapid.SampledFrom([]string{"mail", "webhook", "sns"}).Draw(t, "channel")
	told := slices.DeleteFunc(events.Types(), func(t events.Type) bool {
		return strings.HasPrefix(string(t), "Delivery") || t == events.TypeOperationRequested || t == events.TypeGrantReported
	})
	told = append(told, events.WeeklyDigest)
	var sentAgain time.Time
	if rapid.Bool().Draw(t, "sent again") {
		sentAgain = date(t)
	}
	return events.Delivery{
		SentAgain: sentAgain,
		EventID:   rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "event id"), Event: rapid.SampledFrom(told).Draw(t, "event"),
		Channel: channel, Destination: channel + " " + rapid.StringMatching(`[1-9][0-9]?`).Draw(t, "place"), Attempt: rapid.IntRange(1, 12).Draw(t, "attempt"),
	}
}

func TestWhateverIsEmittedFitsItsSchema(t *testing.T) {
	schemas := compiled(t)
	if diff := cmp.Diff(events.Types(), slices.Sorted(maps.Keys(bodies))); diff != "" {
		t.Fatalf("bodies are drawn of other types (-all +drawn):\n%s", diff)
	}
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(events.Types()).Draw(t, "type")
		grant := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,39}`).Draw(t, "grant")
		event := events.New(grant, rapid.String().Draw(t, "change"), "1.0.0", date(t), bodies[typ](t))
		envelope, err := events.Enclose(event)
		if err != nil {
			t.Fatal(err)
		}
		src, err := json.Marshal(envelope)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, schemas[typ], src); err != nil {
			t.Fatalf("%s does not fit: %v", src, err)
		}
		back, err := envelope.Event()
		if err != nil {
			t.Fatal(err)
		}
		again, err := events.Enclose(back)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(envelope.Detail), string(again.Detail)); diff != "" {
			t.Fatalf("changed on its way (-first +again):\n%s", diff)
		}
	})
}
