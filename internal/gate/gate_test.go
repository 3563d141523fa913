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
	for _, c := range []struct {
		name    string
		doc     *trust.Document
		overlap time.Duration
		created time.Time
		want    string // empty: it ends
	}{
		{"its deadline stands", dated("2026-02-05T03:00:25Z"), 24 * time.Hour, created, "2026-02-05T03:00:25Z"},
		{"its deadline is too far away", dated("2099-01-01T00:00:00Z"), 24 * time.Hour, created, "2026-02-05T12:00:00Z"},
		{"it lost its deadline", dated(""), 24 * time.Hour, created, "2026-02-05T03:00:00Z"},
		{"its deadline has passed", dated("2026-02-04T12:00:00Z"), 24 * time.Hour, created, ""},
		{"a promotion that was not finished", document(statement(trust.SidCurrent, oldID, "")), 24 * time.Hour, created, "2026-02-05T03:00:00Z"},
		{"an older document was put back behind the deadline", document(statement(trust.SidCurrent, oldID, "")), 24 * time.Hour, created.AddDate(0, 0, -9), ""},
		{"a cut", dated("2026-02-05T03:00:25Z"), 0, created, ""},
		{"the document doesn't accept it", document(statement(trust.SidCurrent, newID, "")), 24 * time.Hour, created, ""},
		{"the birth document was put back", bornDoc, 24 * time.Hour, created, "2026-02-05T03:00:00Z"},
		{"put back behind the deadline", bornDoc, 24 * time.Hour, created.AddDate(0, 0, -2), ""},
		{"put back, a version from the future", bornDoc, 24 * time.Hour, created.AddDate(1, 0, 0), "2026-02-05T12:00:00Z"},
	} {
		until, keep := gate.Deadline(c.doc, gate.Promotion{Previous: id(t, oldID), Created: c.created, Overlap: c.overlap}, now)
		got := ""
		if keep {
			got = until.Format(time.RFC3339Nano)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	promoting := gate.Promotion{Previous: id(t, oldID), Created: created.AddDate(0, 0, -9), Overlap: 24 * time.Hour, Now: true}
	if until, keep := gate.Deadline(document(statement(trust.SidCurrent, oldID, "")), promoting, now); !keep || !until.Equal(date("2026-02-05T12:00:00Z")) {
		t.Errorf("promoted just now, although the rotation hung for days: %s", until)
	}
	if _, keep := gate.Deadline(bornDoc, gate.Promotion{Created: created, Overlap: time.Hour}, now); keep {
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
		{"none", document(statement(trust.SidCurrent, newID, "2026-12-31T00:00:00Z")), "", false},
	} {
		until, open := gate.Overlapping(c.doc, now)
		if open != c.open || open && until.Format(time.RFC3339) != c.want {
			t.Errorf("%s: %s %v", c.name, until, open)
		}
	}
}
