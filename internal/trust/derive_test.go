package trust_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// The other integrations whose IDs stand beside ours in a list.
var foreignIDs = []string{"warehouse-eu-17", "warehouse-us-17"}

// rotation is a document that is to be rotated, and who enters it.
type rotation struct {
	src     []byte
	plan    trust.Plan // of the overlap
	calls   func(session string) []trust.Request
	beside  []trust.Request // those who enter without an ID, before as after
	foreign []string        // IDs that go on
	kept    []string        // statements that stay as they are, byte for byte
}

// newRotation is the rotation of a document for a plan that goes by the ID of one of its statements.
func newRotation(f found, p trust.Plan, src []byte) rotation {
	r := rotation{src: src, plan: p}
	for _, s := range f.statements {
		if slices.Contains(s.ids(), p.Current) && s.admits() {
			r.calls = func(session string) []trust.Request { return s.calls("AWS", session) }
			r.foreign = slices.DeleteFunc(s.ids(), func(id string) bool { return id == p.Current })
			continue
		}
		r.kept = append(r.kept, s.raw)
		if s.effect == "Allow" && slices.Contains(s.actions, trust.ActionAssumeRole) {
			r.beside = append(r.beside, s.calls("Service", "visit")...)
		}
	}
	return r
}

// derive makes of each Allow for AWS principals the same with an external ID, in three forms, and rotates that. Services
// beside the principals are refused, and get a statement of their own; an Allow for everybody is refused, and so is one for
// principals that IAM doesn't take.
func derive(t *testing.T, f found, reason string, c *count) {
	for i, s := range f.statements {
		if !s.admits() {
			continue
		}
		never, why := true, reason
		switch {
		case reason == "principal":
		case slices.Contains(s.principals["AWS"], "*"):
			why = "everybody"
		default:
			never, why = false, "beside"
		}
		for form, ids := range map[string]any{"scalar": ownID(s), "list": []string{foreignIDs[0], ownID(s), foreignIDs[1]}, "beside TagSession": ownID(s)} {
			t.Run(form, func(t *testing.T) {
				us := map[string]any{"AWS": s.principals["AWS"]}
				edited := []string{withExternalID(t, s.raw, ids)}
				if form == "beside TagSession" {
					edited = append(edited, only(t, s.raw, map[string]any{"Action": "sts:TagSession", "Principal": us, "Condition": nil, "Sid": nil}))
				}
				p := trust.Plan{Role: trust.Adopted, Principals: s.principals["AWS"], Current: ownID(s), Pending: idNew}
				if never || len(s.principals) > 1 {
					c.refused++
					d := parse(t, string(f.with(i, edited)))
					whoever := p
					whoever.Principals = nil // a plan that named these would be refused for its own sake
					_, _, err := trust.Apply(d, whoever)
					refusedBecause(t, err, why)
				}
				if never {
					return
				}
				if len(s.principals) > 1 {
					others := maps.Clone(s.principals)
					delete(others, "AWS")
					edited[0] = only(t, edited[0], map[string]any{"Principal": us, "Sid": nil})
					edited = append(edited, only(t, s.raw, map[string]any{"Principal": others}))
				}
				c.rotated++
				src := f.with(i, edited)
				throughARotation(t, newRotation(readFound(t, src), p, src))
			})
		}
	}
}

// ownID is the ID that a statement has, or an invented one.
func ownID(s foundStatement) string {
	if ids := s.ids(); len(ids) > 0 {
		return ids[0]
	}
	return idOld
}

// with is the document with some statements in the place of statement i; all else is as it was found.
func (f found) with(i int, statements []string) []byte {
	in := strings.Join(statements, ", ")
	if f.lone && len(statements) > 1 {
		in = "[" + in + "]"
	}
	at := 0
	for _, s := range f.statements[:i] {
		at += strings.Index(f.src[at:], s.raw) + len(s.raw)
	}
	return []byte(f.src[:at] + strings.Replace(f.src[at:], f.statements[i].raw, in, 1))
}

