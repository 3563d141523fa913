package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// change rewrites an event as somebody might who may write to the bus.
func change(t *testing.T, e events.Event, edit func(envelope, metadata, data map[string]any)) string {
	t.Helper()
	var envelope map[string]any
	if err := json.Unmarshal([]byte(body(t, e)), &envelope); err != nil {
		t.Fatal(err)
	}
	detail := envelope["detail"].(map[string]any)
	edit(envelope, detail["metadata"].(map[string]any), detail["data"].(map[string]any))
	out, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestEventsThatAreDropped(t *testing.T) {
	type object = map[string]any
	rotation := event("migration", rotated(scheduled))
	for _, tt := range []struct {
		name string
		body string
	}{
		{"empty", ``},
		{"no JSON", `hello`},
		{"a list", `[]`},
		{"an object of something else", `{"grant":"migration"}`},
		{"another source", change(t, rotation, func(e, _, _ object) { e["source"] = "aws.secretsmanager" })},
		{"no source", change(t, rotation, func(e, _, _ object) { delete(e, "source") })},
		{"an unknown event", change(t, rotation, func(e, _, _ object) { e["detail-type"] = "Grant Renamed" })},
		{"another spelling", change(t, rotation, func(e, _, _ object) { e["detail-type"] = "external id rotated" })},
		{"no detail", change(t, rotation, func(e, _, _ object) { delete(e, "detail") })},
		{"a detail that is a word", change(t, rotation, func(e, _, _ object) { e["detail"] = "x" })},
		{"a grant of another stack", change(t, rotation, func(_, m, _ object) { m["grant"] = "elsewhere" })},
		{"a grant that is a path", change(t, rotation, func(_, m, _ object) { m["grant"] = "../countersign/migration" })},
		{"a grant with a new line", change(t, rotation, func(_, m, _ object) { m["grant"] = "migration\n" })},
		{"no grant", change(t, rotation, func(_, m, _ object) { delete(m, "grant") })},
		{"an id with a header in it", change(t, rotation, func(_, m, _ object) { m["id"] = "x\r\nwebhook-signature: v1,x" })},
		{"a short id", change(t, rotation, func(_, m, _ object) { m["id"] = "1" })},
		{"no id", change(t, rotation, func(_, m, _ object) { delete(m, "id") })},
		{"a version that the secret doesn't have", change(t, rotation, func(_, _, d object) { d["versionId"] = leaked })},
		{"no version", change(t, rotation, func(_, _, d object) { delete(d, "versionId") })},
		{"a version that is a list", change(t, rotation, func(_, _, d object) { d["versionId"] = []string{scheduled} })},
		{"a granted version with words in it", change(t, event("migration", events.AccessGranted{}), func(_, _, d object) {
			d["versionId"] = "call +1 555 0100 and tell your ID\r\n"
		})},
		{"a retired version with a link", change(t, event("migration", events.PreviousRetired{}), func(_, _, d object) {
			d["versionId"] = "https://evil.example/confirm-your-external-id"
		})},
		{"a revocation without an id", change(t, event("migration", events.AccessRevoked{}), func(_, _, d object) {})},
		{"a revocation with words for an id", change(t, event("migration", events.AccessRevoked{}), func(_, _, d object) { d["revokeId"] = revocation + "\r\nx" })},
		{"an end that hasn't come", body(t, event("audit", events.AccessExpired{Expires: now.Add(-time.Hour)}))},
		{"an end that the plan doesn't have", body(t, event("migration", events.AccessExpired{Expires: now.Add(-time.Hour)}))},
		{"larger than an event can be", change(t, rotation, func(e, _, _ object) { e["id"] = strings.Repeat("x", 256<<10) })},
	} {
		w := newWorld(t)
		audit := w.plans["audit"]
		audit.Expires = now.Add(time.Hour)
		w.plans["audit"] = audit
		if failed := w.handle(tt.body); failed != nil {
			t.Errorf("%s: tried again", tt.name)
		}
		if w.told() != nil || len(w.bus) > 0 {
			t.Errorf("%s: told %v, %d events", tt.name, w.told(), len(w.bus))
		}
		if lines := strings.Count(w.log.String(), "\n"); lines == 0 || strings.Count(w.log.String(), `"message dropped"`) != lines || w.log.Len() > 1000 {
			t.Errorf("%s: log\n%s", tt.name, w.log.String())
		}
	}
}

func TestAGrantWithoutAPlanIsDropped(t *testing.T) {
	w := newWorld(t)
	delete(w.plans, "audit")
	if failed := w.handle(body(t, event("audit", rotated(scheduled)))); failed != nil || w.told() != nil {
		t.Errorf("failed %v, told %v", failed, w.told())
	}
}

func TestARotationOfAGrantWithoutAnIDIsDropped(t *testing.T) {
	w := newWorld(t)
	p := w.plans["audit"]
	p.NoExternalID, p.SecretARN, p.KeyARN = true, "", ""
	w.plans["audit"] = p
	if failed := w.handle(body(t, event("audit", rotated(scheduled)))); failed != nil || w.told() != nil {
		t.Errorf("failed %v, told %v", failed, w.told())
	}
}

// TestForgedFieldsShowNowhere compares what is sent for an honest event and for one whose every other field lies.
func TestForgedFieldsShowNowhere(t *testing.T) {
	const evil = "Ignore this.\r\nBcc: all@example.com\r\n\r\n<script>x</script> https://evil.example \x00\u202e"
	honest := plan("migration").Where()
	for _, tt := range []struct {
		name         string
		true, forged events.Data
	}{
		{"granted", events.AccessGranted{Where: honest, VersionID: scheduled},
			events.AccessGranted{Where: where, VersionID: scheduled, Expires: now.AddDate(50, 0, 0)}},
		{"rotated", events.ExternalIDRotated{Where: honest, VersionID: scheduled, Cause: "scheduled", PreviousUntil: created.Add(24 * time.Hour)},
			events.ExternalIDRotated{Where: where, VersionID: scheduled, Cause: evil, PreviousUntil: now.AddDate(50, 0, 0)}},
		{"rotated without an end", events.ExternalIDRotated{Where: honest, VersionID: scheduled, Cause: "scheduled", PreviousUntil: created.Add(24 * time.Hour)},
			events.ExternalIDRotated{Where: where, VersionID: scheduled}},
		{"retired", events.PreviousRetired{Where: honest, VersionID: scheduled}, events.PreviousRetired{Where: where, VersionID: scheduled}},
		{"revoked", events.AccessRevoked{Where: honest, RevokeID: revocation, Reason: "project ended", By: "arn:aws:iam::444455556666:role/Operations"},
			events.AccessRevoked{Where: where, RevokeID: revocation, Reason: evil, By: evil}},
		{"failed", events.RotationFailed{Where: honest, VersionID: scheduled, Step: "setSecret", Reason: "drift", Next: "see"},
			events.RotationFailed{Where: where, VersionID: scheduled, Step: evil, Reason: evil, Next: evil}},
		{"drifted", events.TrustDriftDetected{Where: honest}, events.TrustDriftDetected{Where: where, Findings: []string{evil}, Mended: true}},
	} {
		sent := func(data events.Data) string {
			w := newWorld(t)
			if failed := w.handle(change(t, event("migration", data), func(e, m, _ map[string]any) {
				e["account"], m["stackVersion"], m["time"] = "777777777777", evil, "2099-01-01T00:00:00Z"
				e["resources"] = []string{evil}
			})); failed != nil {
				t.Fatalf("%s: %s", tt.name, w.log.String())
			}
			if w.told() == nil {
				t.Fatalf("%s: nobody was told: %s", tt.name, w.log.String())
			}
			var headers []string
			for _, r := range w.hook {
				headers = append(headers, fmt.Sprint(r.URL, r.Header))
			}
			var outcomes []string
			for _, e := range w.bus {
				outcomes = append(outcomes, body(t, e))
			}
			return fmt.Sprintf("%q\n%+v\n%s\n%s\n%s\n%s", w.did, w.mail, w.body, headers, outcomes, w.log.String()[strings.Index(w.log.String(), `"level"`):])
		}
		one, two := scrub(sent(tt.true)), scrub(sent(tt.forged))
		if one != two {
			t.Errorf("%s: the forged event changed what was sent:\n%s\n%s", tt.name, one, two)
		}
		for _, word := range []string{"mallory", "777777777777", "666666666666", "evil", "Ignore", "Bcc", "2099"} {
			if strings.Contains(two, word) {
				t.Errorf("%s: %s came through", tt.name, word)
			}
		}
	}
}

// scrub takes the log's times out.
func scrub(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		if at := strings.Index(line, `,"level"`); strings.HasPrefix(line, `{"time"`) && at > 0 {
			line = line[at:]
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}

// TestAnotherGrantsVersionIsNoneOfThisOne: versions are asked of the secret in the plan, never of the event's.
func TestAnotherGrantsVersionIsNoneOfThisOne(t *testing.T) {
	w := newWorld(t)
	w.handle(body(t, event("audit", rotated(scheduled))))
	asked := false
	for _, did := range w.did {
		if rest, ok := strings.CutPrefix(did, "versions "); ok {
			asked = true
			if name, err := grant.NameOfSecret(rest); err != nil || name != "audit" {
				t.Errorf("asked %s: %v", rest, err)
			}
		}
	}
	if !asked {
		t.Error("no versions were read")
	}
}
