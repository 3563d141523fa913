package deliver

import (
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// NewMessage finds the words: what happened and what to do come first, the names of things after them. Rows without a value
// are left out.
func NewMessage(p grant.Plan, f Facts, to events.Audience) Message {
	w := words{p, f}
	var m Message
	switch f.Kind {
	case events.TypeAccessGranted:
		m = w.granted(to)
	case events.TypeExternalIDRotated:
		m = w.rotated(to)
	case events.TypeExternalIDConfirmed:
		m = w.confirmed(to)
	case events.TypeRotationUnconfirmed:
		m = w.unconfirmed(to)
	case events.TypePreviousRetired:
		m = w.retired(to)
	case events.TypeAccessRevoked:
		m = w.revoked(to)
	case events.TypeAccessRestored:
		m = w.restored(to)
	case events.TypeAccessExpired:
		m = w.expired(to)
	case events.TypeRotationFailed:
		m = w.failed()
	case events.TypeTrustDriftDetected:
		m = w.drifted()
	case events.TypeDestinationDisabled:
		m = w.disabled()
	case events.TypeMailUndelivered:
		m = w.undelivered()
	case events.TypeTestRequested:
		m = w.test()
	}
	m.Subject = subject(p.Grant, m.Subject)
	m.Lead = oneLine(m.Lead)
	var rows []Row
	for _, r := range append(m.Rows, w.names()...) {
		if r.Text = oneLine(r.Text); r.Text != "" {
			r.Command = oneLine(r.Command)
			rows = append(rows, r)
		}
	}
	m.Rows = rows
	m.Check = "Account " + oneLine(p.Account) + " checks it with: countersign show " + oneLine(string(p.Grant))
	m.Revoke = oneLine(m.Revoke)
	m.Thread = string(p.Grant) + "." + p.Account + "." + p.Region
	return m
}

// subject is a line that every channel takes: SNS takes fewer than 100 characters of ASCII.
func subject(name grant.Name, what string) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, "[Countersign] "+string(name)+": "+what)
	return s[:min(len(s), 99)]
}

type words struct {
	plan  grant.Plan
	facts Facts
}

// names are the objects of the grant: the same in every message.
func (w words) names() []Row {
	return []Row{
		{Label: "Grant", Text: string(w.plan.Grant) + ", for " + w.plan.Provider + " (" + w.plan.ProviderAccount + ")"},
		{Label: "Account", Text: w.plan.Account + " in " + w.plan.Region},
		{Label: "Role", Text: w.plan.RoleARN},
		{Label: "Secret", Text: w.plan.SecretARN},
		{Label: "Key", Text: w.plan.KeyARN},
	}
}

func (w words) version() Row { return Row{Label: "Version", Text: w.facts.VersionID} }

// pickUp says how to read the current ID.
func (w words) pickUp(before string) Row {
	return Row{
		Label: "Do", Command: pickUpLine(w.plan),
		Text: before + " as a principal of account " + w.plan.ProviderAccount + ":",
	}
}

func (w words) granted(to events.Audience) Message {
	m := Message{
		Subject: "access granted",
		Lead:    w.plan.Provider + " may now enter account " + w.plan.Account + ".",
		Revoke:  grant.RevokeLine(w.plan.RoleName()),
	}
	if !w.plan.Expires.IsZero() {
		m.Rows = append(m.Rows, Row{Label: "Ends", Text: day(w.plan.Expires)})
	}
	m.Rows = append(m.Rows, w.opened(to, "Assume the role.", "Read the external ID"), w.version())
	return m
}

// opened is what a reader does about access that opened.
func (w words) opened(to events.Audience, enter, read string) Row {
	switch {
	case to == events.Operators:
		return Row{Label: "Do", Text: "Nothing, if you expected this. Else revoke it.", Command: "countersign revoke " + string(w.plan.Grant)}
	case w.plan.NoExternalID:
		return Row{Label: "Do", Text: enter + " This grant asks for no external ID."}
	}
	return w.pickUp(read)
}

