package events_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countersign/countersign/events"
)

var update = flag.Bool("update", false, "write asyncapi.yaml")

const (
	asyncFile   = "asyncapi.yaml"
	asyncSchema = "http://asyncapi.com/definitions/3.0.0/asyncapi.json"
)

// asyncAPI is asyncapi.yaml as schemas, examples and the choice of what a provider is told ask for.
func asyncAPI(t *testing.T) string {
	t.Helper()
	var out, bus, theirs, messages strings.Builder
	for _, typ := range events.Types() {
		key := strings.ReplaceAll(string(typ), " ", "")
		ref := fmt.Sprintf("      %s: {$ref: \"#/components/messages/%s\"}\n", key, key)
		bus.WriteString(ref)
		if typ.Forwarded() {
			theirs.WriteString(ref)
		}
		schema, err := events.Schema(typ)
		if err != nil {
			t.Fatal(err)
		}
		example, err := events.Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, bytes.TrimSpace(example), "            ", "  "); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&messages, `    %s:
      name: %s
      summary: %q
      contentType: application/json
      payload:
        schemaFormat: application/schema+json;version=draft-2020-12
        schema: {$ref: "./schemas/%s.json"}
      examples:
        - name: %s
          payload:
            %s
`, key, typ, node(meaning(t, schema))["description"], typ.Kebab(), typ.Kebab(), indented.Bytes())
	}
	fmt.Fprintf(&out, `# Made from schemas/ and examples/: go test ./events -update
asyncapi: 3.0.0
info:
  title: Countersign
  version: %q
  description: >-
    What Countersign says of the access that service providers have to an AWS account. Each message is one event as Amazon
    EventBridge delivers it. An event is a doorbell: it says that something changed and where to look, never an external ID.
    Events come at least once and in any order; drop repeats by detail.metadata.id.
  license: {name: MIT}
defaultContentType: application/json
channels:
  bus:
    address: countersign
    title: The event bus in the customer's account
    messages:
%s  providersBus:
    address: null
    title: An event bus of the provider's, to which events on its grants are forwarded
    description: Named by the provider; providers[].bus in access.yaml.
    messages:
%soperations:
  announce:
    action: send
    channel: {$ref: "#/channels/bus"}
    summary: Countersign's functions say what changed.
  forward:
    action: send
    channel: {$ref: "#/channels/providersBus"}
    summary: A rule of the customer's bus hands on what a provider is told.
components:
  messages:
%s`, events.Version, bus.String(), theirs.String(), messages.String())
	return out.String()
}

func TestAsyncAPIIsWhatSchemasAndExamplesSay(t *testing.T) {
	made := asyncAPI(t)
	if *update {
		if err := os.WriteFile(asyncFile, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stands, err := os.ReadFile(asyncFile)
	if err != nil {
		t.Fatalf("%v; go test ./events -update writes it", err)
	}
	if diff := cmp.Diff(string(stands), made); diff != "" {
		t.Errorf("%s is not current; go test ./events -update\n%s", asyncFile, diff)
	}
}

// asyncDocument reads asyncapi.yaml.
func asyncDocument(t *testing.T) map[string]any {
	t.Helper()
	src, err := os.ReadFile(asyncFile)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(src)
	if err != nil {
		t.Fatal(err)
	}
	return meaning(t, asJSON).(map[string]any)
}

// asyncSpecification is AsyncAPI's own schema of such documents.
func asyncSpecification(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open("testdata/asyncapi/3.0.0.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(asyncSchema, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(asyncSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAsyncAPIFitsTheSpecification(t *testing.T) {
	spec := asyncSpecification(t)
	if err := spec.Validate(asyncDocument(t)); err != nil {
		t.Error(err)
	}
	for name, breaks := range map[string]func(doc map[string]any){
		"no version of AsyncAPI":         func(doc map[string]any) { delete(doc, "asyncapi") },
		"another version":                func(doc map[string]any) { doc["asyncapi"] = "2.6.0" },
		"an unknown key":                 func(doc map[string]any) { doc["events"] = map[string]any{} },
		"an operation without a channel": func(doc map[string]any) { delete(node(doc, "operations", "announce"), "channel") },
		"an operation that waits":        func(doc map[string]any) { node(doc, "operations", "announce")["action"] = "wait" },
		"a channel with an unknown key":  func(doc map[string]any) { node(doc, "channels", "bus")["queue"] = "x" },
		"a message with an unknown key":  func(doc map[string]any) { node(doc, "components", "messages", "AccessRevoked")["body"] = "x" },
	} {
		doc := asyncDocument(t)
		breaks(doc)
		if spec.Validate(doc) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// What the document refers to is there: each event is a message of the channel, with a schema file that its example fits.
func TestAsyncAPIRefersToWhatIsThere(t *testing.T) {
	doc := asyncDocument(t)
	schemas := compiled(t)
	messages := node(doc, "components", "messages")
	for _, channel := range []string{"bus", "providersBus"} {
		for key, ref := range node(doc, "channels", channel, "messages") {
			if ref.(map[string]any)["$ref"] != "#/components/messages/"+key || messages[key] == nil {
				t.Errorf("%s: %s refers to %v", channel, key, ref)
			}
		}
	}
	if n := len(node(doc, "channels", "bus", "messages")); n != len(events.Types()) || n != len(messages) {
		t.Errorf("%d of %d messages on the bus, %d events", n, len(messages), len(events.Types()))
	}
	for _, typ := range events.Types() {
		message := node(doc, "components", "messages", strings.ReplaceAll(string(typ), " ", ""))
		if message["name"] != string(typ) {
			t.Errorf("%s is called %v", typ, message["name"])
		}
		file, err := os.ReadFile(filepath.FromSlash(node(message, "payload", "schema")["$ref"].(string)))
		if err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		if schema, err := events.Schema(typ); err != nil || !bytes.Equal(schema, file) {
			t.Errorf("%s refers to another schema (%v)", typ, err)
		}
		examples := message["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("%s has no example", typ)
		}
		for _, example := range examples {
			if err := schemas[typ].Validate(node(example)["payload"]); err != nil {
				t.Errorf("%s: the example doesn't fit: %v", typ, err)
			}
		}
	}
}
