package trust

import (
	"slices"
	"strings"
	"time"
)

// Diff is what changed, in lines a person can read, IDs as fingerprints. Empty means nothing to write.
type Diff struct {
	Lines []string
	// Drift names what was found beside the plan: statements of ours that had to be mended, foreign ones on a created role.
	Drift []string
}

// Empty says whether the document already was what the plan asks for.
func (d Diff) Empty() bool { return len(d.Lines) == 0 }

// Apply gives the document that the plan asks for, from whatever document there is. It refuses rather than guess; every
// refusal is a *Refusal. Applying a plan twice is the same as once. Where nothing has to change, the document comes back
// as it was, byte for byte.
//
// A plan whose gate is Close may have no IDs: then only the Deny is added. Closing is never refused for the plan's sake:
// what can't be followed besides is left as it stands under the Deny.
func Apply(d *Document, p Plan) (*Document, Diff, error) {
	if d == nil {
		return nil, Diff{}, refuse("", "there is no document")
	}
	after, drift, err := apply(d, p)
	if err != nil {
		return nil, Diff{}, hidden(err, append(p.ids(), d.policy.ids...))
	}
	diff := Diff{Drift: drift}
	if !after.Equal(d) {
		diff.Lines = lines(d, after)
	} else {
		after = d
	}
	secret := append(append(p.ids(), d.policy.ids...), after.policy.ids...)
	for _, list := range [][]string{diff.Lines, diff.Drift} {
		for i := range list {
			list[i] = hide(list[i], secret)
		}
	}
	return after, diff, nil
}

// ids are all external IDs of the plan.
func (p Plan) ids() []string {
	return slices.DeleteFunc(append([]string{p.Current, p.Pending, p.Previous.ID}, p.Retired...), func(id string) bool { return id == "" })
}

func (p Plan) quota() int {
	if p.Quota == 0 {
		return DefaultQuota
	}
	return p.Quota
}

func apply(d *Document, p Plan) (*Document, []string, error) {
	if p.Gate == Close {
		return closeRole(d, p)
	}
	if err := checkPlan(p); err != nil {
		return nil, nil, err
	}
	closed := p.Gate == Keep && d.marked(SidClosed)
	var (
		after *Document
		drift []string
		err   error
	)
	if p.Role == Adopted {
		after, drift, err = applyAdopted(d, p)
	} else if err = checkCreated(p); err == nil {
		after, drift, err = createdWithin(d, p, closed)
	}
	if err != nil {
		return nil, nil, err
	}
	if closed && p.Role == Adopted && !d.Closed() {
		drift = append(drift, SidClosed+" did not deny everybody any more; mended")
	}
	largest, err := largestPhase(after, p, closed)
	if err != nil {
		return nil, nil, err
	}
	if s := d.deletedPrincipal(); s != nil && !after.Equal(d) {
		return nil, nil, refuse(s.name(), "it shows a deleted principal by its unique id: decide whom to trust instead, and write the "+
			"ARN, before anything else is changed")
	}
	if n := after.Size(); n > p.quota() {
		return nil, nil, overQuota(n, p)
	}
	if largest > p.quota() && (p.Role == Created || after.Size() >= d.Size() && !after.Equal(d)) {
		return nil, nil, overQuota(largest, p)
	}
	return after, drift, nil
}

func overQuota(n int, p Plan) error {
	return refuse("", "the largest phase of this plan takes %d characters and the quota is %d: save %d, or have the quota "+
		"of trust policies raised", n, p.quota(), n-p.quota())
}

// marked says whether a statement has a Sid.
func (d *Document) marked(sid string) bool {
	return slices.ContainsFunc(d.policy.statements, func(s statement) bool { return s.sid == sid })
}

// deletedPrincipal is the first statement that names a deleted principal. IAM refuses such a document when it is written.
func (d *Document) deletedPrincipal() *statement {
	for i := range d.policy.statements {
		if s := &d.policy.statements[i]; s.named(ofKind(principalDeleted)) != nil {
			return s
		}
	}
	return nil
}

// checkPlan refuses IDs that no document may hold.
func checkPlan(p Plan) error {
	ids := p.ids()
	for i, id := range ids {
		if len(id) < 2 || len(id) > 1224 || strings.IndexFunc(id, func(r rune) bool { return r > 0x7f || !isIDByte(byte(r)) }) >= 0 {
			return refuse("", "an external ID of the plan is not 2 to 1,224 letters, digits and +=,.@:/-_")
		}
		if slices.Contains(ids[:i], id) {
			return refuse("", "two external IDs of the plan are the same")
		}
	}
	if p.Quota < 0 {
		return refuse("", "the quota is negative")
	}
	return nil
}

// createdWithin applies a plan to a created role. Where a closed role has no room for both, the Deny stands alone.
func createdWithin(d *Document, p Plan, closed bool) (*Document, []string, error) {
	want := wanted(p)
	if !closed {
		return applyCreated(d, p, want)
	}
	after, drift, err := applyCreated(d, p, append(want, closedBlock()))
	if err == nil && after.Size() > p.quota() {
		return applyCreated(d, p, []block{closedBlock()})
	}
	return after, drift, err
}