func (w words) rotated(to events.Audience) Message {
	if to == events.Operators {
		return w.rotatedByUs()
	}
	account := w.plan.Account
	changed := Row{Label: "Changed", Text: minute(w.facts.At) + ", " + cause(w.facts.VersionID)}
	do := w.pickUp("Nothing, if your system follows events. Else read the new ID")
	until := w.facts.PreviousUntil
	m := Message{Revoke: grant.RevokeLine(w.plan.RoleName())}
	switch {
	case until.IsZero():
		m.Subject = "new external ID, act now"
		m.Lead = "Use the new external ID for account " + account + " from now on: the previous one has ended."
		m.Rows = []Row{do, changed, w.version()}
	case !until.After(w.facts.Now):
		m.Subject = "new external ID, act now"
		m.Lead = "Use the new external ID for account " + account + " from now on: the time of the previous one is over."
		good := " the previous ID was good."
		if w.plan.MayExtend() {
			good = " the previous ID was good" + w.longer()
		}
		m.Rows = []Row{{Label: "Until", Text: minute(until) + good}, do, changed, w.version()}
	case !w.facts.Now.Before(w.facts.LastCall()):
		m.Subject = "reminder: act before " + minute(until)
		m.Lead = "The previous external ID for account " + account + " ends at " + minute(until) + ". Who still uses it is out from then on."
		m.Rows = []Row{{Label: "Until", Text: minute(until) + " the previous ID also works" + w.longer()}, do, changed, w.version()}
	default:
		m.Subject = "new external ID, act before " + minute(until)
		m.Lead = "Use the new external ID for account " + account + " before " + minute(until) + "."
		m.Rows = []Row{{Label: "Until", Text: minute(until) + " the previous ID also works" + w.longer()}, do, changed, w.version()}
	}
	return m
}

// rotatedByUs tells the operators, who have nothing to do.
func (w words) rotatedByUs() Message {
	m := Message{
		Subject: "new external ID",
		Lead:    w.plan.Provider + " has a new external ID for account " + w.plan.Account + ".",
		Revoke:  grant.RevokeLine(w.plan.RoleName()),
	}
	switch until := w.facts.PreviousUntil; {
	case until.After(w.facts.Now):
		m.Rows = append(m.Rows, Row{Label: "Until", Text: minute(until) + " the previous ID also works. Then IAM refuses it by itself."})
	case !until.IsZero():
		m.Rows = append(m.Rows, Row{Label: "Until", Text: minute(until) + " the previous ID was good."})
	}
	m.Rows = append(m.Rows,
		Row{Label: "Do", Text: "Nothing. " + w.plan.Provider + " reads it from the secret."},
		Row{Label: "Changed", Text: minute(w.facts.At) + ", " + cause(w.facts.VersionID)}, w.version())
	return m
}

// CauseOf reads from a version id why the ID was rotated, in the words of the event.
func CauseOf(versionID string) string {
	switch {
	case grant.PurposeOf(versionID) == grant.Cut:
		return "leaked"
	case grant.PurposeOf(versionID) == grant.Restore:
		return "restored"
	case strings.HasPrefix(versionID, string(grant.OnDemand)+"-"):
		return "requested"
	}
	return "scheduled"
}

func cause(versionID string) string {
	return map[string]string{
		"leaked": "because the previous ID leaked", "restored": "because access was restored",
		"requested": "because an operator asked for it", "scheduled": "as scheduled",
	}[CauseOf(versionID)]
}

func (w words) retired(to events.Audience) Message {
	do := w.pickUp("Nothing, if you enter with the current ID. Else read it")
	if to == events.Operators {
		do = Row{Label: "Do", Text: "Nothing. " + w.plan.Provider + " enters with the current one."}
	}
	return Message{
		Subject: "previous external ID ended",
		Lead:    "The previous external ID for account " + w.plan.Account + " is not accepted any more.",
		Rows:    []Row{do, {Label: "Ended", Text: w.facts.VersionID}},
		Revoke:  grant.RevokeLine(w.plan.RoleName()),
	}
}

func (w words) revoked(to events.Audience) Message {
	m := Message{
		Subject: "access revoked",
		Lead:    "Account " + w.plan.Account + " took the access of " + w.plan.Provider + " away, live sessions included.",
	}
	spreads := Row{Label: "Spreads", Text: "In seconds to a few minutes, as IAM does."}
	id := Row{Label: "Revoke id", Text: w.facts.RevokeID}
	if to == events.Provider {
		do := Row{Label: "Do", Text: "Nothing from here. Ask account " + w.plan.Account + " if you did not expect this."}
		m.Rows = []Row{spreads, do, id}
		return m
	}
	m.Rows = append(m.Rows, spreads,
		Row{Label: "Lives on", Text: "Sessions of other roles entered from this one, open connections, and what was built or shared meanwhile."},
		Row{Label: "Do", Text: "Look at what lives on. See that the grant is closed:", Command: "countersign show " + string(w.plan.Grant)}, id)
	return m
}

func (w words) restored(to events.Audience) Message {
	m := Message{
		Subject: "access restored",
		Lead:    "Account " + w.plan.Account + " lets " + w.plan.Provider + " in again.",
		Rows: []Row{
			{Label: "From", Text: minute(w.facts.At.Add(grant.RestoreMargin+time.Minute)) + " on. Sessions from before stay dead, as do all older external IDs."},
		},
		Revoke: grant.RevokeLine(w.plan.RoleName()),
	}
	m.Rows = append(m.Rows, w.opened(to, "Assume the role again.", "Read the new external ID"), w.version(),
		Row{Label: "Undone", Text: w.facts.RevokeID})
	return m
}

