package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

const (
	provider = "arn:aws:iam::111122223333:role/Engineers"
	oldID    = "abcdefghijklmnopqrstuvwxyz012345"
	otherID  = "zyxwvutsrqponmlkjihgfedcba543210"
	newID    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ543210"
)

type world struct {
	*sim.World
	gate gate.Gate
	t    *testing.T
	plan grant.Plan
	log  bytes.Buffer
}

func born(t *testing.T, cfg sim.Config) *world {
	w := &world{World: sim.New(cfg), t: t, plan: grant.Plan{
		Grant: "migration", Account: "444455556666", RoleARN: "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
		SecretARN: "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-Ab12Cd", Principals: []string{"arn:aws:iam::111122223333:root"},
	}}
	if err := w.Deploy(w.plan); err != nil {
		t.Fatal(err)
	}
	w.gate = gate.Gate{Roles: w.IAM, Now: w.Now, Wait: w.Wait, Log: slog.New(slog.NewJSONHandler(&w.log, nil))}
	return w
}

func id(t *testing.T, value string) grant.ID {
	t.Helper()
	id, err := grant.ParseID(value)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) want(current, pending string) trust.Plan {
	ids := grant.IDs{Current: id(w.t, current)}
	if pending != "" {
		ids.Pending = id(w.t, pending)
	}
	return w.plan.TrustWith(ids)
}

func (w *world) enters(value string) bool {
	return w.STS.Verdict(provider, w.plan.RoleARN, value, "jdoe", sim.Assume{}).Effect == trust.Allow
}

func actions(records []sim.Record) string {
	var out []string
	for _, r := range records {
		out = append(out, r.Action)
	}
	return strings.Join(out, " ")
}

func TestAChangeReadsWritesAndReadsBack(t *testing.T) {
	w := born(t, sim.Config{})
	diff, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, ""))
	if err != nil || diff.Empty() || !w.enters(oldID) {
		t.Fatalf("%v, %v", diff, err)
	}
	if got := actions(w.Calls()); got != "GetRole UpdateAssumeRolePolicy GetRole" {
		t.Error(got)
	}
	w.ResetCalls()
	if diff, err = w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); err != nil || !diff.Empty() {
		t.Errorf("again: %v, %v", diff, err)
	}
	if got := actions(w.Calls()); got != "GetRole" {
		t.Error(got)
	}
	if strings.Contains(w.log.String(), oldID[:12]) {
		t.Error("the log tells the ID")
	}
}

// slow is a world whose GetRole shows writes late.
func slow(t *testing.T, lag time.Duration) *world {
	w := born(t, sim.Config{Replicas: 1, Lag: func(int) time.Duration { return lag }})
	w.Advance(time.Hour)
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "GetRole" {
			return sim.Outcome{Replica: 1}
		}
		return sim.Outcome{}
	}
	return w
}

func TestReadingBackWaitsForIAM(t *testing.T) {
	w := slow(t, 8*time.Second)
	began := w.Now()
	err := w.Invoke(t.Context(), "rotate", func(ctx context.Context) error {
		_, err := w.gate.Change(ctx, w.plan, w.want(oldID, ""))
		return err
	})
	if err != nil || w.Now().Sub(began) < 8*time.Second {
		t.Errorf("after %s: %v", w.Now().Sub(began), err)
	}
}

func TestReadingBackEndsInTimeAndTheRetryFindsItDone(t *testing.T) {
	w := slow(t, time.Hour)
	began := w.Now()
	change := func(ctx context.Context) error {
		_, err := w.gate.Change(ctx, w.plan, w.want(oldID, ""))
		return err
	}
	if err := w.Invoke(t.Context(), "rotate", change); !errors.Is(err, grant.ErrNotYetVisible) {
		t.Fatalf("got %v", err)
	}
	if left := 5*time.Minute - w.Now().Sub(began); left < gate.Margin {
		t.Errorf("only %s left to say so", left)
	}
	w.Advance(time.Hour)
	w.ResetCalls()
	if err := w.Invoke(t.Context(), "rotate", change); err != nil {
		t.Fatal(err)
	}
	if got := actions(w.Calls()); got != "GetRole" {
		t.Error(got)
	}
}

