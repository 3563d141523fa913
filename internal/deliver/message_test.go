package deliver

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the goldens")

var now = time.Date(2026, 2, 4, 3, 0, 25, 0, time.UTC)

const scheduledVersion = "8c1e5f0a-6b7c-4d8e-9f10-213243546576"

func plan() grant.Plan {
	return grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-west-1",
		RoleARN:    "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
		SecretARN:  "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf",
		KeyARN:     "arn:aws:kms:eu-west-1:444455556666:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
		Principals: []string{"111122223333"}, Overlap: grant.Duration(24 * time.Hour),
	}
}

func facts(kind events.Type, change func(*Facts)) Facts {
	f := Facts{EventID: "00112233445566778899aabbccddeeff", Kind: kind, At: now.Add(-25 * time.Second), Now: now}
	if change != nil {
		change(&f)
	}
	return f
}

type saying struct {
	name  string // of the golden
	to    events.Audience
	plan  func(*grant.Plan)
	facts Facts
}

// sayings are all the messages there are.
var sayings = []saying{
	{"access-granted", events.Provider, func(p *grant.Plan) { p.Expires = time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC) },
		facts(events.TypeAccessGranted, func(f *Facts) { f.VersionID = "birth-4f0c8e1d2b3a49586776859493a2b1c0" })},
	{"access-granted-without-id", events.Provider, func(p *grant.Plan) { p.NoExternalID, p.SecretARN, p.KeyARN = true, "", "" },
		facts(events.TypeAccessGranted, nil)},
	{"access-granted-operators", events.Operators, nil,
		facts(events.TypeAccessGranted, func(f *Facts) { f.VersionID = "birth-4f0c8e1d2b3a49586776859493a2b1c0" })},
	{"external-id-rotated", events.Provider, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID, f.PreviousUntil = scheduledVersion, f.At.Add(24*time.Hour) })},
	{"external-id-rotated-told-late", events.Provider, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) {
			f.VersionID, f.PreviousUntil = "rotate-0123456789abcdef0123456789abcdef", f.Now
		})},
	{"external-id-rotated-last-call", events.Provider, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) {
			f.VersionID, f.At, f.PreviousUntil = scheduledVersion, f.Now.Add(-23*time.Hour), f.Now.Add(time.Hour)
		})},
	{"external-id-rotated-auto", events.Provider, func(p *grant.Plan) { p.WhenUnconfirmed = grant.UnconfirmedAuto },
		facts(events.TypeExternalIDRotated, func(f *Facts) {
			f.VersionID, f.PreviousUntil = scheduledVersion, f.Now.Add(24*time.Hour)
		})},
	{"external-id-confirmed", events.Provider, nil,
		facts(events.TypeExternalIDConfirmed, func(f *Facts) { f.VersionID = scheduledVersion })},
	{"external-id-confirmed-operators", events.Operators, nil,
		facts(events.TypeExternalIDConfirmed, func(f *Facts) { f.VersionID = scheduledVersion })},
	{"rotation-unconfirmed", events.Provider, func(p *grant.Plan) { p.WhenUnconfirmed = grant.UnconfirmedAuto },
		facts(events.TypeRotationUnconfirmed, func(f *Facts) {
			f.VersionID, f.At, f.PreviousUntil = scheduledVersion, f.Now.Add(-12*time.Hour), f.Now.Add(12*time.Hour)
		})},
	{"rotation-unconfirmed-operators", events.Operators, func(p *grant.Plan) { p.WhenUnconfirmed = grant.UnconfirmedExtend },
		facts(events.TypeRotationUnconfirmed, func(f *Facts) {
			f.VersionID, f.At, f.PreviousUntil = scheduledVersion, f.Now.Add(-25*time.Hour), f.Now.Add(-time.Hour)
		})},
	{"external-id-rotated-cut", events.Provider, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID = "cut-0123456789abcdef0123456789abcdef" })},
	{"external-id-rotated-restored", events.Provider, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID = "restore-0123456789abcdef0123456789abcdef" })},
	{"external-id-rotated-operators", events.Operators, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID, f.PreviousUntil = scheduledVersion, f.At.Add(24*time.Hour) })},
	{"external-id-rotated-cut-operators", events.Operators, nil,
		facts(events.TypeExternalIDRotated, func(f *Facts) { f.VersionID = "cut-0123456789abcdef0123456789abcdef" })},
	{"previous-external-id-retired-operators", events.Operators, nil,
		facts(events.TypePreviousRetired, func(f *Facts) { f.VersionID = scheduledVersion })},
	{"access-expired-operators", events.Operators, func(p *grant.Plan) { p.Expires = time.Date(2026, 2, 3, 23, 59, 59, 0, time.UTC) },
		facts(events.TypeAccessExpired, nil)},
	{"previous-external-id-retired", events.Provider, nil,
		facts(events.TypePreviousRetired, func(f *Facts) { f.VersionID = scheduledVersion })},
	{"access-revoked", events.Provider, nil,
		facts(events.TypeAccessRevoked, func(f *Facts) { f.RevokeID = "rv-20260901T160200Z-5d0c2e9a" })},
	{"access-revoked-operators", events.Operators, nil,
		facts(events.TypeAccessRevoked, func(f *Facts) { f.RevokeID = "rv-20260901T160200Z-5d0c2e9a" })},
	{"access-restored", events.Provider, nil, facts(events.TypeAccessRestored, restored)},
	{"access-restored-operators", events.Operators, nil, facts(events.TypeAccessRestored, restored)},
	{"access-expired", events.Provider, func(p *grant.Plan) { p.Expires = time.Date(2026, 2, 3, 23, 59, 59, 0, time.UTC) },
		facts(events.TypeAccessExpired, nil)},
	{"rotation-failed", events.Operators, nil,
		facts(events.TypeRotationFailed, func(f *Facts) { f.VersionID = scheduledVersion })},
	{"trust-drift-detected", events.Operators, nil, facts(events.TypeTrustDriftDetected, nil)},
	{"destination-disabled", events.Operators, nil, facts(events.TypeDestinationDisabled, func(f *Facts) {
		f.Disabled = Disabled{"webhook 1", "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hestio-webhook-XyZ123", "countersign:disabled-9f86d081884c7d65"}
	})},
	{"mail-undelivered", events.Operators, nil, lost(events.MailBounced, false, "MailboxFull")},
	{"mail-undelivered-for-good", events.Operators, nil, lost(events.MailBounced, true, "NoEmail")},
	{"mail-undelivered-complaint", events.Operators, nil, lost(events.MailComplaint, false, "")},
	{"mail-undelivered-reject", events.Operators, nil, lost(events.MailRejected, false, "")},
	{"mail-undelivered-rendering", events.Operators, nil, lost(events.MailUnrendered, false, "")},
	{"test-requested", events.Provider, nil, facts(events.TypeTestRequested, nil)},
	{"test-requested-operators", events.Operators, nil, facts(events.TypeTestRequested, nil)},
	{"weekly-digest", events.Provider, nil, Facts{Kind: events.WeeklyDigest}},
	{"weekly-digest-quiet", events.Provider, nil, Facts{Kind: events.WeeklyDigest}},
	{"weekly-digest-look", events.Operators, nil, Facts{Kind: events.WeeklyDigest}},
}

