package events_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// declared reads the constants of type Type from the source, so that none can be left out of the other tests.
func declared(t *testing.T) []events.Type {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []events.Type
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Type" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, events.Type(value))
		}
		return true
	})
	if len(out) < 9 {
		t.Fatalf("found %d constants of type Type, want at least 9", len(out))
	}
	return out
}

func TestEveryTypeHasGoTypeSchemaAndExample(t *testing.T) {
	want := declared(t)
	slices.Sort(want)
	if diff := cmp.Diff(want, events.Types()); diff != "" {
		t.Errorf("constants and Types differ (-constants +Types):\n%s", diff)
	}
	var files []string
	for _, typ := range want {
		files = append(files, typ.Kebab()+".json")
		if schema, err := events.Schema(typ); err != nil || len(schema) == 0 {
			t.Errorf("schema of %q: %d bytes, %v", typ, len(schema), err)
		}
		if example, err := events.Example(typ); err != nil || len(example) == 0 {
			t.Errorf("example of %q: %d bytes, %v", typ, len(example), err)
		}
	}
	for _, folder := range []string{"schemas", "examples"} {
		names, err := fs.Glob(os.DirFS(folder), "*")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files, names); diff != "" {
			t.Errorf("%s holds other files than the types ask for (-types +files):\n%s", folder, diff)
		}
	}
}

func TestUnknownTypes(t *testing.T) {
	for _, typ := range []events.Type{"", "Access granted", "../events", "Rotation Forgotten"} {
		if _, err := events.Schema(typ); err == nil {
			t.Errorf("Schema(%q) gave one", typ)
		}
		if _, err := events.Example(typ); err == nil {
			t.Errorf("Example(%q) gave one", typ)
		}
		if _, err := events.Parse(typ, []byte(`{"metadata":{},"data":{}}`)); err == nil {
			t.Errorf("Parse(%q) gave one", typ)
		}
	}
}

func TestExamplesSurviveGo(t *testing.T) {
	for _, typ := range declared(t) {
		src, err := events.Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		var in events.Envelope
		if err := json.Unmarshal(src, &in); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		event, err := in.Event()
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if event.Data.Type() != typ {
			t.Errorf("example of %q reads as %q", typ, event.Data.Type())
		}
		out, err := events.Enclose(event)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		in.Source, in.DetailType, in.Detail = out.Source, out.DetailType, out.Detail
		back, err := json.Marshal(in)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if diff := cmp.Diff(meaning(t, src), meaning(t, back)); diff != "" {
			t.Errorf("%s changed on its way through Go (-example +back):\n%s", typ, diff)
		}
	}
}

func meaning(t *testing.T, src []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEnvelopeOfAnotherSourceIsRefused(t *testing.T) {
	src, err := events.Example(events.TypeAccessGranted)
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"", "aws.iam", "Countersign", "countersign "} {
		var in events.Envelope
		if err := json.Unmarshal(src, &in); err != nil {
			t.Fatal(err)
		}
		in.Source = source
		if _, err := in.Event(); err == nil {
			t.Errorf("source %q was taken", source)
		}
	}
}

func TestParseRefusesBrokenDetails(t *testing.T) {
	for _, detail := range []string{
		``, `null`, `[]`, `{}`, `{"metadata":{"id":"x"}}`, `{"data":[]}`, `{"data":{}}x`,
		`{"metadata":{"time":"yesterday"},"data":{}}`, `{"metadata":{"id":1},"data":{}}`,
	} {
		if _, err := events.Parse(events.TypeAccessGranted, []byte(detail)); err == nil {
			t.Errorf("%s was taken", detail)
		}
	}
}

func TestTheSameChangeHasTheSameID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type change struct {
			grant, change string
			data          events.Data
		}
		gen := rapid.Custom(func(t *rapid.T) change {
			return change{
				rapid.SampledFrom([]string{"a", "ab", "audit"}).Draw(t, "grant"),
				rapid.SampledFrom([]string{"", "b", "b-1", "x"}).Draw(t, "change"),
				rapid.SampledFrom([]events.Data{events.AccessGranted{}, events.AccessRevoked{}, events.PreviousRetired{}}).Draw(t, "data"),
			}
		})
		one, two := gen.Draw(t, "one"), gen.Draw(t, "two")
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "first"), 0)
		later := at.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "later")))
		idOne := events.New(one.grant, one.change, "1.0.0", at, one.data).Metadata.ID
		idTwo := events.New(two.grant, two.change, "1.2.0", later, two.data).Metadata.ID
		if same := one.grant == two.grant && one.change == two.change && one.data.Type() == two.data.Type(); same != (idOne == idTwo) {
			t.Fatalf("%v and %v: same change %t, same id %t", one, two, same, idOne == idTwo)
		}
	})
}

func TestExamplesCarryTheIDThatNewGives(t *testing.T) {
	src, err := events.Example(events.TypeExternalIDRotated)
	if err != nil {
		t.Fatal(err)
	}
	var in events.Envelope
	if err := json.Unmarshal(src, &in); err != nil {
		t.Fatal(err)
	}
	event, err := in.Event()
	if err != nil {
		t.Fatal(err)
	}
	data := event.Data.(*events.ExternalIDRotated)
	made := events.New(event.Metadata.Grant, data.VersionID, event.Metadata.StackVersion, event.Metadata.Time, data)
	if diff := cmp.Diff(event, made); diff != "" {
		t.Errorf("(-example +New):\n%s", diff)
	}
}

func TestNewTimesAreUTCToTheSecond(t *testing.T) {
	zone := time.FixedZone("somewhere", 2*3600)
	made := events.New("audit", "x", "1.0.0", time.Date(2026, 2, 4, 5, 0, 20, 999, zone), events.AccessGranted{})
	out, err := json.Marshal(made.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"time":"2026-02-04T03:00:20Z"`; !strings.Contains(string(out), want) {
		t.Errorf("%s does not hold %s", out, want)
	}
}
