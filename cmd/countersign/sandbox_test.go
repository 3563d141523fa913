package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/provider"
)

// providerSide is the CLI of a provider beside a sandbox that runs.
type providerSide struct {
	t              *testing.T
	customers, url string
	stdout, stderr bytes.Buffer
}

func newProviderSide(t *testing.T) *providerSide {
	t.Helper()
	p := &providerSide{t: t, customers: filepath.Join(t.TempDir(), "customers.json")}
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"sandbox", "--listen", "127.0.0.1:0", "--customers", p.customers}, nil, write, io.Discard, func(string) string { return "" })
		_ = write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitDone {
			t.Errorf("the sandbox ended with %d", code)
		}
	})
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	p.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(line)
	for _, set := range strings.Fields(strings.TrimPrefix(line, "export ")) {
		name, value, _ := strings.Cut(set, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return p
}

// countersign runs the program and fails the test if it doesn't end with the code.
func (p *providerSide) countersign(code int, args ...string) string {
	p.t.Helper()
	p.stdout.Reset()
	p.stderr.Reset()
	got := run(p.t.Context(), args, strings.NewReader(""), &p.stdout, &p.stderr, os.Getenv)
	if got != code {
		p.t.Errorf("countersign %s ended with %d, want %d:\n%s%s", strings.Join(args, " "), got, code, p.stdout.String(), p.stderr.String())
	}
	return p.stdout.String()
}

// ids are the external IDs in the customers' file.
func (p *providerSide) ids() []string {
	p.t.Helper()
	src, err := os.ReadFile(p.customers)
	if err != nil {
		p.t.Fatal(err)
	}
	return regexp.MustCompile(`hestio-[A-Za-z0-9]{32}`).FindAllString(string(src), -1)
}

func (p *providerSide) wants(out string, parts ...string) {
	p.t.Helper()
	for _, part := range parts {
		if !strings.Contains(out, part) {
			p.t.Errorf("%q is not in\n%s", part, out)
		}
	}
	for _, id := range p.ids() {
		if strings.Contains(out+p.stderr.String(), id[len("hestio-"):]) {
			p.t.Error("an external ID was printed")
		}
	}
}

func TestAProvidersDayAtTheSandbox(t *testing.T) {
	p := newProviderSide(t)
	verify := func(code int, more ...string) string {
		return p.countersign(code, append([]string{"verify", "acme", "--customers", p.customers, "--wait", "0s"}, more...)...)
	}
	if info, err := os.Stat(p.customers); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the customers' file: %v %v", info, err)
	}
	p.wants(verify(0), "no external ID           refuses it  ok", "the current external ID  lets it in  ok")
	p.wants(verify(0, "--confirm"), "Confirmed version birth-")
	p.wants(p.countersign(0, "sandbox", "rotate"), "OPEN", "version   rotate-", "accepted until")
	before := p.ids()[0]
	p.wants(verify(0), "the external ID before                              lets it in  ok", "in a session that confirms  refuses it  ok")
	if p.ids()[0] != before {
		t.Error("verify without --confirm has stored an ID")
	}
	receipt := filepath.Join(t.TempDir(), "receipt.json")
	p.wants(verify(0, "--confirm", "--retire-in", "0s", "--json", "--receipt", receipt), `"confirmed":true`, provider.Statement)
	if line, err := os.ReadFile(receipt); err != nil || string(line) != p.stdout.String() || len(line) > provider.MaxReceipt {
		t.Errorf("receipt: %v %s", err, line)
	}
	p.wants(verify(0), "the external ID before                              refuses it  ok")

	p.countersign(0, "sandbox", "lag", "10m")
	p.countersign(0, "sandbox", "rotate")
	p.wants(verify(4), "the current external ID  refuses it  WRONG")
	p.countersign(0, "sandbox", "expire")
	p.countersign(0, "sandbox", "lag", "0s")
	verify(4) // it slept through the overlap
	p.wants(verify(0, "--by-account", "--confirm"), "Confirmed")

	p.wants(p.countersign(0, "sandbox", "revoke"), "REVOKED")
	p.wants(verify(4), "no external ID        refuses it  ok")
	p.wants(p.countersign(0, "sandbox", "restore", "--json"), `"revoked": false`)
	verify(0, "--by-account", "--confirm")
	p.countersign(0, "sandbox", "rotate", "--leaked")
	verify(4)
	if p.countersign(3, "sandbox", "expire"); !strings.Contains(p.stderr.String(), "rotate first") {
		t.Errorf("nothing ends: %s", p.stderr.String())
	}
}

