package events

import "slices"

// Audience is who reads a message about a grant.
type Audience string

// The two audiences of a grant.
const (
	Provider  Audience = "provider"  // who enters
	Operators Audience = "operators" // the customer's own
)

// Class is why somebody wants to be told of an event. A destination names those that it wants (on, in access.yaml).
type Class string

// The classes.
const (
	Action Class = "action" // the reader has something to do, or to look at
	Revoke Class = "revoke" // access was taken away, given back, or has ended
	All    Class = "all"    // whatever the audience is told of, but no digest
	Digest Class = "digest" // one mail a week
)

// Classes are all classes.
func Classes() []Class { return []Class{Action, Revoke, All, Digest} }

// WeeklyDigest is what a digest is called where it is delivered. It is told like an event, and is never on the bus.
const WeeklyDigest Type = "Weekly Digest"

// everybody who is told anything, whatever it is.
var everybody = Classes()

// classes say of every event whom it concerns, and why. What concerns an audience under All alone, it need not hear of. An event
// without an audience is for the record.
var classes = map[Type]map[Audience][]Class{
	TypeAccessGranted:       {Provider: {Action}, Operators: {Action}},
	TypeExternalIDRotated:   {Provider: {Action}, Operators: {All}}, // with its reminder and what follows its deadline
	TypeExternalIDConfirmed: {Provider: {All}, Operators: {All}},
	TypeRotationUnconfirmed: {Provider: {Action}, Operators: {Action}},
	TypePreviousRetired:     {Provider: {All}, Operators: {All}},
	TypeAccessRevoked:       {Provider: {Revoke}, Operators: {Revoke}},
	TypeAccessRestored:      {Provider: {Action, Revoke}, Operators: {Revoke}},
	TypeAccessExpired:       {Provider: {Revoke}, Operators: {Revoke}},
	TypeRotationFailed:      {Operators: {Action}},
	TypeTrustDriftDetected:  {Operators: {Action}},
	TypeDestinationDisabled: {Operators: {Action}},
	TypeMailUndelivered:     {Operators: {Action}},
	TypeTestRequested:       {Provider: everybody, Operators: everybody},
	TypeGrantReported:       {}, // but see Forwarded
	TypeOperationRequested:  {},
	TypeDeliverySucceeded:   {},
	TypeDeliveryFailed:      {},
	WeeklyDigest:            {Provider: {Digest}, Operators: {Digest}},
}

// Classes are why an audience may want to be told of such an event; none: it isn't told.
func (t Type) Classes(to Audience) []Class { return slices.Clone(classes[t][to]) }

// Concerns says whether an audience is told of such an event at all.
func (t Type) Concerns(to Audience) bool { return len(classes[t][to]) > 0 }

// Forwarded says whether a provider's own bus is handed such an event: all that the provider is told of, and the signs of life
// of its grants, which are for machines alone.
func (t Type) Forwarded() bool { return t.Concerns(Provider) || t == TypeGrantReported }

// Among says whether an audience that asked to be told of these classes is told of such an event.
func (t Type) Among(asked []Class, to Audience) bool {
	for _, c := range classes[t][to] {
		if slices.Contains(asked, c) || c != Digest && slices.Contains(asked, All) {
			return true
		}
	}
	return false
}

// Classified says whether the event is in the table, if only as one for the record.
func (t Type) Classified() bool {
	_, ok := classes[t]
	return ok
}
