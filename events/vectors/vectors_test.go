// Package vectors_test holds deliveries of webhooks for receivers in any language to be tried on, and tries those of
// docs/webhooks.md on them. README.md says how the files are read.
package vectors_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/countersign/countersign/internal/deliver"
)

var update = flag.Bool("update", false, "write the vectors")

// vector is one receiver and what arrives there, in order.
type vector struct {
	Says       string     `json:"says"`
	Secrets    []string   `json:"secrets"` // those that the receiver holds
	Deliveries []delivery `json:"deliveries"`
}

// delivery is one POST.
type delivery struct {
	At      int64             `json:"at"` // by the receiver's clock, in Unix seconds
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"` // as UTF-8, byte by byte
	Verdict verdict           `json:"verdict"`
}

type verdict string

const (
	fresh   verdict = "new"     // verified, and seen for the first time: do the work
	repeat  verdict = "repeat"  // verified, and its work is done
	failed  verdict = "failed"  // verified, but the receiver's work fails this once: it is not done
	refused verdict = "refused" // not to be believed
)

// Signing keys that anybody can see are none.
var (
	secret  = whsec("countersign example key, the one")
	older   = whsec("countersign example key, before.")
	another = whsec("countersign example key, another")
)

func whsec(key string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }

const (
	id   = "e518c296e7a0499fdd20e36e32ab34fd"
	sent = int64(1770174025)
	said = `{"type":"External ID Rotated","timestamp":"2026-02-04T03:00:20Z","data":{"grant":"migration","account":"444455556666","versionId":"8c1e5f0a-6b7c-4d8e-9f10-213243546576"}}`
)

// signature is what Countersign signs with a key.
func signature(key, id string, at int64, body string) string {
	k, err := deliver.ParseKey(key)
	if err != nil {
		panic(err)
	}
	return k.Sign(id, time.Unix(at, 0), []byte(body))
}

// signed is a delivery as Countersign sends it, which arrives at once.
func signed(verdict verdict, id string, at int64, body string, keys ...string) delivery {
	var signatures []string
	for _, key := range keys {
		signatures = append(signatures, signature(key, id, at, body))
	}
	return delivery{At: at, Body: body, Verdict: verdict, Headers: map[string]string{
		"content-type": "application/json", "user-agent": "Countersign",
		"webhook-id": id, "webhook-timestamp": seconds(at), "webhook-signature": strings.Join(signatures, " "),
	}}
}

func seconds(at int64) string { return strconv.FormatInt(at, 10) }

// header is the delivery with a header changed; an empty value takes it away.
func (d delivery) header(name, value string) delivery {
	d.Headers = maps.Clone(d.Headers)
	delete(d.Headers, name)
	if value != "" {
		d.Headers[name] = value
	}
	return d
}

func (d delivery) after(seconds int64) delivery { d.At += seconds; return d }

func (d delivery) body(body string) delivery { d.Body = body; return d }

// ours is the plain delivery that most vectors change in one place.
func ours(v verdict) delivery { return signed(v, id, sent, said, secret) }

func TestTheVectorsAreThese(t *testing.T) {
	seen := map[string]bool{}
	for name, v := range all() {
		file := name + ".json"
		seen[file] = true
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(v); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	for _, file := range files(t) {
		if !seen[file] {
			t.Errorf("%s belongs to no vector", file)
		}
	}
}

// TestTheLibraryAgrees asks the Standard Webhooks project's own library, at each delivery's time. It keeps no memory, so a
// repeat is a good delivery to it.
func TestTheLibraryAgrees(t *testing.T) {
	for name, v := range all() {
		for i, d := range v.Deliveries {
			header := http.Header{}
			for name, value := range d.Headers {
				header.Set(name, value)
			}
			taken := false
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Unix(d.At, 0)))
				for _, s := range v.Secrets {
					library, err := standardwebhooks.NewWebhook(s)
					if err != nil {
						t.Fatal(err)
					}
					taken = taken || library.Verify([]byte(d.Body), header) == nil
				}
			})
			if want := d.Verdict != refused; taken != want {
				t.Errorf("%s, delivery %d: the library takes it: %t, want %t", name, i+1, taken, want)
			}
		}
	}
}

// files are the vectors' names.
func files(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 30 {
		t.Fatalf("only %d vectors", len(list))
	}
	slices.Sort(list)
	return list
}
