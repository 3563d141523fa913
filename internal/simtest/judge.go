package simtest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/trust"
)

// colleague works for the provider, but is none of those whom the plan lets in.
const colleague = "arn:aws:iam::111122223333:role/Interns-kim"

// foreigner is whom the foreign editor lets in by hand.
const foreigner = "arn:aws:iam::777788889999:role/Auditor"

// askers are those who try every ID at every document.
var askers = [...]string{Provider, colleague, Stranger}

// wrong is an ID that nobody ever made.
const wrong = "wrong-external-id"

// judge knows what every document that it has seen says to everybody. It asks package trust once a document: invariants
// then compare a few words after each step. One goroutine at a time.
type judge struct{ known map[*trust.Document]*verdicts }

// verdicts are what one document says. Between two of its dates they don't change.
type verdicts struct {
	doc          *trust.Document
	closed, born bool
	ids          []string    // that it accepts anywhere, then "" and wrong
	accepted     []string    // in our own form
	dates        []time.Time // in their order
	spans        [][]entry   // who enters before the first date, between, after the last; nil: not asked yet
	confirmable  bool        // a previous ID opens a session that confirms
	foreign      []string    // what in it is somebody else's, in a form that can be compared
}

// entry is somebody who gets in with an ID.
type entry struct {
	who int // of askers
	id  string
}

func (j *judge) of(doc *trust.Document) *verdicts {
	if v := j.known[doc]; v != nil || doc == nil {
		return v
	}
	v := &verdicts{doc: doc, closed: doc.Closed(), born: doc.Born()}
	for _, a := range doc.Accepted() {
		v.ids = append(v.ids, a.ID)
		if ownForm(a.ID) {
			v.accepted = append(v.accepted, a.ID)
		}
		if until, ok := doc.Deadline(a.ID); ok {
			v.dates = append(v.dates, until)
			v.confirmable = v.confirmable || ownForm(a.ID) && opensConfirming(doc, a.ID, until)
		}
		v.dates = append(v.dates, a.Until)
	}
	v.dates = slices.DeleteFunc(v.dates, time.Time.IsZero)
	slices.SortFunc(v.dates, time.Time.Compare)
	v.dates = slices.CompactFunc(v.dates, time.Time.Equal)
	v.ids = append(v.ids, "", wrong)
	v.spans = make([][]entry, len(v.dates)+1)
	v.foreign = foreignItems(doc)
	j.known[doc] = v
	return v
}

// opensConfirming says whether a previous ID opens a session whose name would confirm.
func opensConfirming(doc *trust.Document, id string, until time.Time) bool {
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if !until.IsZero() {
		at = until.Add(-time.Second)
	}
	r := trust.Request{Principal: Provider, At: at, Context: map[string][]string{
		"sts:RoleSessionName": {"confirm-00000000000000000000000000000000"}, "sts:ExternalId": {id},
	}}
	return doc.Effect(r) != trust.Deny
}

// ownEnd is until when the document accepts an ID as a previous one; zero without an end but the grant's own.
func (v *verdicts) ownEnd(id string) (until time.Time, previous bool) {
	until, previous = v.doc.Deadline(id)
	return gate.OwnEnd(v.doc, until), previous
}

// same says whether two documents are one. What a run is founded on was judged before others were forgotten.
func (v *verdicts) same(other *verdicts) bool {
	return v == other || v != nil && other != nil && bytes.Equal(v.doc.Bytes(), other.doc.Bytes())
}

// enters lists who gets in at a time.
func (v *verdicts) enters(now time.Time) []entry {
	span := 0
	for span < len(v.dates) && !now.Before(v.dates[span]) {
		span++
	}
	if v.spans[span] == nil {
		v.spans[span] = []entry{}
		for _, id := range v.ids {
			for who, arn := range askers {
				r := trust.Request{Principal: arn, At: now, Context: map[string][]string{"sts:RoleSessionName": {"session"}}}
				if id != "" {
					r.Context["sts:ExternalId"] = []string{id}
				}
				if v.doc.Effect(r) != trust.Deny {
					v.spans[span] = append(v.spans[span], entry{who, id})
				}
			}
		}
	}
	return v.spans[span]
}

// lets says whether the provider gets in with an ID.
func (v *verdicts) lets(id string, now time.Time) bool {
	return slices.Contains(v.enters(now), entry{0, id})
}

// ownForm says whether an ID is one that Countersign makes for these grants.
func ownForm(id string) bool {
	rest, ok := strings.CutPrefix(id, prefix+"-")
	return ok && len(rest) == 32
}

const prefix = "hestio"

// foreignItems are the statements of a document that aren't Countersign's, whatever order IAM shows them in, without the IDs
// that Countersign may change in them; and the foreign values beside such an ID.
func foreignItems(doc *trust.Document) (items []string) {
	var top struct{ Statement json.RawMessage }
	var list []map[string]any
	if json.Unmarshal(doc.Bytes(), &top) != nil || json.Unmarshal(top.Statement, &list) != nil {
		return nil
	}
	for _, s := range list {
		if sid, _ := s["Sid"].(string); strings.HasPrefix(sid, "Countersign") {
			continue
		}
		var out bytes.Buffer
		canonical(&out, s)
		items = append(items, out.String())
	}
	slices.Sort(items)
	return items
}

func canonical(out *bytes.Buffer, v any) {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			out.WriteString(k + "{")
			canonical(out, v[k])
			out.WriteByte('}')
		}
	case []any:
		var list []string
		for _, one := range v {
			var b bytes.Buffer
			canonical(&b, one)
			list = append(list, b.String())
		}
		slices.Sort(list)
		for _, one := range list {
			out.WriteString(one)
		}
	case string:
		if !ownForm(v) {
			out.WriteString(v + ";")
		}
	}
}
