package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/countersign/countersign/functions/rotate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
	"github.com/countersign/countersign/internal/sim"
)

// openGrant is a grant on the embedded AWS whose first external ID is in.
func openGrant(tb testing.TB) (*sim.World, grant.Plan) {
	tb.Helper()
	w := sim.New(sim.Config{Seed: 1})
	plan := grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: w.Account(), Region: w.Region(),
		RoleARN:     "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration",
		SecretARN:   "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-Ab12Cd",
		Principals:  []string{"arn:aws:iam::111122223333:root"},
		RotateEvery: "monthly", Overlap: grant.Duration(24 * time.Hour),
	}
	if err := w.Deploy(plan); err != nil {
		tb.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	handler := &rotate.Handler{
		Plans: w.Parameters, Roles: w.IAM, Secrets: w.Secrets,
		Outbox: outbox.Outbox{Secrets: w.Secrets, Roles: w.IAM, Bus: w.Bus("countersign"), StackVersion: "bench", Now: w.Now, Log: log},
		Settle: 15 * time.Second, Now: w.Now, Wait: w.Wait, Rand: w.Rand(), Log: log,
	}
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		return handler.Handle(ctx, rotate.Event{Step: e.Step, SecretID: e.SecretID, ClientRequestToken: e.ClientRequestToken})
	})
	rotateNow(tb, w, plan, "birth-00000000000000000000000000000000")
	return w, plan
}

func rotateNow(tb testing.TB, w *sim.World, plan grant.Plan, token string) {
	tb.Helper()
	ctx := sim.As(context.Background(), "operator")
	if err := w.Secrets.Rotate(ctx, plan.SecretARN, token); err != nil {
		tb.Fatal(err)
	}
	if err := w.RunRotations(ctx); err != nil {
		tb.Fatal(err)
	}
	secret, err := w.Secrets.Describe(ctx, plan.SecretARN)
	if err != nil || secret.At(grant.StageCurrent) != token {
		tb.Fatalf("current version = %q, %v, want %q", secret.At(grant.StageCurrent), err, token)
	}
}

// BenchmarkRotation is the computing of one whole rotation: four steps, the embedded AWS's own work included, no network
// and no waiting. The calls of the function are reported beside.
func BenchmarkRotation(b *testing.B) {
	w, plan := openGrant(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%50 == 0 { // a secret keeps its versions: start anew before that tells
			b.StopTimer()
			w, plan = openGrant(b)
			b.StartTimer()
		}
		w.Advance(48 * time.Hour) // the overlap of the rotation before has passed
		w.ResetCalls()
		rotateNow(b, w, plan, fmt.Sprintf("scheduled-%022d", n))
	}
	calls := map[string]int{}
	for _, call := range w.Calls("rotate") {
		calls[call.Service]++
	}
	b.ReportMetric(float64(calls["iam"]), "IAM-calls/op")
	b.ReportMetric(float64(calls["secretsmanager"]), "SM-calls/op")
}

// BenchmarkStep is one step of a rotation that is already done, as a repeat finds it.
func BenchmarkStep(b *testing.B) {
	for _, step := range sim.RotationSteps {
		b.Run(step, func(b *testing.B) {
			w, plan := openGrant(b)
			token := "cut-00000000000000000000000000000001"
			rotateNow(b, w, plan, token)
			ctx := sim.As(context.Background(), "rotate")
			b.ReportAllocs()
			for b.Loop() {
				w.ResetCalls()
				event := sim.RotationEvent{Step: step, SecretID: plan.SecretARN, ClientRequestToken: token}
				if err := w.Secrets.InvokeStep(ctx, event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTheBenchmarkRotates(t *testing.T) {
	w, plan := openGrant(t)
	w.Advance(48 * time.Hour)
	w.ResetCalls()
	rotateNow(t, w, plan, "scheduled-0000000000000000000001")
	if len(w.Calls("rotate", "iam")) == 0 || len(w.Calls("rotate", "secretsmanager")) == 0 {
		t.Error("the rotation called neither IAM nor Secrets Manager")
	}
}