// closeRole adds the Deny. On a created role the rest follows the plan where there is one that can be followed.
func closeRole(d *Document, p Plan) (*Document, []string, error) {
	if p.Quota < 0 {
		p.Quota = 0
	}
	if p.Role == Created && (p.Current != "" || p.NoExternalID) && checkPlan(p) == nil && checkCreated(p) == nil {
		after, drift, err := createdWithin(d, p, true)
		if err == nil && after.Size() <= p.quota() {
			return after, drift, nil
		}
	}
	after, err := d.withDeny()
	if err != nil {
		return nil, nil, err
	}
	if after.Size() <= p.quota() || after.Equal(d) {
		return after, nil, nil
	}
	if p.Role == Created {
		after, drift, err := applyCreated(d, p, []block{closedBlock()})
		if err != nil || after.Size() <= p.quota() {
			return after, drift, err
		}
	}
	return nil, nil, overQuota(after.Size(), p)
}

// withDeny is the document with CountersignClosed whole and everything else as it stands.
func (d *Document) withDeny() (*Document, error) {
	v, want, err := readBlock(closedBlock())
	if err != nil {
		return nil, err
	}
	e, found := d.draft(), false
	for i := len(d.policy.statements) - 1; i >= 0; i-- {
		s := &d.policy.statements[i]
		switch {
		case s.sid != SidClosed:
		case found:
			e.drop(i)
		default:
			found = true
			if s.meaning != want.meaning {
				e.replace(i, v)
			}
		}
	}
	if !found {
		e.add(v)
	}
	return e.document()
}

// withoutDenies is the document with Countersign's own Denies set aside.
func (d *Document) withoutDenies() (*Document, error) {
	e := d.draft()
	for i := len(d.policy.statements) - 1; i >= 0; i-- {
		if s := &d.policy.statements[i]; s.sid == SidClosed || s.sid == SidBorn && s.effect == "Deny" {
			e.drop(i)
		}
	}
	return e.document()
}

// sampleUntil stands for a deadline that isn't known yet: all dates are of one length.
var sampleUntil = time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC)

// Largest is the size of the largest document that the plan goes through: steady, overlap, promoted, and, on an adopted
// role, each of them under the closing Deny (on a created role the Deny takes the Allows' place if room is short). IDs
// not yet known count as long as the current one, or as 32 characters. d may be nil for a created role not yet born.
func Largest(d *Document, p Plan) (int, error) {
	if d == nil {
		if p.Role == Adopted {
			return 0, refuse("", "there is no document")
		}
		var err error
		if d, err = Parse([]byte(BornDocument)); err != nil {
			return 0, err
		}
	}
	n, err := largestOf(d, p)
	if err != nil {
		return 0, hidden(err, append(p.ids(), d.policy.ids...))
	}
	return n, nil
}

func largestOf(d *Document, p Plan) (int, error) {
	p.Gate = Keep
	if p.NoExternalID {
		after, _, err := applyOnce(d, p)
		if err != nil {
			return 0, err
		}
		return after.Size(), nil
	}
	if p.Current == "" && p.Role == Created {
		p.Current = sampleID(p, "")
	}
	steady := p
	steady.Pending, steady.Previous, steady.Retired = "", Previous{}, nil
	overlap := steady
	overlap.Pending = p.Pending
	if overlap.Pending == "" {
		overlap.Pending = sampleID(p, p.Current)
	}
	after, _, err := applyOnce(d, overlap)
	if err != nil {
		return 0, err
	}
	n, err := largestPhase(after, overlap, false)
	if err != nil || p.Previous.ID == "" {
		return n, err
	}
	promoted := p
	promoted.Pending = ""
	after, _, err = applyOnce(d, promoted)
	if err != nil {
		return n, nil // the previous ID isn't in this document: then that phase is behind
	}
	return max(n, sizeClosed(after, p.Role)), nil
}

func applyOnce(d *Document, p Plan) (*Document, []string, error) {
	if err := checkPlan(p); err != nil {
		return nil, nil, err
	}
	if p.Role == Adopted {
		return applyAdopted(d, p)
	}
	if err := checkCreated(p); err != nil {
		return nil, nil, err
	}
	return applyCreated(d, p, wanted(p))
}

// sampleID has the length that an ID not yet known will have, and is none of the plan's.
func sampleID(p Plan, like string) string {
	n := len(like)
	if n < 32 {
		n = 32
	}
	for c := 'A'; ; c++ {
		if id := strings.Repeat(string(c), n); !slices.Contains(p.ids(), id) {
			return id
		}
	}
}

// largestPhase is the size of the largest document from here on: this one, after the promotion of a pending ID, and on an
// adopted role either of them closed.
func largestPhase(after *Document, p Plan, closed bool) (int, error) {
	n := sizeClosed(after, p.Role)
	if p.Pending == "" || p.Role == Created && closed {
		return n, nil
	}
	next := p
	next.Current, next.Pending, next.Previous = p.Pending, "", Previous{ID: p.Current, Until: sampleUntil}
	next.Retired = slices.DeleteFunc(slices.Clone(p.Retired), func(id string) bool { return id == p.Current })
	next.Gate = Keep
	promoted, _, err := applyOnce(after, next)
	if err != nil {
		return 0, err
	}
	return max(n, sizeClosed(promoted, p.Role)), nil
}

// sizeClosed is a document's size with room for the closing Deny where that can't take the Allows' place.
func sizeClosed(d *Document, kind RoleKind) int {
	n := d.Size()
	if kind == Adopted && !d.marked(SidClosed) {
		n += size(closedBlock().src) + 1
	}
	return n
}
