package deliver

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/grant"
)

// parsed is a mail as a reader's program takes it apart.
type parsed struct {
	headers map[string][]string
	parts   [][2]string // content type and text
}

func parse(t interface{ Fatal(...any) }, message []byte) parsed {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	out := parsed{headers: m.Header}
	for reader := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		out.parts = append(out.parts, [2]string{part.Header.Get("Content-Type"), strings.ReplaceAll(string(text), "\r\n", "\n")})
	}
}

func TestMailsAreWhatTheySay(t *testing.T) {
	for _, s := range sayings {
		m := s.message().Mail("countersign@example.com", "ops@example.org")
		message, err := m.MIME()
		if err != nil {
			t.Fatal(err)
		}
		got := parse(t, message)
		thread := "<migration.444455556666.eu-west-1@example.com>"
		if digests[s.name] != nil {
			thread = "<digest.444455556666.eu-west-1@example.com>"
		}
		want := map[string][]string{
			"From": {"countersign@example.com"}, "To": {"ops@example.org"}, "Subject": {m.Subject},
			"References": {thread}, "In-Reply-To": {thread},
			"Auto-Submitted": {"auto-generated"}, "Mime-Version": {"1.0"}, "Content-Type": got.headers["Content-Type"],
		}
		if diff := cmp.Diff(want, got.headers); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", s.name, diff)
		}
		if diff := cmp.Diff([][2]string{{"text/plain; charset=utf-8", m.Text}, {"text/html; charset=utf-8", m.HTML}}, got.parts); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", s.name, diff)
		}
		for line := range bytes.Lines(message) {
			if len(line) > 200 || !bytes.HasSuffix(line, []byte("\r\n")) {
				t.Errorf("%s: line %q", s.name, line)
			}
		}
	}
}

// TestAGrantsMailsAreOneThread: all of a grant's, and no other's.
func TestAGrantsMailsAreOneThread(t *testing.T) {
	threads := map[string]bool{}
	for _, s := range sayings {
		if digests[s.name] != nil {
			continue // of many grants
		}
		threads[s.message().Mail("countersign@example.com", "ops@example.org").Thread] = true
	}
	if got := slices.Collect(maps.Keys(threads)); len(got) != 1 || got[0] != "<migration.444455556666.eu-west-1@example.com>" {
		t.Errorf("threads %v", got)
	}
	for _, change := range []func(*saying){
		func(s *saying) { p := plan(); p.Grant = "audit"; s.plan = set(p) },
		func(s *saying) { p := plan(); p.Account = "777788889999"; s.plan = set(p) },
		func(s *saying) { p := plan(); p.Region = "eu-central-1"; s.plan = set(p) },
	} {
		s := sayings[3]
		change(&s)
		if got := s.message().Mail("countersign@example.com", "ops@example.org").Thread; threads[got] {
			t.Errorf("another grant's mail is in the thread %s", got)
		}
	}
}

func set(to grant.Plan) func(*grant.Plan) { return func(p *grant.Plan) { *p = to } }

// TestNoValueBecomesAHeader: a mail with a line break in a header is refused, and any other has the headers that it should.
func TestNoValueBecomesAHeader(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]*(\r|\n|\r\n|\r\n\r\n)?(Bcc: all@example\.com|--b|<b>)?[ -~]*`))
	rapid.Check(t, func(t *rapid.T) {
		m := Mail{
			From: text.Draw(t, "from"), To: []string{text.Draw(t, "to")}, Subject: text.Draw(t, "subject"), Thread: text.Draw(t, "thread"),
			Text: text.Draw(t, "text"), HTML: text.Draw(t, "html"),
		}
		message, err := m.MIME()
		if strings.ContainsAny(m.From+m.To[0]+m.Subject+m.Thread, "\r\n\x00") && !errors.Is(err, ErrBadHeader) {
			t.Fatalf("a line break went through: %v", err)
		}
		if err != nil {
			return
		}
		got := parse(t, message)
		for name := range got.headers {
			if !slices.Contains([]string{"From", "To", "Subject", "References", "In-Reply-To", "Auto-Submitted", "Mime-Version", "Content-Type"}, name) {
				t.Fatalf("header %s of %+v", name, m)
			}
		}
		if len(got.parts) > 2 {
			t.Fatalf("%d parts of %+v", len(got.parts), m)
		}
	})
}
