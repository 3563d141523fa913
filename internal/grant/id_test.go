package grant_test

import (
	"bytes"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/grant"
)

// anyPrinted is a value that can be an external ID, long enough that a part of it can't stand anywhere by chance.
var anyPrinted = rapid.StringMatching(`[A-Za-z0-9+=,.@:/_-]{16,64}`)

func TestNothingThatPrintsAnIDPrintsItsValue(t *testing.T) {
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%U", "%c", "%o", "%b", "%e", "%g", "%T", "%t", "%20v", "%-20s", "%.3s", "% x", "%p"}
	rapid.Check(t, func(t *rapid.T) {
		value := anyPrinted.Draw(t, "value")
		id, err := grant.ParseID(value)
		if err != nil {
			t.Fatal(err)
		}
		type hidden struct{ id grant.ID }
		type deep struct {
			list []grant.ID
			at   map[string]*hidden
		}
		plan := migration()
		encoded, err := plan.EncodeValue(id)
		if err != nil {
			t.Fatal(err)
		}
		things := map[string]any{
			"an ID":                 id,
			"a pointer":             &id,
			"an exported field":     struct{ ID grant.ID }{id},
			"an unexported field":   hidden{id},
			"deep inside":           deep{[]grant.ID{id}, map[string]*hidden{"x": {id}}},
			"a list":                []grant.ID{id},
			"a map":                 map[string]grant.ID{"a": id},
			"a map's key":           map[grant.ID]int{id: 1},
			"an interface":          any(id),
			"IDs":                   grant.IDs{Current: id, Pending: id, Previous: id, Retired: []grant.ID{id}},
			"a trust plan":          plan.TrustWith(grant.IDs{Current: id}),
			"a version":             grant.Version{ID: "v", Value: encoded},
			"a version by pointer":  &grant.Version{ID: "v", Value: encoded},
			"a role":                grant.Role{ARN: "arn", Trust: []byte(`{"sts:ExternalId":"` + value + `"}`)},
			"an error":              fmt.Errorf("reading %v: %w", id, grant.ErrDrift),
			"an error of decoding":  second(plan.DecodeValue(encoded)),
			"an error of decoding2": second(plan.DecodeValue([]byte(value))),
			"an error of parsing":   second(grant.ParseOwnID(value, "other")),
		}
		for name, thing := range things {
			// What holds a value as text or bytes, to write it, hides it from printing and from encoders to text; %p, which
			// calls no methods, and gob, which copies, are left to those who would use them.
			carries := name == "a trust plan" || strings.HasPrefix(name, "a version") || name == "a role"
			for _, verb := range verbs {
				if carries && verb == "%p" {
					continue
				}
				if out := fmt.Sprintf(verb, thing); tells(out, value) {
					t.Fatalf("%s by %s: %s", name, verb, out)
				}
			}
			if out := fmt.Sprint(thing) + fmt.Sprintln(thing); tells(out, value) {
				t.Fatalf("%s by Sprint: %s", name, out)
			}
			if out, err := json.Marshal(thing); err == nil && tells(string(out), value) {
				t.Fatalf("%s as JSON: %s", name, out)
			}
			if out, err := xml.Marshal(thing); err == nil && tells(string(out), value) {
				t.Fatalf("%s as XML: %s", name, out)
			}
			var buf bytes.Buffer
			if !carries && gob.NewEncoder(&buf).Encode(thing) == nil && tells(buf.String(), value) {
				t.Fatalf("%s as gob", name)
			}
			for _, handler := range []slog.Handler{slog.NewTextHandler(&buf, nil), slog.NewJSONHandler(&buf, nil)} {
				log := slog.New(handler)
				log.Info("x", "thing", thing)
				log.With("thing", thing).WithGroup("g").Error("x", slog.Any("again", thing))
			}
			if tells(buf.String(), value) {
				t.Fatalf("%s in a log: %s", name, buf.String())
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// tells says whether a text holds a value, or a good part of it, as it is or in a usual coding.
func tells(text, value string) bool {
	part := value[2:14]
	lower := strings.ToLower(text)
	decimals := strings.Trim(fmt.Sprintf("%d", []byte(part)), "[]")
	return strings.Contains(text, part) || strings.Contains(lower, fmt.Sprintf("%x", part)) ||
		strings.Contains(lower, fmt.Sprintf("% x", part)) || strings.Contains(text, decimals)
}

func TestTheSearchForAValueFindsIt(t *testing.T) {
	const value = "abcdefghijklmnopqrstuvwxyz012345"
	for _, text := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("% X", value), fmt.Sprintf("%d", []byte(value)), "x" + value[1:20]} {
		if !tells(text, value) {
			t.Errorf("not found in %s", text)
		}
	}
}

func TestNewID(t *testing.T) {
	form := regexp.MustCompile(`^acme-[A-Za-z0-9]{32}$`)
	seen := map[grant.ID]bool{}
	letters := map[byte]int{}
	for range 2000 {
		id, err := grant.NewID(rand.Reader, "acme")
		if err != nil {
			t.Fatal(err)
		}
		if !form.MatchString(id.Reveal()) || seen[id] {
			t.Fatal("not of the form, or twice")
		}
		seen[id] = true
		for _, c := range []byte(id.Reveal()[5:]) {
			letters[c]++
		}
		if again, err := grant.ParseOwnID(id.Reveal(), "acme"); err != nil || again != id || !again.Equal(id) {
			t.Fatalf("read back: %v", err)
		}
	}
	if len(letters) != 62 {
		t.Errorf("%d letters are used, not 62", len(letters))
	}
	for c, n := range letters { // 1,032 each on average
		if n < 700 || n > 1400 {
			t.Errorf("%c comes %d times", c, n)
		}
	}
	if id, err := grant.NewID(rand.Reader, ""); err != nil || len(id.Reveal()) != 32 {
		t.Errorf("without a prefix: %v", err)
	}
	for _, prefix := range []string{"abc", "UPPER", "with-hyphen", strings.Repeat("a", 33), "a b c d"} {
		if _, err := grant.NewID(rand.Reader, prefix); !errors.Is(err, grant.ErrInvalidID) {
			t.Errorf("prefix %q accepted", prefix)
		}
	}
	if _, err := grant.NewID(strings.NewReader("short"), ""); err == nil {
		t.Error("an ID of too little randomness")
	}
}

func TestParseID(t *testing.T) {
	for value, ok := range map[string]bool{
		"ab": true, "a": false, "": false, "a b": false, "ä-id": false, "a*": false, "a\nb": false, "ab\n": false,
		"a+=,.@:/-_9": true, strings.Repeat("a", 1224): true, strings.Repeat("a", 1225): false,
	} {
		if _, err := grant.ParseID(value); (err == nil) != ok {
			t.Errorf("%.20q: %v", value, err)
		}
	}
}

func TestParseOwnIDReadsFromTheRight(t *testing.T) {
	const random = "abcdefghijklmnopqrstuvwxyz012345"
	for _, c := range []struct {
		value, prefix string
		ok            bool
	}{
		{random, "", true},
		{"acme-" + random, "acme", true},
		{"acme-" + random, "", false},
		{random, "acme", false},
		{"acme" + random, "acme", false},
		{"acme--" + random, "acme", false},
		{"acme-evil-" + random, "acme", false},
		{"evil-acme-" + random, "acme", false},
		{"acme-" + random[1:], "acme", false},
		{"acme-" + random + "\n", "acme", false},
		{"ACME-" + random, "acme", false},
	} {
		if _, err := grant.ParseOwnID(c.value, c.prefix); (err == nil) != c.ok {
			t.Errorf("%q with prefix %q: %v", c.value, c.prefix, err)
		}
	}
}

func TestTheZeroID(t *testing.T) {
	var none grant.ID
	id, err := grant.ParseID("something")
	if err != nil {
		t.Fatal(err)
	}
	if !none.IsZero() || id.IsZero() || none.Reveal() != "" || none == id || fmt.Sprint(none) != "none" {
		t.Errorf("%v %v", none, id)
	}
}