func TestTheSandboxIsForThisMachine(t *testing.T) {
	p := newProviderSide(t)
	p.countersign(2, "sandbox", "--listen", "0.0.0.0:0")
	p.countersign(2, "sandbox", "rotate", "--url", "https://sts.amazonaws.com")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/_sandbox/revoke", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://evil.example")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || strings.Contains(p.countersign(0, "sandbox", "show"), "REVOKED") {
		t.Errorf("a page in a browser revoked: %d", answer.StatusCode)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	p.countersign(1, "sandbox", "show")
}

// fitsEvent holds an event to its schema, which wants https of the confirm URL; a sandbox has http.
func fitsEvent(t *testing.T, kind events.Type, body []byte) {
	t.Helper()
	src, err := events.Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:event", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("urn:event")
	if err != nil {
		t.Fatal(err)
	}
	event, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.Replace(body, []byte("http://127"), []byte("https://127"), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(event); err != nil {
		t.Errorf("%s: %v", kind, err)
	}
}

// What trigger sends is what package provider takes for a doorbell, in both forms.
func TestTriggerRings(t *testing.T) {
	p := newProviderSide(t)
	hook, err := standardwebhooks.NewWebhook(triggerKey)
	if err != nil {
		t.Fatal(err)
	}
	var body []byte
	var header http.Header
	status := http.StatusNoContent
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		w.WriteHeader(status)
	}))
	defer endpoint.Close()
	customer, err := provider.OpenFile(p.customers).Customer("acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"webhook", "eventbridge"} {
		for _, kind := range events.Types() {
			if !kind.Concerns(events.Provider) {
				continue
			}
			p.wants(p.countersign(0, "trigger", string(kind), "--to", endpoint.URL, "--as", form), string(kind)+" taken: event ")
			e, err := provider.ParseEvent(body)
			if err == nil {
				err = customer.Check(e)
			}
			if err != nil || e.Type != string(kind) {
				t.Errorf("%s as %s: %v %+v", kind, form, err, e)
			}
			if err := hook.Verify(body, header); (err == nil) != (form == "webhook") {
				t.Errorf("%s as %s: signature %v", kind, form, err)
			}
			if form == "eventbridge" {
				fitsEvent(t, kind, body)
			}
			if bytes.Contains(body, []byte("0001-01-01")) {
				t.Errorf("%s tells of no moment: %s", kind, body)
			}
		}
	}
	status = http.StatusInternalServerError
	p.countersign(1, "trigger", "Test Requested", "--to", endpoint.URL)
	p.countersign(2, "trigger", "Grant Reported", "--to", endpoint.URL)
	p.countersign(2, "trigger", "Test Requested", "--to", "http://hooks.example.com")
	p.countersign(2, "trigger", "Test Requested", "--to", endpoint.URL, "--key", triggerKey)
	p.countersign(2, "trigger", "Test Requested", "--to", endpoint.URL, "--as", "mail")
}

// Interrupted while it waits for IAM, verify --confirm has stored and confirmed nothing, and says so.
func TestAnInterruptedVerifyHasChangedNothing(t *testing.T) {
	p := newProviderSide(t)
	p.countersign(0, "verify", "acme", "--customers", p.customers, "--confirm")
	p.countersign(0, "sandbox", "lag", "10m")
	p.countersign(0, "sandbox", "rotate")
	was, err := os.ReadFile(p.customers)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	said := &watched{text: "waiting for IAM to show version rotate-", seen: cancel}
	var out bytes.Buffer
	code := run(ctx, []string{"verify", "acme", "--customers", p.customers, "--confirm"}, nil, &out, said, os.Getenv)
	if code != exitFailed || !strings.Contains(said.String(), "Interrupted: ") || strings.Contains(out.String(), "Confirmed") {
		t.Errorf("ended with %d:\n%s%s", code, out.String(), said.String())
	}
	if now, err := os.ReadFile(p.customers); err != nil || !bytes.Equal(was, now) {
		t.Errorf("the customers' file has changed: %v", err)
	}
	p.wants(p.countersign(0, "sandbox", "show"), "accepted until somebody confirms")
}

// watched is a stream that tells when something was written to it.
type watched struct {
	bytes.Buffer
	text string
	seen func()
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if strings.Contains(w.String(), w.text) {
		w.seen()
	}
	return n, err
}
