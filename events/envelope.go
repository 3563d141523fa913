package events

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed schemas/*.json examples/*.json
var files embed.FS

// Types are all events, in alphabetical order.
func Types() []Type { return slices.Sorted(maps.Keys(newData)) }

// Kebab is the type as it stands in file names: "external-id-rotated".
func (t Type) Kebab() string { return strings.ReplaceAll(strings.ToLower(string(t)), " ", "-") }

// Schema is the JSON Schema (draft 2020-12) of the event as EventBridge delivers it.
func Schema(t Type) ([]byte, error) { return read("schemas", t) }

// Example is one whole event as EventBridge delivers it.
func Example(t Type) ([]byte, error) { return read("examples", t) }

func read(folder string, t Type) ([]byte, error) {
	if _, ok := newData[t]; !ok {
		return nil, fmt.Errorf("unknown event %.60q", t)
	}
	return files.ReadFile(folder + "/" + t.Kebab() + ".json")
}

// Envelope is an event as EventBridge delivers it. Of all its fields a sender sets source, detail type, detail, time and
// resources; EventBridge sets the account by who sent it.
type Envelope struct {
	Version    string          `json:"version,omitempty"` // EventBridge's form: "0"
	ID         string          `json:"id,omitempty"`      // EventBridge's own: another one for every repeat
	DetailType Type            `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Region     string          `json:"region,omitempty"`
	Resources  []string        `json:"resources,omitzero"`
	ReplayName string          `json:"replay-name,omitempty"` // set where an archive replays it
	Detail     json.RawMessage `json:"detail"`
}

// Enclose puts an event into the envelope that PutEvents sends: source, detail type and detail.
func Enclose(e Event) (Envelope, error) {
	detail, err := json.Marshal(e)
	if err != nil {
		return Envelope{}, fmt.Errorf("writing event %q: %w", e.Data.Type(), err)
	}
	return Envelope{DetailType: e.Data.Type(), Source: Source, Detail: detail}, nil
}

// Event reads what Countersign says in the envelope; another source or an unknown detail type is an error.
func (e Envelope) Event() (Event, error) {
	if e.Source != Source {
		return Event{}, fmt.Errorf("source %.60q is not %q", e.Source, Source)
	}
	return Parse(e.DetailType, e.Detail)
}
