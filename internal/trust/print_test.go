package trust_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

func TestNothingPrintsAnID(t *testing.T) {
	p := promoted()
	p.Retired = []string{idNext}
	a := trust.Accepted{ID: idOld, Until: deadline}
	for _, v := range []any{p, &p, []trust.Plan{p}, a, &a, []trust.Accepted{a}, map[string]trust.Accepted{"a": a}} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range []string{fmt.Sprintf("%v %+v %s %q", v, v, v, v), string(encoded), log.String(), fmt.Sprintf("%x", v), fmt.Sprintf("%d", v)} {
			for _, id := range []string{idOld, idNew, idNext} {
				if strings.Contains(out, id) || strings.Contains(out, fmt.Sprintf("%x", id)) {
					t.Errorf("%T prints an ID: %s", v, out)
				}
			}
		}
	}
	if got := fmt.Sprint(a); got != trust.Fingerprint(idOld)+" until 2026-02-05T12:00:00Z" {
		t.Errorf("got %q", got)
	}
}

func TestFingerprints(t *testing.T) {
	if got := trust.Fingerprint(""); got != "none" {
		t.Errorf("no ID: %q", got)
	}
	hash := func(id string) string {
		sum := sha256.Sum256([]byte(id))
		return fmt.Sprintf("#%x", sum[:3])
	}
	if own := trust.Fingerprint(idOld); own != hash(idOld) || own == trust.Fingerprint(idNew) {
		t.Errorf("an ID of our own form: %q, want %q", own, hash(idOld))
	}
	if guessable := trust.Fingerprint("northwind-0042"); len(guessable) != 7 || guessable == hash("northwind-0042") || guessable != trust.Fingerprint("northwind-0042") {
		t.Errorf("a guessable ID: %q", guessable)
	}
}