func (w words) expired(to events.Audience) Message {
	do := "Nothing from here. If the work goes on, ask account " + w.plan.Account + " for a later end."
	if to == events.Operators {
		do = "Nothing. If the work goes on, set a later end in access.yaml and deploy."
	}
	return Message{
		Subject: "access expired",
		Lead:    "The access to account " + w.plan.Account + " ended as planned.",
		Rows: []Row{
			{Label: "Ended", Text: day(w.plan.Expires)},
			{Label: "Do", Text: do},
		},
	}
}

func (w words) failed() Message {
	return Message{
		Subject: "rotation failed",
		Lead:    "A rotation of grant " + string(w.plan.Grant) + " was refused.",
		Rows: []Row{
			{Label: "Do", Text: "See what stands in its way. The event Rotation Failed and the log of countersign-rotate hold the reason.", Command: "countersign show " + string(w.plan.Grant)},
			w.version(),
		},
		Revoke: grant.RevokeLine(w.plan.RoleName()),
	}
}

func (w words) drifted() Message {
	return Message{
		Subject: "trust drift detected",
		Lead:    "The trust policy of grant " + string(w.plan.Grant) + "'s role was not what its plan asks for.",
		Rows: []Row{
			{Label: "Do", Text: "See what was found. Countersign mends what is its own and leaves the rest to you.", Command: "countersign show " + string(w.plan.Grant)},
		},
		Revoke: grant.RevokeLine(w.plan.RoleName()),
	}
}

func (w words) disabled() Message {
	d := w.facts.Disabled
	return Message{
		Subject: d.Destination + " disabled",
		Lead:    "The endpoint of " + d.Destination + " wants no messages any more (410 Gone). It is told of nothing from now on.",
		Rows: []Row{
			{Label: "Do", Text: "Ask " + w.plan.Provider + " for its endpoint, and correct it in access.yaml or in the secret. If it is to be this one again:",
				Command: "aws secretsmanager untag-resource --region " + w.plan.Region + " --secret-id " + d.SecretARN + " --tag-keys " + d.Tag},
		},
		Revoke: grant.RevokeLine(w.plan.RoleName()),
	}
}

// undelivered says what became of a mail that SES took, and what a person does about it.
func (w words) undelivered() Message {
	u := w.facts.Undelivered
	m := Message{Subject: u.Destination + " did not arrive", Lead: "A mail to " + u.Destination + " did not arrive: SES could not deliver it."}
	do := Row{Label: "Do", Text: "Nothing, if the next one arrives. Else correct the address under notify in access.yaml."}
	switch {
	case u.Kind == events.MailComplaint:
		m.Subject = u.Destination + " calls our mail spam"
		m.Lead = "Whoever reads " + u.Destination + " called a mail of Countersign's spam."
		do.Text = "Ask whether mail is wanted there, or take the address out of notify in access.yaml. SES may have put it on its list of suppressed addresses. Take it off:"
		do.Command = w.unsuppress()
	case u.Kind == events.MailRejected:
		m.Lead = "A mail to " + u.Destination + " was not sent: SES took it for a virus."
		do.Text = "See what of the plan stands in that mail, and ask AWS support."
	case u.Kind == events.MailUnrendered:
		m.Lead = "A mail to " + u.Destination + " was not sent: SES could not render it."
		do.Text = "Ask AWS support: Countersign's mails have no template."
	case u.Permanent:
		m.Lead = "Mail to " + u.Destination + " does not arrive: the address is not good, or SES holds mail to it back."
		do.Text = "Correct the address under notify in access.yaml. If it is good, take it off SES's list of suppressed addresses:"
		do.Command = w.unsuppress()
	}
	m.Rows = []Row{do, {Label: "Cause", Text: u.Cause}, {Label: "See", Text: "Who was told of what:", Command: "countersign history " + string(w.plan.Grant) + " --all"}}
	return m
}

// unsuppress is the AWS CLI call by which SES sends to an address again.
func (w words) unsuppress() string {
	return "aws sesv2 delete-suppressed-destination --region " + w.plan.Region + " --email-address ADDRESS"
}

// test can't pass for a change: it says so first and last, and names nothing to be done.
func (w words) test() Message {
	return Message{
		Subject: "TEST, nothing has changed",
		Lead:    "TEST. An operator of account " + w.plan.Account + " wants to see whether messages arrive. Nothing has changed.",
		Rows:    []Row{{Label: "Do", Text: "Nothing. This was a TEST."}},
	}
}
