package grant

import (
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// Closure says which of the three marks of a closed grant stand. Any one closes.
type Closure struct {
	Deny  bool // unconditional Deny in CountersignRevocation
	Trust bool // CountersignClosed in the trust policy
	Tag   bool // countersign:revoked without countersign:restored of the same id

	RevokeID  string // of the revocation that stands; empty where it has none yet
	DenyID    string // the Deny's own, in its Sid; empty where it was written by hand
	RestoreTo string // version that may reopen the grant, by the Deny alone; empty where nobody asked for that
	// Undone says that the tags call the Deny's revocation restored. Either it was, and the Deny is an old reading of IAM's, or
	// somebody who may not write IAM tagged it so.
	Undone bool
	// DeadBefore is Revocation's.
	DeadBefore time.Time
}

// Closed says whether any mark stands.
func (c Closure) Closed() bool { return c.Deny || c.Trust || c.Tag }

// Missing lists the marks that don't stand: deny, trust, tag.
func (c Closure) Missing() []string {
	var out []string
	for _, mark := range []struct {
		name   string
		stands bool
	}{{"deny", c.Deny}, {"trust", c.Trust}, {"tag", c.Tag}} {
		if !mark.stands {
			out = append(out, mark.name)
		}
	}
	return out
}

// ClosureOf reads the three marks. inline is the body of CountersignRevocation, nil where the role has none.
//
// The Deny says which revocation stands, because only who may write IAM writes it. The tag says so where the Deny doesn't,
// and where it contradicts an intent to restore: then another revocation came, whose Deny the intent has overwritten.
func ClosureOf(inline []byte, doc *trust.Document, tags map[string]string) Closure {
	r, revoked, restored := ReadRevocation(inline), tags[TagRevoked], tags[TagRestored]
	c := Closure{
		Deny:  r.Denies,
		Trust: doc != nil && doc.Closed(),
		Tag:   revoked != "" && revoked != restored,

		RevokeID: r.RevokeID, DenyID: r.RevokeID, RestoreTo: r.RestoreTo, DeadBefore: r.DeadBefore,
		Undone: r.RevokeID != "" && r.RevokeID == restored && r.RestoreTo == "",
	}
	if c.Tag && revokeIDForm.MatchString(revoked) && (r.RevokeID == "" || r.RestoreTo != "") {
		c.RevokeID = revoked
	}
	return c
}