func lost(kind string, permanent bool, cause string) Facts {
	return facts(events.TypeMailUndelivered, func(f *Facts) { f.Undelivered = Undelivered{"mail 1", kind, permanent, cause} })
}

func restored(f *Facts) {
	f.RevokeID, f.VersionID = "rv-20260901T160200Z-5d0c2e9a", "restore-20260901T160200Z-5d0c2e9a-0a77b3c4"
}

func (s saying) message() Message { return s.about(func(*grant.Plan) {}) }

// about is the message where the plan is another one.
func (s saying) about(change func(*grant.Plan)) Message {
	if digest := slices.Clone(digests[s.name]); digest != nil {
		for i := range digest {
			change(&digest[i].Plan)
		}
		return NewDigest(WeekOf(now).Before(), now, s.to, digest)
	}
	p := plan()
	if s.plan != nil {
		s.plan(&p)
	}
	change(&p)
	return NewMessage(p, s.facts, s.to)
}

func TestTheWords(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sayings {
		t.Run(s.name, func(t *testing.T) {
			m := s.message()
			got := "Subject: " + m.Subject + "\n\n" + m.Topic()
			if s.to == events.Provider {
				mail := m.Mail("countersign@example.com", "ops@example.com")
				got = "Subject: " + mail.Subject + "\n\n" + mail.Text
			}
			file := s.name + ".txt"
			seen[file] = true
			path := filepath.Join("testdata", file)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-golden +got):\n%s", diff)
			}
			if !s.facts.Kind.Concerns(s.to) {
				t.Error("nobody of this audience is told of this event")
			}
		})
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("golden %s belongs to no message", f.Name())
		}
	}
}

