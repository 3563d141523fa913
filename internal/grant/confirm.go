package grant

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/form"
)

// Unconfirmed is what becomes of the previous external ID at its deadline while the provider has not confirmed the current
// one. Any other value, and none, is UnconfirmedCut.
type Unconfirmed string

// The three ways.
const (
	UnconfirmedAuto   Unconfirmed = "auto"   // it ends only if the provider confirmed its last rotation, else it stays until the provider confirms
	UnconfirmedCut    Unconfirmed = "cut"    // it ends
	UnconfirmedExtend Unconfirmed = "extend" // it stays until the provider confirms
)

// DefaultRetireIn is how long behind a confirmation the previous external ID stays accepted, if nobody says otherwise.
const DefaultRetireIn = 15 * time.Minute

// Confirmer is who confirmed a version.
type Confirmer string

// The two. Only the provider's own confirmation shows that the provider follows rotations.
const (
	ByProvider Confirmer = "provider" // a session of the granted role, opened with the version's external ID
	ByOperator Confirmer = "operator"
)

// Issuer is who makes a grant's external IDs.
type Issuer string

// The two.
const (
	IssuedByCountersign Issuer = ""
	IssuedByProvider    Issuer = "provider" // an operator hands each one over: countersign rotate GRANT --to -
)

// ProviderAct is something that a session of the granted role may ask of its own grant.
type ProviderAct string

// The acts.
const (
	ActConfirm ProviderAct = "confirm" // that the current external ID is in use
	ActRotate  ProviderAct = "rotate"  // for another one now, with the configured overlap
)

// ProviderActs are all of them.
var ProviderActs = []ProviderAct{ActConfirm, ActRotate}

// Lets says whether sessions of the role may ask for an act.
func (p Plan) Lets(act ProviderAct) bool { return slices.Contains(p.ProviderMay, act) }

// RotateAtMost is how often a provider may ask for a rotation.
const RotateAtMost = time.Hour

// Confirmation is what TagConfirmed holds: the last version that was confirmed. It can only end or shorten access.
type Confirmation struct {
	VersionID string
	RetireAt  time.Time // from then on the external ID before it is not accepted
	By        Confirmer
}

// String is what the tag holds.
func (c Confirmation) String() string {
	return c.VersionID + " " + c.RetireAt.UTC().Format(time.RFC3339) + " " + string(c.By)
}

var versionForm = form.New(`^[A-Za-z0-9-]{32,64}$`)

// IsVersionID says whether a text has the form of a version's id: 32 to 64 letters, digits and hyphens.
func IsVersionID(s string) bool { return versionForm.MatchString(s) }

// ConfirmationOf reads TagConfirmed. What can't be read, exactly as String writes it, is none.
func ConfirmationOf(tags map[string]string) Confirmation {
	tag := tags[FactConfirmed.Tag()]
	part := strings.Split(tag, " ")
	if len(part) != 3 {
		return Confirmation{}
	}
	at, err := time.Parse(time.RFC3339, part[1])
	c := Confirmation{part[0], at, Confirmer(part[2])}
	if err != nil || !IsVersionID(c.VersionID) || c.By != ByProvider && c.By != ByOperator || c.String() != tag {
		return Confirmation{}
	}
	return c
}

// Of says whether the version is the one that was confirmed.
func (c Confirmation) Of(versionID string) bool { return versionID != "" && c.VersionID == versionID }

// confirmSession is how the names of sessions begin that confirm. The previous external ID opens none of that name.
const confirmSession = "confirm-"

// ConfirmSession is the name of the session in which the provider confirms a version.
func ConfirmSession(versionID string) string { return confirmSession + versionID }

// CheckConfirmSession says what is wrong with a session that wants to confirm a version: its name must be ConfirmSession's.
func CheckConfirmSession(session, versionID string) error {
	named, ok := strings.CutPrefix(session, confirmSession)
	switch {
	case !IsVersionID(versionID):
		return fmt.Errorf("%.80q is no version id: 32 to 64 letters, digits and hyphens", versionID)
	case !ok:
		return fmt.Errorf("the session's name is %.80q, and only one called %s… shows that the new external ID was used", session, confirmSession)
	case named != versionID:
		return errors.New("the session is named after another version")
	}
	return nil
}

// Outlook is what happens to the previous external ID if nobody confirms the current one, and why.
type Outlook struct {
	Extended bool // it stays until somebody confirms; else it ends at its deadline
	Why      string
}

// MayExtend says whether there can be a previous external ID without an end, by the plan as it is now.
func (p Plan) MayExtend() bool {
	return p.WhenUnconfirmed == UnconfirmedAuto || p.WhenUnconfirmed == UnconfirmedExtend
}

// Extended says whether the external ID before a version stays until somebody confirms it. That was decided when the version was
// promoted, and TagExtended says how: only where a plan still lets it. Behind a deadline that was once written it says nothing.
func (p Plan) Extended(versionID string, tags map[string]string) bool {
	return p.MayExtend() && p.OverlapOf(versionID) > 0 && tags[TagExtended] == versionID
}

// Outlook decides. previous is the version before the current one, confirmed the last that was confirmed.
//
// Confirming a first ID, or one that a cut or a restore made, does not show that the provider follows rotations: such an ID
// may have been brought by hand.
func (p Plan) Outlook(previous string, confirmed Confirmation) Outlook {
	switch {
	case p.IssuedBy == IssuedByProvider && (PurposeOf(previous) == Birth || PurposeOf(previous) == Restore):
		return Outlook{false, "Countersign made the ID before, and nobody has it"}
	case p.WhenUnconfirmed == UnconfirmedExtend:
		return Outlook{true, "whenUnconfirmed: extend"}
	case p.WhenUnconfirmed != UnconfirmedAuto:
		return Outlook{false, "whenUnconfirmed: cut"}
	case p.OverlapOf(previous) == 0:
		return Outlook{true, "no rotation came before it that " + p.Provider + " could have followed"}
	case confirmed.VersionID == "":
		return Outlook{true, p.Provider + " has never confirmed"}
	case !confirmed.Of(previous) || confirmed.By != ByProvider:
		return Outlook{true, p.Provider + " did not confirm the rotation before"}
	}
	return Outlook{false, p.Provider + " confirmed the rotation before"}
}

// RetireAt is when the external ID before the current version ends that is confirmed now: in retireIn, and never behind
// the deadline. created is the current version's date.
func (p Plan) RetireAt(current string, created time.Time, extended bool, retireIn time.Duration, now time.Time) time.Time {
	overlap := p.OverlapOf(current)
	at := now.Add(min(retireIn, overlap))
	if end := created.Add(overlap); !extended && end.Before(at) {
		at = end
	}
	if at.Before(now) {
		at = now
	}
	return at.UTC().Truncate(time.Second)
}

// Reminder is how far an overlap has come that nobody has confirmed.
type Reminder string

// The reminders, in their order.
const (
	NoReminder Reminder = ""
	Half       Reminder = "half"        // half of the overlap is over
	NineTenths Reminder = "nine-tenths" // nine tenths are
	Over       Reminder = "over"        // all of it is, and the previous external ID stays
)

// ReminderAt is the reminder that is due: the current version was made at created, and the version before it is still
// accepted, beyond its deadline only if that is extended.
func ReminderAt(created time.Time, overlap time.Duration, extended bool, now time.Time) Reminder {
	switch passed := now.Sub(created); {
	case overlap <= 0:
	case passed >= overlap && extended:
		return Over
	case passed >= overlap:
	case passed >= overlap/10*9:
		return NineTenths
	case passed >= overlap/2:
		return Half
	}
	return NoReminder
}
