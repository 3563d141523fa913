package doctor_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/doctor"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

var now = time.Date(2026, 2, 4, 9, 0, 0, 0, time.UTC)

// ward is an account that a case can make ill: the embedded SES, a DNS, and the rest by hand.
type ward struct {
	doctor.Patient
	world  *sim.World
	dns    map[string][]string // a name without records, or with them
	down   map[string]bool     // names for which the DNS doesn't answer
	deny   map[string]bool     // what the credentials may not ask
	who    doctor.Identity
	stacks []doctor.Stack
	alarms []doctor.Alarm
	dead   int
	api    error
	set    doctor.MailSet
	noSet  bool
}

func (w *ward) LookupTXT(_ context.Context, name string) ([]string, error) {
	if w.down[name] {
		return nil, &net.DNSError{Err: "server misbehaving", Name: name}
	}
	if records, ok := w.dns[name]; ok {
		return records, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (w *ward) may(what string) error {
	if w.deny[what] {
		return fmt.Errorf("%s: %w", what, grant.ErrDenied)
	}
	return nil
}

// healthy is an account in which all is well.
func healthy() *ward {
	w := &ward{
		world: sim.New(sim.Config{}),
		dns:   map[string][]string{"_dmarc.example.com": {"v=DMARC1; p=quarantine"}, "mail.example.com": {"v=spf1 include:amazonses.com ~all"}},
		down:  map[string]bool{}, deny: map[string]bool{},
		who:    doctor.Identity{Account: "444455556666", ARN: "arn:aws:iam::444455556666:user/ann", At: now},
		stacks: []doctor.Stack{{Name: "ServiceProviderAccess", Version: "1.0.0", Bus: "countersign", Grants: []string{"migration"}, MailFrom: "access@example.com", MailSet: "countersign"}},
		alarms: []doctor.Alarm{{Name: "countersign-drift", Tells: 1}, {Name: "countersign-drift-2", Ringing: true}},
		set:    doctor.MailSet{Sending: true, Events: []string{"BOUNCE", "COMPLAINT", "REJECT", "RENDERING_FAILURE"}},
	}
	w.world.SES.Production, w.world.SES.DailyQuota = true, 50000
	w.world.SES.Identities["example.com"] = sim.MailIdentity{Verified: true, Status: "SUCCESS", Signing: true, DKIM: "SUCCESS", MailFrom: "mail.example.com", MailFromStatus: "SUCCESS"}
	w.Patient = doctor.Patient{Region: "eu-west-1", Version: "1.0.0", DNS: w, Now: func() time.Time { return now }, AWS: doctor.AWS{
		Who:    func(context.Context) (doctor.Identity, error) { return w.who, w.may("sts") },
		Stacks: func(context.Context) ([]doctor.Stack, error) { return w.stacks, w.may("stacks") },
		API:    func(context.Context, doctor.Stack) (int, error) { return 1, w.api },
		Mail: func(ctx context.Context) (doctor.MailAccount, error) {
			a, err := w.world.SES.Account(ctx)
			return doctor.MailAccount{Production: a.Production, Sending: a.Sending, Enforcement: a.Enforcement, DailyQuota: a.DailyQuota, SentToday: a.SentToday}, orDenied(w.may("account"), err)
		},
		Sender: func(ctx context.Context, name string) (doctor.MailIdentity, error) {
			i, err := w.world.SES.Identity(ctx, name)
			return doctor.MailIdentity{Verified: i.Verified, Status: i.Status, Signing: i.Signing, DKIM: i.DKIM, MailFrom: i.MailFrom, MailFromWord: i.MailFromStatus}, orDenied(w.may("identity"), err)
		},
		Set: func(context.Context, string) (doctor.MailSet, error) {
			if w.noSet {
				return doctor.MailSet{}, grant.ErrNotFound
			}
			return w.set, w.may("set")
		},
		Alarms:      func(context.Context, string) ([]doctor.Alarm, error) { return w.alarms, w.may("alarms") },
		Undelivered: func(context.Context, doctor.Stack) (int, error) { return w.dead, w.may("queue") },
	}}
	return w
}

func orDenied(denied, err error) error {
	if denied != nil {
		return denied
	}
	return err
}

// identity changes what SES knows of the sender's domain.
func (w *ward) identity(change func(*sim.MailIdentity)) {
	i := w.world.SES.Identities["example.com"]
	change(&i)
	w.world.SES.Identities["example.com"] = i
}

func verdicts(all []doctor.Finding) (out []string) {
	for _, f := range all {
		out = append(out, f.Check+" "+string(f.Verdict))
	}
	return out
}

func TestAllIsWell(t *testing.T) {
	got := healthy().Examine(t.Context())
	want := []string{"credentials ok", "clock ok", "stack ok", "sandbox ok", "sending ok", "sender ok", "DKIM ok", "SPF ok", "DMARC ok", "mail events ok", "API ok", "alarms ok", "dead letters ok", "permissions ok"}
	if diff := cmp.Diff(want, verdicts(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := doctor.Failed(got); n != 0 {
		t.Errorf("%d failed", n)
	}
}

// Each illness changes the findings that it is about, and no other.
func TestWhatIsWrongIsFound(t *testing.T) {
	for name, tt := range map[string]struct {
		ill  func(w *ward)
		want string // the findings that aren't ok
		says string // a part of them
	}{
		"a clock that is a minute off":  {func(w *ward) { w.who.At = now.Add(-time.Minute) }, "clock warn", "1m0s ahead of"},
		"a clock that AWS doesn't take": {func(w *ward) { w.who.At = now.Add(6 * time.Minute) }, "clock fail", "behind"},
		"an older stack":                {func(w *ward) { w.stacks[0].Version = "0.9.0" }, "stack warn", "version 0.9.0"},
		"a stack of before":             {func(w *ward) { w.stacks[0].Version = "" }, "stack warn", "version unknown"},
		"shards of two versions": {func(w *ward) {
			w.stacks = append(w.stacks, doctor.Stack{Name: "ServiceProviderAccess-2", Version: "0.9.0", Bus: "countersign-2"})
		}, "stack warn, alarms fail", "ServiceProviderAccess-2 has version 0.9.0"},
		"SES's sandbox": {func(w *ward) { w.world.SES.Production = false }, "sandbox warn", "production access"},
		"the sandbox, and its recipients": {func(w *ward) {
			w.world.SES.Production = false
			w.world.SES.Identities["good@hestio.example"] = sim.MailIdentity{Verified: true}
			w.Recipients = []doctor.Recipient{{Grant: "migration", Name: "mail 1", Address: "good@hestio.example"}, {Grant: "migration", Name: "mail 2", Address: "ops@blox.example"}}
		}, "sandbox warn, recipients fail", "no mail reaches mail 2 of migration"},
		"sending paused":                 {func(w *ward) { w.world.SES.Paused = true }, "sending fail", "put-account-sending-attributes"},
		"paused by AWS":                  {func(w *ward) { w.world.SES.Enforcement = "SHUTDOWN" }, "sending fail", "ask for a review"},
		"under review":                   {func(w *ward) { w.world.SES.Enforcement = "PROBATION" }, "sending warn", "under review"},
		"a sender that SES doesn't know": {func(w *ward) { clear(w.world.SES.Identities) }, "sender fail, DMARC fail", "create-email-identity --email-identity example.com"},
		"a sender that isn't verified yet": {func(w *ward) {
			w.identity(func(i *sim.MailIdentity) { i.Verified, i.Status, i.DKIM, i.MailFrom = false, "PENDING", "PENDING", "" })
		}, "sender fail, DKIM fail, SPF warn, DMARC fail", "not verified (PENDING)"},
		"an address alone": {func(w *ward) {
			clear(w.world.SES.Identities)
			w.world.SES.Identities["access@example.com"] = sim.MailIdentity{Verified: true, Status: "SUCCESS"}
		}, "DKIM warn, SPF warn, DMARC fail", "receivers drop them"},
		"a key that isn't in the DNS":    {func(w *ward) { w.identity(func(i *sim.MailIdentity) { i.DKIM = "FAILED" }) }, "DKIM fail", "_domainkey.example.com"},
		"signing switched off":           {func(w *ward) { w.identity(func(i *sim.MailIdentity) { i.Signing = false }) }, "DKIM fail", "--signing-enabled"},
		"no MAIL FROM domain":            {func(w *ward) { w.identity(func(i *sim.MailIdentity) { i.MailFrom = "" }) }, "", ""},
		"a MAIL FROM domain half set up": {func(w *ward) { w.identity(func(i *sim.MailIdentity) { i.MailFromStatus = "PENDING" }) }, "SPF fail", "feedback-smtp.eu-west-1.amazonses.com"},
		"no SPF record":                  {func(w *ward) { delete(w.dns, "mail.example.com") }, "SPF fail", "has no SPF record"},
		"two SPF records": {func(w *ward) {
			w.dns["mail.example.com"] = []string{"v=spf1 include:amazonses.com -all", "v=spf1 -all"}
		}, "SPF fail", "more than one"},
		"an SPF record of somebody else": {func(w *ward) {
			w.dns["mail.example.com"] = []string{"v=spf1 include:_spf.example.net -all", "google-site-verification=x"}
		}, "SPF fail", "does not name SES"},
		"no DMARC record":      {func(w *ward) { delete(w.dns, "_dmarc.example.com") }, "DMARC warn", "v=DMARC1; p=none"},
		"two DMARC records":    {func(w *ward) { w.dns["_dmarc.example.com"] = []string{"v=DMARC1; p=none", "v=DMARC1; p=reject"} }, "DMARC fail", "more than one"},
		"DMARC, and SPF alone": {func(w *ward) { w.identity(func(i *sim.MailIdentity) { i.DKIM = "FAILED" }) }, "DKIM fail", ""},
		"strict DMARC, and SPF alone": {func(w *ward) {
			w.identity(func(i *sim.MailIdentity) { i.DKIM = "FAILED" })
			w.dns["_dmarc.example.com"] = []string{"v=DMARC1; p=reject; aspf=s"}
		}, "DKIM fail, DMARC fail", "neither DKIM nor SPF"},
		"DMARC of the domain above": {func(w *ward) {
			w.stacks[0].MailFrom = "access@cloud.example.com"
		}, "", ""},
		"a DNS that doesn't answer":  {func(w *ward) { w.down["_dmarc.example.com"] = true }, "DMARC unknown", "server misbehaving"},
		"no configuration set":       {func(w *ward) { w.noSet = true }, "mail events fail", "is gone"},
		"a paused configuration set": {func(w *ward) { w.set.Sending = false }, "mail events fail", "put-configuration-set-sending-options"},
		"a silent configuration set": {func(w *ward) { w.set.Events = []string{"REJECT"} }, "mail events fail", "bounces and complaints"},
		"an API that doesn't answer": {func(w *ward) { w.api = grant.ErrUnavailable }, "API fail", "--direct"},
		"an alarm that rings":        {func(w *ward) { w.alarms[0].Ringing = true }, "alarms fail", "countersign-drift rings"},
		"alarms that tell nobody":    {func(w *ward) { w.alarms[0].Tells = 0 }, "alarms warn", "tell nobody"},
		"no alarms":                  {func(w *ward) { w.alarms = nil }, "alarms fail", "has none"},
		"dead letters":               {func(w *ward) { w.dead = 2 }, "dead letters fail", "2 messages: somebody was not told"},
		"questions that are denied": {func(w *ward) {
			w.deny = map[string]bool{"account": true, "set": true}
		}, "sandbox unknown, mail events unknown, permissions warn", "ses:GetAccount and ses:GetConfigurationSet"},
		"no right to ask for the sender": {func(w *ward) { w.deny["identity"] = true }, "sender unknown, permissions warn", "ses:GetEmailIdentity"},
		"no mail at all":                 {func(w *ward) { w.stacks[0].MailFrom, w.stacks[0].MailSet = "", "" }, "sender warn", "--mail-from"},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy()
			tt.ill(w)
			var bad []string
			var all strings.Builder
			for _, f := range w.Examine(t.Context()) {
				fmt.Fprintf(&all, "%+v\n", f)
				if f.Verdict != doctor.OK {
					bad = append(bad, f.Check+" "+string(f.Verdict))
				}
				if (f.Fix == "") != (f.Verdict == doctor.OK || f.Verdict == doctor.Unknown) {
					t.Errorf("%s %s: fix %q", f.Check, f.Verdict, f.Fix)
				}
			}
			if got := strings.Join(bad, ", "); got != tt.want || !strings.Contains(all.String(), tt.says) {
				t.Errorf("found %q, want %q with %q:\n%s", got, tt.want, tt.says, all.String())
			}
		})
	}
}

// Without credentials AWS is asked once, and the DNS still tells what it knows.
func TestWithoutCredentials(t *testing.T) {
	w := healthy()
	w.deny["sts"] = true
	w.MailFrom = "access@example.com"
	got := w.Examine(t.Context())
	if diff := cmp.Diff([]string{"credentials fail", "DMARC ok"}, verdicts(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithNothingDeployed(t *testing.T) {
	w := healthy()
	w.stacks, w.MailFrom = nil, "access@example.com"
	got := verdicts(w.Examine(t.Context()))
	want := []string{"credentials ok", "clock ok", "stack warn", "sandbox ok", "sending ok", "sender ok", "DKIM ok", "SPF ok", "DMARC ok", "permissions ok"}
	if !slices.Equal(got, want) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}
