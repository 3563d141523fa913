package notify

import (
	"bytes"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countersign/countersign/events"
)

// TestTheTimeOfAChangeIsTheQueues: it is the same at every delivery, and no word of the event.
func TestTheTimeOfAChangeIsTheQueues(t *testing.T) {
	for _, tt := range []struct {
		sent string // SentTimestamp, milliseconds
		want time.Time
	}{
		{"1770174020123", time.UnixMilli(1770174020123)},
		{"", now},
		{"yesterday", now},
		{"0", now},
		{"-1", now},
		{"4000000000000", now}, // the future
	} {
		message := lambdaevents.SQSMessage{Attributes: map[string]string{"SentTimestamp": tt.sent}}
		if got := queued(message, now); !got.Equal(tt.want) {
			t.Errorf("%q: %s, want %s", tt.sent, got.UTC(), tt.want.UTC())
		}
	}
}

func TestOutcomesFitTheirSchemas(t *testing.T) {
	w := newWorld(t)
	w.status, w.MailFrom = 503, ""
	w.handle(body(t, event("migration", events.AccessRevoked{RevokeID: revocation})))
	kinds := map[events.Type]bool{}
	for _, e := range w.bus {
		kinds[e.Data.Type()] = true
		src, err := events.Schema(e.Data.Type())
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("urn:schema", schema); err != nil {
			t.Fatal(err)
		}
		compiled, err := c.Compile("urn:schema")
		if err != nil {
			t.Fatal(err)
		}
		said, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(body(t, e))))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(said); err != nil {
			t.Errorf("%s: %v", e.Data.Type(), err)
		}
	}
	if len(kinds) != 2 {
		t.Errorf("announced %v, want successes and failures", kinds)
	}
}
