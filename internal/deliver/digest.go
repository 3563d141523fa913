package deliver

import (
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// Week is a calendar week, from Monday 0:00 UTC on.
type Week struct{ monday time.Time }

// WeekOf is the week that a moment lies in.
func WeekOf(t time.Time) Week {
	y, m, d := t.UTC().Date()
	back := (int(t.UTC().Weekday()) + 6) % 7 // days since Monday
	return Week{time.Date(y, m, d-back, 0, 0, 0, 0, time.UTC)}
}

// Before is the week before.
func (w Week) Before() Week { return Week{w.monday.AddDate(0, 0, -7)} }

// From is the week's first moment.
func (w Week) From() time.Time { return w.monday }

// Holds says whether a moment lies in the week.
func (w Week) Holds(t time.Time) bool { return WeekOf(t) == w }

// String is the week as ISO 8601 counts it: "2026-W06".
func (w Week) String() string {
	year, week := w.monday.ISOWeek()
	return fmt.Sprintf("%d-W%02d", year, week)
}

// span is the week for people.
func (w Week) span() string {
	return w.monday.Format("2 Jan") + " to " + w.monday.AddDate(0, 0, 6).Format("2 Jan")
}

// Happening is an event of a grant, as a digest mentions it.
type Happening struct {
	At        time.Time
	Type      events.Type
	VersionID string
}

// Standing is a grant in a digest.
type Standing struct {
	Plan     grant.Plan
	Secret   grant.Secret        // zero where the grant has no external ID
	Versions []grant.VersionInfo // its labelled ones
	Happened []Happening         // in the week, the first one first
}

// mostMentioned is how many events of a grant a digest mentions.
const mostMentioned = 12

// NewDigest finds the words of a weekly digest: what happened to some grants of one stack, at least one, and how they stand now.
// It says so by plan, tags, labels and the stack's own events; what IAM says isn't asked.
func NewDigest(w Week, now time.Time, to events.Audience, all []Standing) Message {
	account := all[0].Plan.Account
	changes, states, troubled := 0, map[state][]string{}, []string(nil)
	var rows []Row
	for _, s := range all {
		name := oneLine(string(s.Plan.Grant))
		is, lines := s.now(now)
		states[is] = append(states[is], name)
		if is == needsLook {
			troubled = append(troubled, name)
		}
		changes += len(s.Happened)
		rows = append(rows, Row{Label: "Grant", Text: name + ", for " + oneLine(s.Plan.Provider) + " (" + oneLine(s.Plan.ProviderAccount) + ")"})
		rows = append(append(rows, lines...), s.happened()...)
	}
	what := "nothing changed"
	switch {
	case changes == 1:
		what = "1 change"
	case changes > 1:
		what = fmt.Sprintf("%d changes", changes)
	}
	headline, do := what, Row{Label: "Do", Text: "Nothing. This is how things stand."}
	if troubled != nil {
		headline = "have a look"
		do = Row{Label: "Do", Text: "Ask account " + oneLine(account) + " about " + strings.Join(troubled, ", ") + "."}
		if to == events.Operators {
			do = Row{Label: "Do", Text: "Look at " + strings.Join(troubled, ", ") + ":", Command: "countersign show " + troubled[0]}
		}
	}
	return Message{
		Subject: "[Countersign] weekly digest: " + headline + ", " + w.span(),
		Lead:    strings.ToUpper(what[:1]) + what[1:] + " from " + w.span() + ": " + inAll(states) + ".",
		Rows:    append([]Row{do, {Label: "Account", Text: oneLine(account) + " in " + oneLine(all[0].Plan.Region)}}, rows...),
		Check:   "Account " + oneLine(account) + " checks it with: countersign grants, and countersign history GRANT",
		Thread:  "digest." + account + "." + all[0].Plan.Region,
	}
}

// state is how a grant stands, in words that follow "is" or "are".
type state string

const (
	needsLook state = "in need of a look"
	isOpen    state = "open"
	isRevoked state = "revoked"
	hasEnded  state = "over"
	isUnborn  state = "not open yet"
	isUnknown state = "without an external ID"
)

// inAll counts the grants by how they stand. One grant is named.
func inAll(states map[state][]string) string {
	var out []string
	for _, s := range []state{needsLook, isOpen, isRevoked, hasEnded, isUnborn, isUnknown} {
		switch names := states[s]; {
		case len(names) == 0:
		case len(names) == 1:
			out = append(out, names[0]+" is "+string(s))
		case len(out) == 0:
			out = append(out, fmt.Sprintf("%d grants are %s", len(names), s))
		default:
			out = append(out, fmt.Sprintf("%d are %s", len(names), s))
		}
	}
	return strings.Join(out, ", ")
}

// now is how the grant stands.
func (s Standing) now(now time.Time) (state, []Row) {
	p, tags := s.Plan, s.Secret.Tags
	is := func(st state, text string) (state, []Row) { return st, []Row{{Label: "Now", Text: text}} }
	closure := grant.ClosureOf(nil, nil, tags)
	switch {
	case closure.Closed():
		return is(isRevoked, strings.TrimSpace("Revoked: nobody gets in. "+oneLine(closure.RevokeID)))
	case !p.Expires.IsZero() && !now.Before(p.Expires):
		return is(hasEnded, "Over since "+day(p.Expires)+", as planned.")
	case p.NoExternalID:
		return is(isUnknown, "It has no external ID, by which to tell here whether it is open: countersign show "+oneLine(string(p.Grant)))
	case s.Secret.Deleted:
		return is(needsLook, "Its secret is deleted: no rotation succeeds until somebody restores it.")
	case tags[grant.FactGranted.AnnouncedTag()] == "":
		return is(isUnborn, "Not open yet: it has no first external ID.")
	}
	made := s.made(grant.StageCurrent)
	if made.Created.IsZero() {
		return is(needsLook, "Its secret has no current external ID.")
	}
	st, next := s.next(made.Created, now)
	_, rows := is(st, "Open. The external ID is "+age(now.Sub(made.Created))+". "+next)
	if until := made.Created.Add(p.OverlapOf(made.ID)); until.After(now) && s.made(grant.StagePrevious).ID != "" {
		rows = append(rows, Row{Label: "Until", Text: minute(until) + " the previous ID also works."})
	}
	if !p.Expires.IsZero() {
		rows = append(rows, Row{Label: "Ends", Text: day(p.Expires)})
	}
	return st, rows
}

// made is the version at a label, with the day on which AWS says that it was made.
func (s Standing) made(stage string) grant.VersionInfo {
	id := s.Secret.At(stage)
	for _, v := range s.Versions {
		if v.ID == id {
			return v
		}
	}
	return grant.VersionInfo{}
}

// next says when the ID is replaced, and whether that should have been.
func (s Standing) next(made, now time.Time) (state, string) {
	if until := grant.PausedUntil(s.Secret.Tags, now); !until.IsZero() {
		return isOpen, "The schedule is paused until " + day(until) + "."
	}
	since := made
	if over := grant.PauseOver(s.Secret.Tags, now); over.After(since) {
		since = over
	}
	due := s.Plan.DueBy(since)
	switch {
	case due.IsZero():
		return isOpen, "It is rotated on demand."
	case now.After(due):
		return needsLook, "Its rotation is overdue since " + day(due) + "."
	case s.Secret.NextRotation.IsZero():
		return isOpen, "The next rotation comes by " + day(due) + "."
	}
	return isOpen, "The next rotation comes by " + day(s.Secret.NextRotation) + "."
}

// age is how old an ID is.
func age(d time.Duration) string {
	switch days := int(d / (24 * time.Hour)); {
	case days < 1:
		return "less than a day old"
	case days == 1:
		return "1 day old"
	default:
		return fmt.Sprintf("%d days old", days)
	}
}

// happened mentions what happened, a line each.
func (s Standing) happened() (rows []Row) {
	for i, h := range s.Happened {
		if i == mostMentioned {
			rows = append(rows, Row{Label: "More", Text: fmt.Sprintf("%d: countersign history %s", len(s.Happened)-i, oneLine(string(s.Plan.Grant)))})
			break
		}
		rows = append(rows, Row{Label: h.At.UTC().Format("2 Jan"), Text: h.words()})
	}
	return rows
}

// words are those of a log, not of a message: who reads a digest has nothing to do about it.
func (h Happening) words() string {
	switch h.Type {
	case events.TypeAccessGranted:
		return "Access granted."
	case events.TypeExternalIDRotated:
		return "New external ID, " + cause(h.VersionID) + "."
	case events.TypeExternalIDConfirmed:
		return "The new external ID was confirmed."
	case events.TypeRotationUnconfirmed:
		return "The new external ID was not confirmed yet."
	case events.TypePreviousRetired:
		return "The previous external ID ended."
	case events.TypeAccessRevoked:
		return "Access revoked."
	case events.TypeAccessRestored:
		return "Access restored, with a new external ID."
	case events.TypeAccessExpired:
		return "Access ended as planned."
	case events.TypeRotationFailed:
		return "A rotation was refused."
	case events.TypeTrustDriftDetected:
		return "The trust policy was not what the plan asks for."
	case events.TypeDestinationDisabled:
		return "A webhook wants no messages any more."
	}
	return string(h.Type) + "."
}