// TestEveryEventHasWords holds for events that will be added: who is told must be told something.
func TestEveryEventHasWords(t *testing.T) {
	covered := map[events.Type]map[events.Audience]bool{}
	for _, s := range sayings {
		if covered[s.facts.Kind] == nil {
			covered[s.facts.Kind] = map[events.Audience]bool{}
		}
		covered[s.facts.Kind][s.to] = true
		m := s.message()
		if m.Lead == "" || strings.HasSuffix(m.Subject, ": ") {
			t.Errorf("%s says nothing: %+v", s.name, m)
		}
	}
	for _, kind := range events.Types() {
		for _, to := range []events.Audience{events.Provider, events.Operators} {
			if kind.Concerns(to) && !covered[kind][to] {
				t.Errorf("no golden for %q to %s", kind, to)
			}
		}
	}
}

func TestTextAndHTMLSayTheSame(t *testing.T) {
	for _, s := range sayings {
		m := s.message()
		mail := m.Mail("a@example.com", "b@example.com")
		mail.HTML = strings.NewReplacer("<span>", "", "</span>", "").Replace(mail.HTML)
		for _, part := range []string{m.Lead, m.Check, m.Revoke, noID("mail")} {
			if !strings.Contains(mail.Text, part) || !strings.Contains(mail.HTML, escaped(part)) {
				t.Errorf("%s: %q is not in both", s.name, part)
			}
		}
		for _, row := range m.Rows {
			for _, part := range []string{row.Label, row.Text, row.Command} {
				if !strings.Contains(mail.Text, part) || !strings.Contains(mail.HTML, escaped(part)) {
					t.Errorf("%s: %q is not in both", s.name, part)
				}
			}
		}
		if strings.Contains(mail.HTML, "<!--") {
			t.Errorf("%s: a mark of the frame was left", s.name)
		}
		for _, tag := range []string{"<a ", "<img", "<script", "http:", "https:"} {
			if strings.Contains(mail.HTML, tag) {
				t.Errorf("%s: HTML holds %s", s.name, tag)
			}
		}
	}
}

func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "'", "&#39;", `"`, "&#34;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func TestSubjectsFitEveryChannel(t *testing.T) {
	for _, s := range sayings {
		s.facts.At = time.Date(2026, 9, 30, 23, 59, 59, 0, time.UTC)
		m := s.about(func(p *grant.Plan) { p.Grant = grant.Name(strings.Repeat("g", 40)) })
		if len(m.Subject) > 100 || !strings.HasPrefix(m.Subject, "[Countersign] ggg") && digests[s.name] == nil {
			t.Errorf("%s: %d characters: %q", s.name, len(m.Subject), m.Subject)
		}
		short := s.message().Subject
		if !strings.HasSuffix(m.Subject, short[strings.LastIndex(short, ": ")+1:]) {
			t.Errorf("%s: cut short: %q", s.name, m.Subject)
		}
	}
}