// only is a statement with some members replaced, or taken out where the new value is nil.
func only(t testing.TB, raw string, members map[string]any) string {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	maps.Copy(s, members)
	maps.DeleteFunc(s, func(_ string, v any) bool { return v == nil })
	out, err := json.MarshalIndent(s, "  ", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// withExternalID is a statement that demands one of some external IDs, beside its other conditions.
func withExternalID(t testing.TB, raw string, ids any) string {
	t.Helper()
	var s struct{ Condition map[string]map[string]any }
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		t.Fatal(err)
	}
	conditions := s.Condition
	if conditions == nil {
		conditions = map[string]map[string]any{}
	}
	if conditions["StringEquals"] == nil {
		conditions["StringEquals"] = map[string]any{}
	}
	maps.DeleteFunc(conditions["StringEquals"], func(key string, _ any) bool { return strings.EqualFold(key, "sts:ExternalId") })
	conditions["StringEquals"]["sts:ExternalId"] = ids
	return only(t, raw, map[string]any{"Condition": conditions})
}

// throughARotation takes a document through overlap, promotion, deadline and retirement, and asks at each phase who enters.
// A leaked ID is retired from the overlap at once: the end is the same.
func throughARotation(t *testing.T, r rotation) {
	t.Helper()
	if r.calls == nil {
		t.Fatal("no statement holds the ID")
	}
	d := parse(t, string(r.src))
	current, pending := r.plan.Current, r.plan.Pending
	enter := func(phase string, in []string, out ...string) {
		t.Helper()
		r.enter(t, d, phase, in, append(out, "", idWrong))
	}
	step := func(change func(p *trust.Plan)) {
		t.Helper()
		p := r.plan
		change(&p)
		after := apply(t, d, p)
		if err := trust.Check(d, after, p, noon); err != nil {
			t.Errorf("Check: %v", err)
		}
		for _, raw := range r.kept {
			if !bytes.Contains(after.Bytes(), []byte(raw)) {
				t.Errorf("%s: a foreign statement is not as it was: %s", p, raw)
			}
		}
		d = after
	}
	enter("before", []string{current}, pending)
	step(func(*trust.Plan) {})
	enter("overlap", []string{current, pending})
	cut := r.plan
	cut.Current, cut.Pending, cut.Retired = pending, "", []string{current}
	leaked := apply(t, d, cut)
	step(func(p *trust.Plan) {
		p.Current, p.Pending, p.Previous = pending, "", trust.Previous{ID: current, Until: deadline}
	})
	enter("promoted", []string{current, pending})
	for _, q := range r.calls("confirm-0123456789abcdef") {
		deny(t, d, by(q, current))
		allow(t, d, by(q, pending))
	}
	for _, q := range r.calls("visit") {
		q.At = deadline
		deny(t, d, by(q, current))
		allow(t, d, by(q, pending))
	}
	step(func(p *trust.Plan) { *p = cut })
	enter("retired", []string{pending}, current)

	want := parse(t, strings.ReplaceAll(string(r.src), `"`+current+`"`, `"`+pending+`"`))
	if !d.Equal(want) || !leaked.Equal(want) {
		t.Errorf("the end means something else:\n%s\nwant\n%s", d.Bytes(), want.Bytes())
	}
	if lone := readFound(t, r.src).lone; !lone && !bytes.Equal(d.Bytes(), want.Bytes()) {
		t.Errorf("bytes that aren't ours changed:\n%s\nwant\n%s", d.Bytes(), want.Bytes())
	}
}

// enter asks of everybody whom the document names: in with these IDs, not with those; foreign IDs and services as ever.
func (r rotation) enter(t *testing.T, d *trust.Document, phase string, in, out []string) {
	t.Helper()
	for _, q := range r.calls("visit") {
		for _, id := range append(in, r.foreign...) {
			if v := d.Evaluate(by(q, id)); v.Effect != trust.Allow {
				t.Errorf("%s: %s with %s: %s, want allow: %q", phase, q.Principal, trust.Fingerprint(id), v.Effect, v.Why)
			}
		}
		for _, id := range out {
			if v := d.Evaluate(by(q, id)); v.Effect != trust.Deny {
				t.Errorf("%s: %s with %s: %s, want deny: %q", phase, q.Principal, trust.Fingerprint(id), v.Effect, v.Why)
			}
		}
	}
	for _, id := range append(in, out...) {
		deny(t, d, call(stranger, id, noon))
	}
	for _, q := range r.beside {
		allow(t, d, q)
	}
}

// by is a call with an external ID, without one if it is empty.
func by(r trust.Request, id string) trust.Request {
	if id == "" {
		return r
	}
	r.Context = maps.Clone(r.Context)
	r.Context["sts:ExternalId"] = []string{id}
	return r
}