func TestReadingBackEndsWithItsPatience(t *testing.T) {
	w := slow(t, time.Hour)
	w.gate.Patience = 30 * time.Second
	began := w.Now()
	if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); !errors.Is(err, grant.ErrNotYetVisible) {
		t.Fatalf("got %v", err)
	}
	if took := w.Now().Sub(began); took > 30*time.Second || took < 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestSomebodyElsesWriteIsAConflict(t *testing.T) {
	w := born(t, sim.Config{})
	wrote := false
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Actor == "test" && c.Action == "GetRole" && wrote {
			wrote = false
			closed := strings.Replace(trust.BornDocument, "CountersignBorn", "CountersignClosed", 1)
			if err := w.IAM.SetTrust(sim.As(t.Context(), "other"), w.plan.RoleName(), []byte(closed)); err != nil {
				t.Error(err)
			}
		}
		wrote = wrote || c.Actor == "test" && c.Action == "UpdateAssumeRolePolicy"
		return sim.Outcome{}
	}
	if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); !errors.Is(err, grant.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if w.enters(oldID) {
		t.Error("the other one's Deny was overwritten")
	}
}

func TestALostAnswerIsFoundByTheRetry(t *testing.T) {
	w := born(t, sim.Config{})
	w.Schedule = func(c sim.Call) sim.Outcome {
		if c.Action == "UpdateAssumeRolePolicy" {
			return sim.Outcome{Fault: sim.Lose}
		}
		return sim.Outcome{}
	}
	if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); !errors.Is(err, grant.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	w.Schedule = nil
	if diff, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); err != nil || !diff.Empty() {
		t.Errorf("%v, %v", diff, err)
	}
}

