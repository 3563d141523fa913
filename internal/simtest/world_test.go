package simtest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestAGrantsLife(t *testing.T) {
	ctx := context.Background()
	w := simtest.New(simtest.Config{Period: time.Hour, Workers: true})
	plan := simtest.Migration()
	plan.Notify = grant.Notify{{Channel: grant.Mail, Address: "jdoe@hestio.example"}}
	if err := w.Deploy(ctx, plan, sim.Policy{Name: "all", Document: everything}); err != nil {
		t.Fatal(err)
	}
	_, first, err := w.Read(ctx, plan.Grant, grant.StageCurrent)
	session := must[*sim.Session](t)(w.Enter(ctx, simtest.Provider, plan.Grant, first))
	if err != nil || session.Do(ctx, "s3:ListBucket", "arn:aws:s3:::data") != nil || w.Enters(simtest.Stranger, plan.Grant, first) {
		t.Fatal("only the provider should be in", err)
	}
	w.Sleep(ctx, 40*24*time.Hour)
	if w.Enters(simtest.Provider, plan.Grant, first) {
		t.Error("the first ID lives on after the first rotation and its overlap")
	}
	_, second, _ := w.Read(ctx, plan.Grant, grant.StageCurrent)
	session = must[*sim.Session](t)(w.Enter(ctx, simtest.Provider, plan.Grant, second))
	if _, err := w.Revoke(ctx, plan.Grant, "project ended"); err != nil {
		t.Fatal(err)
	}
	if session.Do(ctx, "s3:ListBucket", "arn:aws:s3:::data") == nil || w.Enters(simtest.Provider, plan.Grant, second) {
		t.Error("revoked, and somebody is in")
	}
	w.Sleep(ctx, time.Minute)
	if n := len(w.Letters()); n != 3 { // granted, rotated, revoked
		t.Errorf("%d letters", n)
	}
}

func TestTheAPIRefusesTheProvider(t *testing.T) {
	ctx := context.Background()
	w := simtest.New(simtest.Config{})
	if err := w.Deploy(ctx, simtest.Migration()); err != nil {
		t.Fatal(err)
	}
	err := w.Ask(ctx, simtest.Provider, http.MethodPost, "/grants/migration/revoke", nil, nil)
	if refused := (*simtest.Refused)(nil); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
		t.Errorf("got %v", err)
	}
}
