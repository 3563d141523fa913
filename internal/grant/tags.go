package grant

// Facts are kept as tags of the grant's secret (of its role where the grant has no external ID): one key a fact, one
// writer a key. Nothing read from a tag opens or lengthens access.
const (
	TagPrefix   = "countersign:"
	TagGrant    = TagPrefix + "grant"              // the grant's name: by the template, on role and secret
	TagRevoked  = TagPrefix + string(FactRevoked)  // revoke id: by revoke, and by reconcile for a Deny without one
	TagRestored = TagPrefix + string(FactRestored) // the revoke id that was undone: by reconcile
	TagSecret   = TagPrefix + "secret"             // ARN of the grant's secret: by the template, on the role
	TagConfirm  = TagPrefix + "confirm"            // where to confirm a new external ID: by the template, on the role
	TagExtended = TagPrefix + "extended"           // version whose predecessor stays until somebody confirms, see Extended: by rotate
	TagPaused   = TagPrefix + "paused"             // until when no scheduled rotation starts, see PausedUntil: by operate

	// TagDisabled and a hash of its URL mark a webhook that answered 410, on the secret that signs for it: by notify. The value
	// is the id of the event that it refused.
	TagDisabled = TagPrefix + "disabled-"
)

// Fact is a change that has to be announced. Its tag holds the change's id; the tag of Announced holds the same id once
// the bus took the event.
type Fact string

// The facts, with what their tag holds.
const (
	FactGranted  Fact = "granted"     // version id of the first external ID, or "open": by reconcile
	FactRotated  Fact = "rotated"     // version id: by rotate
	FactFailed   Fact = "failed"      // a Failure: by rotate; by reconcile of a stuck rotation
	FactRetired  Fact = "retired"     // version id of the ID that ended: by reconcile
	FactRevoked  Fact = "revoked"     // revoke id: by revoke
	FactRestored Fact = "restored"    // revoke id: by reconcile
	FactExpired  Fact = "expired"     // the end, RFC 3339: by reconcile
	FactDrift    Fact = "trust-drift" // hash of what was found: by reconcile
	FactReverted Fact = "reverted"    // hash of what was mended last, so that the same again is known: by reconcile

	FactConfirmed   Fact = "confirmed"   // a Confirmation: by confirm
	FactUnconfirmed Fact = "unconfirmed" // version id and Reminder: by reconcile
)

// Tag is the key under which the change is noted.
func (f Fact) Tag() string { return TagPrefix + string(f) }

// AnnouncedTag is the key that says which change of this kind the bus has taken.
func (f Fact) AnnouncedTag() string { return TagPrefix + string(f) + "-announced" }

// Unannounced is the change of this kind that still waits to be announced, "" where none does.
func (f Fact) Unannounced(tags map[string]string) string {
	if id := tags[f.Tag()]; id != tags[f.AnnouncedTag()] {
		return id
	}
	return ""
}