func TestWhatIsNotSafeIsNotWritten(t *testing.T) {
	for name, document := range map[string]string{
		"a statement that lets everybody in": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`,
		"one that lets others in without an ID": `{"Version":"2012-10-17","Statement":[
			{"Sid":"Eve","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999900001111:root"},"Action":"sts:AssumeRole"}]}`,
	} {
		w := born(t, sim.Config{})
		if err := w.IAM.SetTrust(t.Context(), w.plan.RoleName(), []byte(document)); err != nil {
			t.Fatal(err)
		}
		w.ResetCalls()
		if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); !errors.Is(err, trust.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		if got := actions(w.Calls()); got != "GetRole" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestClosing(t *testing.T) {
	w := born(t, sim.Config{})
	if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, "")); err != nil {
		t.Fatal(err)
	}
	w.ResetCalls()
	if _, err := w.gate.Close(t.Context(), w.plan.RoleName(), w.plan.Trust()); err != nil || w.enters(oldID) {
		t.Fatalf("still open: %v", err)
	}
	if got := actions(w.Calls()); got != "GetRole UpdateAssumeRolePolicy" {
		t.Error(got)
	}
	if _, err := w.gate.Change(t.Context(), w.plan, w.want(oldID, newID)); err != nil || w.enters(oldID) || w.enters(newID) {
		t.Errorf("a change opened it: %v", err)
	}
	w.ResetCalls()
	if _, err := w.gate.Close(t.Context(), w.plan.RoleName(), trust.Plan{}); err != nil {
		t.Error(err)
	}
	if got := actions(w.Calls()); got != "GetRole" {
		t.Errorf("closed twice: %s", got)
	}
}

func TestClosingARoleWhoseDocumentNobodyCanRead(t *testing.T) {
	roles := &unreadable{document: `{"Version":"2012-10-17","Statement":[],"Statement":[]}`}
	g := gate.Gate{Roles: roles, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := g.Close(t.Context(), "adopted", trust.Plan{Role: trust.Adopted}); !errors.Is(err, trust.ErrRefused) {
		t.Errorf("an adopted role's document was replaced: %v", err)
	}
	if _, err := g.Close(t.Context(), "ours", trust.Plan{}); err != nil {
		t.Fatal(err)
	}
	d, err := trust.Parse([]byte(roles.document))
	if err != nil || !d.Closed() {
		t.Errorf("%s: %v", roles.document, err)
	}
}

type unreadable struct{ document string }

func (u *unreadable) Role(context.Context, string) (grant.Role, error) {
	return grant.Role{Trust: []byte(u.document)}, nil
}

func (u *unreadable) SetTrust(_ context.Context, _ string, document []byte) error {
	u.document = string(document)
	return nil
}

func TestDeadlinesAreKeptOrShortened(t *testing.T) {
	now := time.Date(2026, 2, 4, 12, 0, 0, 500, time.UTC)
	date := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	statement := func(sid, value, until string) map[string]any {
		c := map[string]any{"StringEquals": map[string]any{"sts:ExternalId": value}}
		if until != "" {
			c["DateLessThan"] = map[string]any{"aws:CurrentTime": until}
		}
		return map[string]any{"Sid": sid, "Effect": "Allow", "Principal": map[string]any{"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole", "Condition": c}
	}
	document := func(statements ...map[string]any) *trust.Document {
		src, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
		if err != nil {
			t.Fatal(err)
		}
		d, err := trust.Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	bornDoc, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		t.Fatal(err)
	}
	dated := func(until string) *trust.Document {
		return document(statement(trust.SidCurrent, newID, ""), statement(trust.SidPrevious, oldID, until))
	}
	created := date("2026-02-04T03:00:00Z")
	ending := func(end, until string) *trust.Document {
		return document(statement(trust.SidCurrent, newID, end), statement(trust.SidPrevious, oldID, until))
	}
	const never = "without an end"
	inCurrent := document(statement(trust.SidCurrent, oldID, ""))
	retire := date("2026-02-04T12:15:00Z")
	for _, c := range []struct {
		name      string
		doc       *trust.Document
		promotion gate.Promotion
		want      string // empty: it ends
	}{
		{"its deadline stands", dated("2026-02-05T03:00:25Z"), gate.Promotion{}, "2026-02-05T03:00:25Z"},
		{"its deadline is too far away", dated("2099-01-01T00:00:00Z"), gate.Promotion{}, "2026-02-05T12:00:00Z"},
		{"it lost its deadline", dated(""), gate.Promotion{}, "2026-02-05T03:00:00Z"},
		{"its deadline has passed", dated("2026-02-04T12:00:00Z"), gate.Promotion{}, ""},
		{"a promotion that was not finished", inCurrent, gate.Promotion{}, "2026-02-05T03:00:00Z"},
		{"an older document was put back behind the deadline", inCurrent, gate.Promotion{Created: created.AddDate(0, 0, -9)}, ""},
		{"a cut", dated("2026-02-05T03:00:25Z"), gate.Promotion{Overlap: -1}, ""},
		{"the document doesn't accept it", document(statement(trust.SidCurrent, newID, "")), gate.Promotion{}, ""},
		{"the birth document was put back", bornDoc, gate.Promotion{}, "2026-02-05T03:00:00Z"},
		{"put back behind the deadline", bornDoc, gate.Promotion{Created: created.AddDate(0, 0, -2)}, ""},
		{"put back, a version from the future", bornDoc, gate.Promotion{Created: created.AddDate(1, 0, 0)}, "2026-02-05T12:00:00Z"},
		{"promoted just now, although the rotation hung for days", inCurrent, gate.Promotion{Now: true, Created: created.AddDate(0, 0, -9)}, "2026-02-05T12:00:00Z"},

		{"extended", dated(""), gate.Promotion{Extended: true}, never},
		{"extended, long ago", dated(""), gate.Promotion{Extended: true, Created: created.AddDate(-1, 0, 0)}, never},
		{"extended, promoted just now", inCurrent, gate.Promotion{Extended: true, Now: true}, never},
		{"extended, a promotion that was not finished", inCurrent, gate.Promotion{Extended: true}, never},
		{"extended, the birth document was put back", bornDoc, gate.Promotion{Extended: true, Created: created.AddDate(0, 0, -9)}, never},
		{"extended, but it has a deadline", dated("2026-02-05T03:00:25Z"), gate.Promotion{Extended: true}, "2026-02-05T03:00:25Z"},
		{"extended, but its deadline has passed", dated("2026-02-04T12:00:00Z"), gate.Promotion{Extended: true}, ""},
		{"extended, the document doesn't accept it", document(statement(trust.SidCurrent, newID, "")), gate.Promotion{Extended: true}, ""},
		{"extended, an older document was put back that knows neither", document(statement(trust.SidCurrent, otherID, "")), gate.Promotion{Extended: true, Current: id(t, newID)}, never},
		{"confirmed, an older document was put back that knows neither", document(statement(trust.SidCurrent, otherID, "")), gate.Promotion{Extended: true, Current: id(t, newID), RetireAt: retire}, ""},
		{"an older document was put back that knows neither", document(statement(trust.SidCurrent, otherID, "")), gate.Promotion{Current: id(t, newID)}, ""},
		{"extended, a cut", dated(""), gate.Promotion{Extended: true, Overlap: -1}, ""},

		{"extended, and the grant ends", ending("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"), gate.Promotion{Extended: true}, never},
		{"it has a deadline, and the grant ends", ending("2026-03-01T00:00:00Z", "2026-02-05T03:00:25Z"), gate.Promotion{Extended: true}, "2026-02-05T03:00:25Z"},
		{"the grant ends before its deadline", ending("2026-02-05T01:00:00Z", "2026-02-05T01:00:00Z"), gate.Promotion{}, "2026-02-05T03:00:00Z"},

		{"confirmed", dated("2026-02-05T03:00:25Z"), gate.Promotion{RetireAt: retire}, "2026-02-04T12:15:00Z"},
		{"confirmed, its deadline is earlier", dated("2026-02-04T12:01:00Z"), gate.Promotion{RetireAt: retire}, "2026-02-04T12:01:00Z"},
		{"confirmed, to end at once", dated("2026-02-05T03:00:25Z"), gate.Promotion{RetireAt: now}, ""},
		{"confirmed, extended", dated(""), gate.Promotion{Extended: true, RetireAt: retire}, "2026-02-04T12:15:00Z"},
		{"confirmed, extended, to end later than an overlap from now", dated(""), gate.Promotion{Extended: true, RetireAt: date("2099-01-01T00:00:00Z")}, "2026-02-05T12:00:00Z"},
		{"confirmed, extended, while this was looking", dated(""), gate.Promotion{Extended: true, RetireAt: date("2026-02-05T12:00:10Z")}, "2026-02-05T12:00:10Z"},
		{"confirmed, extended, over, an older document was put back", inCurrent, gate.Promotion{Extended: true, RetireAt: created}, ""},
		{"confirmed, the birth document was put back", bornDoc, gate.Promotion{RetireAt: retire}, ""},
		{"confirmed, extended, the birth document was put back", bornDoc, gate.Promotion{Extended: true, RetireAt: date("2099-01-01T00:00:00Z")}, ""},
	} {
		p := c.promotion
		p.Previous = id(t, oldID)
		if p.Created.IsZero() {
			p.Created = created
		}
		if p.Overlap == 0 {
			p.Overlap = 24 * time.Hour
		}
		end, got := gate.Deadline(c.doc, p, now), ""
		switch {
		case end.Keep && end.Until.IsZero():
			got = never
		case end.Keep:
			got = end.Until.Format(time.RFC3339Nano)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if gate.Deadline(bornDoc, gate.Promotion{Created: created, Overlap: time.Hour}, now).Keep {
		t.Error("no ID has a deadline")
	}

	for _, c := range []struct {
		name string
		doc  *trust.Document
		want string
		open bool
	}{
		{"open", dated("2026-02-05T03:00:25Z"), "2026-02-05T03:00:25Z", true},
		{"over", dated("2026-02-04T12:00:00Z"), "", false},
		{"without an end", dated(""), "0001-01-01T00:00:00Z", true},
		{"without an end but the grant's", ending("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"), "0001-01-01T00:00:00Z", true},
		{"the grant has ended", ending("2026-02-04T12:00:00Z", "2026-02-04T12:00:00Z"), "", false},
		{"none", document(statement(trust.SidCurrent, newID, "2026-12-31T00:00:00Z")), "", false},
	} {
		until, open := gate.Overlapping(c.doc, now)
		if open != c.open || open && until.Format(time.RFC3339) != c.want {
			t.Errorf("%s: %s %v", c.name, until, open)
		}
	}
}