func TestADeadlineIsNeverShownLaterThanItIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(1.7e9, 4e9).Draw(t, "deadline"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		shown, err := time.Parse("2 Jan 15:04 MST 2006", minute(at)+" "+at.UTC().Format("2006"))
		if err != nil {
			t.Fatal(err)
		}
		if shown.After(at) || at.Sub(shown) >= time.Minute {
			t.Fatalf("%s is shown as %s", at.UTC(), shown)
		}
	})
}

// TestStrayCharactersStartNothing gives every string of plan and facts what would break out of a line, a header or a tag.
func TestStrayCharactersStartNothing(t *testing.T) {
	const evil = "x\r\nBcc: all@example.com\x00\x1b[31m\u202e\u2028<script>alert(1)</script><!--rows-->\n&\"'"
	for _, s := range sayings {
		s.facts.VersionID, s.facts.RevokeID, s.facts.Disabled = evil, evil, Disabled{evil, evil, evil}
		clean := s.message()
		m := s.about(func(p *grant.Plan) {
			p.Grant, p.Provider, p.ProviderAccount, p.Account, p.Region = evil, evil, evil, evil, evil
			p.RoleARN += evil
			if p.SecretARN != "" {
				p.SecretARN, p.KeyARN = evil, evil
			}
		})
		mail := m.Mail("a@example.com", "b@example.com")
		if strings.ContainsAny(mail.Subject, "\r\n\x00\x1b") || len(mail.Subject) > 100 {
			t.Errorf("%s: subject %q", s.name, mail.Subject)
		}
		if _, err := mail.MIME(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if strings.ContainsAny(mail.Text+mail.HTML, "\r\x00\x1b\u202e\u2028") {
			t.Errorf("%s: a control character went through", s.name)
		}
		if strings.Contains(mail.HTML, "<script") || strings.Count(mail.HTML, "<dl>") != 1 {
			t.Errorf("%s: a value became HTML", s.name)
		}
		lines, want := strings.Count(mail.Text, "\n"), strings.Count(clean.Mail("a@example.com", "b@example.com").Text, "\n")
		if lines != want {
			t.Errorf("%s: %d lines of text, want %d:\n%s", s.name, lines, want, mail.Text)
		}
		for line := range strings.Lines(mail.Text) {
			if strings.HasPrefix(line, "Bcc:") {
				t.Errorf("%s: a value started a line", s.name)
			}
		}
	}
}

func TestRevokeLineIsOneShellCommand(t *testing.T) {
	line := grant.RevokeLine(plan().RoleName())
	want := `aws iam put-role-policy --role-name ServiceProvider-migration --policy-name CountersignRevocation --policy-document '` + grant.DenyRevocation + `'`
	if line != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
	if strings.Count(line, "'") != 2 || strings.ContainsAny(line, "\n\\`$") {
		t.Errorf("a shell reads more than one quoted word: %s", line)
	}
}

// A test says so in subject, text and body of whatever is sent, and in nothing else.
func TestOnlyATestSaysTEST(t *testing.T) {
	for _, s := range sayings {
		m := s.message()
		mail := m.Mail("countersign@example.com", "ops@example.com")
		body, err := NewBody(plan(), s.facts)
		if err != nil {
			t.Fatal(err)
		}
		for where, says := range map[string]bool{
			"subject": strings.Contains(mail.Subject, "TEST"), "text": strings.HasPrefix(mail.Text, "TEST."), "HTML": strings.Contains(mail.HTML, "TEST."),
			"topic": strings.HasPrefix(m.Topic(), "TEST."), "webhook": strings.Contains(string(body), `"test":true`),
		} {
			if is := s.facts.Kind == events.TypeTestRequested; says != is {
				t.Errorf("%s: the %s says TEST: %t", s.name, where, says)
			}
		}
	}
}
