package reconcile

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// The IDs of the tables: what stands in the secret under which label.
const (
	a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	c = "cccccccccccccccccccccccccccccccc"
)

var now = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)

// accepts is one statement of a document: Sid, IDs, deadline.
type accepts struct {
	sid   string
	ids   []string
	until string
}

func document(t *testing.T, statements ...accepts) *trust.Document {
	t.Helper()
	list := []map[string]any{}
	for _, s := range statements {
		condition := map[string]any{"StringEquals": map[string]any{"sts:ExternalId": s.ids}}
		if s.until != "" {
			condition["DateLessThan"] = map[string]any{"aws:CurrentTime": s.until}
		}
		list = append(list, map[string]any{
			"Sid": s.sid, "Effect": "Allow", "Principal": map[string]any{"AWS": "111122223333"}, "Action": "sts:AssumeRole", "Condition": condition,
		})
	}
	src, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": list})
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(src))
}

func parse(t *testing.T, src string) *trust.Document {
	t.Helper()
	d, err := trust.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecide(t *testing.T) {
	none := version{err: grant.ErrNotFound}
	at := func(value, versionID string, age time.Duration) version {
		id, err := grant.ParseID(value)
		if err != nil {
			t.Fatal(err)
		}
		return version{versionID: versionID, created: now.Add(-age), id: id}
	}
	current := func(ids ...string) accepts { return accepts{sid: trust.SidCurrent, ids: ids} }
	previous := func(id, until string) accepts { return accepts{trust.SidPrevious, []string{id}, until} }
	born := parse(t, trust.BornDocument)
	const until, passed = "2026-02-05T03:00:00Z", "2026-02-04T03:00:00Z"

	for _, test := range []struct {
		name                       string
		doc                        *trust.Document
		current, previous, pending version
		want                       string // current, pending, previous until; "" leaves the document alone
		state                      State
		fault                      error
		drift                      bool
	}{
		{"nothing was made yet", born, none, none, none, "", Unborn, nil, false},
		{"the first ID is being made", document(t, current(a)), none, none, at(a, "birth-1", 0), "", Unborn, nil, false},
		{"no ID and a document of somebody's", document(t, current(a)), none, none, none, "", Unborn, nil, true},
		{"the role was replaced", born, version{versionID: "v1", err: grant.ErrOtherRole}, none, none, "", Unborn, nil, false},

		{"steady", document(t, current(a)), at(a, "v1", 48*time.Hour), none, none, a + " . .", Open, nil, false},
		{"born again", born, at(a, "v1", 48*time.Hour), none, none, a + " . .", Open, nil, false},
		{"a rotation has let its ID in", document(t, current(a, b)), at(a, "v1", 48*time.Hour), none, at(b, "v2", 0), a + " " + b + " .", Open, nil, false},
		{"a rotation has only made its ID", document(t, current(a)), at(a, "v1", 48*time.Hour), none, at(b, "v2", 0), a + " . .", Open, nil, false},
		{"born again in a rotation", born, at(a, "v1", 48*time.Hour), none, at(b, "v2", 0), a + " . .", Open, nil, false},
		{"a foreign pending value", document(t, current(a)), at(a, "v1", 48*time.Hour), none, version{versionID: "v2", err: grant.ErrForeignValue}, a + " . .", Open, nil, false},

		{"promoted", document(t, current(b), previous(a, until)), at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), none, b + " . " + a + " " + until, Open, nil, false},
		{"the label moved and no more", document(t, current(a, b)), at(b, "v2", time.Hour), at(a, "v1", 48*time.Hour), none, b + " . " + a + " 2026-02-05T11:00:00Z", Open, nil, false},
		{"the label of a cut moved and no more", document(t, current(a, b)), at(b, "cut-2", time.Hour), at(a, "v1", 48*time.Hour), none, b + " . .", Open, nil, false},
		{"a deadline has passed", document(t, current(b), previous(a, passed)), at(b, "v2", 33*time.Hour), at(a, "v1", 48*time.Hour), none, b + " . .", Open, nil, false},
		{"the previous ID is not accepted", document(t, current(b)), at(b, "v2", time.Hour), at(a, "v1", 48*time.Hour), none, b + " . .", Open, nil, false},
		{"born again in an overlap", born, at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), none, b + " . " + a + " " + until, Open, nil, false},
		{"born again behind it", born, at(b, "v2", 25*time.Hour), at(a, "v1", 48*time.Hour), none, b + " . .", Open, nil, false},
		{"born again after a cut", born, at(b, "cut-2", time.Hour), at(a, "v1", 48*time.Hour), none, b + " . .", Open, nil, false},
		{"born again while a cut is under way", born, at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), version{versionID: "cut-3", err: grant.ErrNotFound}, b + " . .", Open, nil, false},
		{"a cut has made its ID, and somebody let the one before in again", document(t, current(b), previous(a, until)), at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), at(c, "cut-3", 0), b + " . .", Open, nil, false},
		{"the pending label on a cut of long ago", document(t, current(b), previous(a, until)), at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), at(c, "cut-0", 72*time.Hour), b + " . " + a + " " + until, Open, nil, false},
		{"the ID before was another role's", born, at(b, "birth-2", time.Hour), version{versionID: "v1", created: now.Add(-time.Hour), err: grant.ErrOtherRole}, none, b + " . .", Open, nil, false},
		{"somebody else's ID", document(t, current(c)), at(a, "v1", time.Hour), none, none, a + " . .", Open, nil, false},

		{"the pending label on the ID before", document(t, current(b), previous(a, until)), at(b, "v2", 9*time.Hour), none, at(a, "v1", 48*time.Hour), b + " . .", Open, nil, false},
		{"the current label on an ID that is over, the pending one on the newest", document(t, current(b)), at(a, "v1", 48*time.Hour), none, at(b, "v2", 9*time.Hour), "", Open, grant.ErrBackwards, false},
		{"labels backwards", born, at(a, "v1", 48*time.Hour), at(b, "v2", time.Hour), none, "", Open, grant.ErrBackwards, false},
		{"backwards, and the label is gone", document(t, current(b), previous(a, until)), at(a, "v1", 48*time.Hour), none, none, "", Open, grant.ErrBackwards, false},
		{"a cut overtook a rotation of the same second, whose write came last", document(t, current(c, a)), at(b, "cut-2", time.Hour), at(a, "v1", 48*time.Hour), at(c, "v3", time.Hour), b + " " + c + " .", Open, nil, false},
		{"two leaks one after the other, the first one's label and the second one's write last", document(t, current(c, a)), at(b, "cut-2", time.Hour), at(a, "v1", 48*time.Hour), at(c, "cut-3", time.Hour-time.Minute), b + " " + c + " .", Open, nil, false},
		{"backwards to an ID that is over, the right one as previous", document(t, current(b, c)), at(a, "v1", 48*time.Hour), at(b, "v2", time.Hour), at(c, "v3", time.Minute), "", Open, grant.ErrBackwards, false},
		{"labels swapped between two leaks of the same second", document(t, current(b)), at(a, "cut-1", time.Hour), at(b, "cut-2", time.Hour), none, "", Open, grant.ErrBackwards, false},
		{"backwards by less than a second", document(t, current(c), previous(a, until)), at(b, "v2", time.Hour), at(a, "v1", 48*time.Hour), at(c, "v3", time.Hour), "", Open, grant.ErrBackwards, false},
		{"the current label moved to a rotation that was given up, while a cut has let its ID in", document(t, current(c, a)), at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), at(c, "cut-3", 0), b + " " + c + " .", Open, nil, false},
		{"the same while a rotation has: never three", document(t, current(c, a)), at(b, "v2", 9*time.Hour), at(a, "v1", 48*time.Hour), at(c, "v3", 0), b + " . " + a + " " + until, Open, nil, false},
		{"a foreign current value", document(t, current(a)), version{versionID: "v2", err: grant.ErrForeignValue}, at(a, "v1", time.Hour), none, "", Open, grant.ErrForeignValue, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := facts{
				plan: grant.Plan{Grant: "migration", Principals: []string{"111122223333"}, SecretARN: "s", Overlap: grant.Duration(24 * time.Hour)},
				now:  now, doc: test.doc, current: test.current, previous: test.previous, pending: test.pending,
			}
			d := decide(f)
			if d.state != test.state || !errors.Is(d.fault, test.fault) || (len(d.drift) > 0) != test.drift {
				t.Errorf("%s, fault %v, drift %v", d.state, d.fault, d.drift)
			}
			got := ""
			if d.trust != nil {
				got = or(d.trust.Current) + " " + or(d.trust.Pending) + " " + or(d.trust.Previous.ID)
				if d.trust.Previous.ID != "" {
					got += " " + d.trust.Previous.Until.Format(time.RFC3339)
				}
				if d.trust.Gate != trust.Keep {
					t.Error("reconcile opens what is closed")
				}
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func or(id string) string {
	if id == "" {
		return "."
	}
	return id
}

// IAM may show a document from before a write of ours. It never gives back to a previous ID what the write took.
func TestAnOldReadingGivesAPreviousIDNoTimeBack(t *testing.T) {
	id := func(value string) grant.ID { return externalID(t, value) }
	stale := document(t, accepts{trust.SidCurrent, []string{b}, ""}, accepts{trust.SidPrevious, []string{a}, "2026-02-05T03:00:00Z"})
	for _, test := range []struct {
		name    string
		written map[grant.ID]gate.End
		want    string
	}{
		{"nothing", nil, "2026-02-05T03:00:00Z"},
		{"without it", map[grant.ID]gate.End{id(a): {}}, ""},
		{"with an earlier end", map[grant.ID]gate.End{id(a): {Keep: true, Until: now.Add(time.Hour)}}, "2026-02-04T13:00:00Z"},
		{"with an end that has passed since", map[grant.ID]gate.End{id(a): {Keep: true, Until: now.Add(-time.Second)}}, ""},
		{"with a later end", map[grant.ID]gate.End{id(a): {Keep: true, Until: now.Add(48 * time.Hour)}}, "2026-02-05T03:00:00Z"},
		{"another ID", map[grant.ID]gate.End{id(c): {}}, "2026-02-05T03:00:00Z"},
	} {
		d := decide(facts{
			plan: grant.Plan{Grant: "migration", Principals: []string{"111122223333"}, SecretARN: "s", Overlap: grant.Duration(24 * time.Hour)},
			now:  now, doc: stale, ends: test.written, pending: version{err: grant.ErrNotFound},
			current:  version{versionID: "v2", created: now.Add(-9 * time.Hour), id: id(b)},
			previous: version{versionID: "v1", created: now.Add(-48 * time.Hour), id: id(a)},
		})
		got := ""
		if d.trust != nil && d.trust.Previous.ID != "" {
			got = d.trust.Previous.Until.Format(time.RFC3339)
		}
		if got != test.want || d.trust == nil {
			t.Errorf("written %s: until %q, want %q", test.name, got, test.want)
		}
	}
}

// A rotation followed on a restore that had not opened yet, and the owner of the adopted role put a document from before both back.
func TestARestoreThatARotationFollowedFindsItsPlace(t *testing.T) {
	id := func(value string) grant.ID { return externalID(t, value) }
	doc := document(t, accepts{"Vendor", []string{c}, ""})
	f := facts{
		plan: grant.Plan{Grant: "migration", Principals: []string{"111122223333"}, SecretARN: "s", Adopted: true, Overlap: grant.Duration(24 * time.Hour)},
		now:  now, doc: doc, pending: version{err: grant.ErrNotFound}, closure: grant.Closure{Deny: true, RestoreTo: "restore-1"},
		current:  version{versionID: "v2", created: now.Add(-time.Hour), id: id(b)},
		previous: version{versionID: "restore-1", created: now.Add(-2 * time.Hour), id: id(a)},
		strays:   []gate.Stray{{ID: id(c), VersionID: "v0", Created: now.Add(-72 * time.Hour)}},
	}
	want, err := f.reopened()
	if err != nil {
		t.Fatal(err)
	}
	after, _, err := trust.Apply(doc, want)
	if err != nil || !id(b).AcceptedBy(after) {
		t.Fatalf("the current external ID found no place: %v", err)
	}
	f.doc, f.strays = after, []gate.Stray{{ID: id(c), VersionID: "v0", Created: now.Add(-72 * time.Hour)}}
	if want, err = f.reopened(); err != nil {
		t.Fatal(err)
	}
	if after, _, err = trust.Apply(after, want); err != nil || !id(b).AcceptedBy(after) || id(c).AcceptedBy(after) {
		t.Errorf("opened to an ID that is over: %v", err)
	}
}
