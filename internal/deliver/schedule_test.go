package deliver_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/deliver"
)

var changed = time.Date(2026, 2, 4, 3, 0, 3, 400e6, time.UTC)

// life lists the attempts of a message that never arrives, as moments after the change. The first comes delay after it.
func life(kind events.Type, overlap, delay time.Duration, jitter float64, retryAfter time.Duration) (out []string) {
	f := deliver.Facts{Kind: kind, At: changed}
	if overlap > 0 {
		f.PreviousUntil = changed.Add(overlap).Truncate(time.Second)
	}
	now := changed.Add(delay)
	for n := 1; n < 20; n++ {
		said := now.Sub(changed).Round(time.Second).String()
		switch {
		case !f.LastCall().IsZero() && now.Equal(f.LastCall()):
			said += " last call"
		case overlap > 0 && !now.Before(f.PreviousUntil):
			said += " missed"
		}
		out = append(out, said)
		at, again := deliver.Next(f, n, now, retryAfter, jitter)
		if !again {
			return out
		}
		now = at
	}
	return append(out, "without end")
}

func TestAttemptsOfWhatNeverArrives(t *testing.T) {
	const rotated, revoked = events.TypeExternalIDRotated, events.TypeAccessRevoked
	for _, tt := range []struct {
		name           string
		kind           events.Type
		overlap, delay time.Duration
		jitter         float64
		retryAfter     time.Duration
		want           []string
	}{
		{"as Standard Webhooks lists them", revoked, 0, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "31h35m5s", "51h35m5s", "75h35m5s"}},
		{"half of the chance", revoked, 0, 0, 0.5, 0,
			[]string{"0s", "5s", "5m20s", "36m50s", "2h42m50s", "7h57m50s", "18h27m50s", "33h9m50s", "54h9m50s", "79h21m50s"}},
		{"nearly all of it", revoked, 0, 0, 0.99999999, 0,
			[]string{"0s", "5s", "5m35s", "38m35s", "2h50m35s", "8h20m35s", "19h20m35s", "34h44m35s", "56h44m35s", "83h8m35s"}},
		{"a rotation without an overlap", rotated, 0, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "31h35m5s", "51h35m5s", "75h35m5s"}},
		{"another event with a date has no deadline", revoked, 24 * time.Hour, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "31h35m5s missed", "51h35m5s missed", "75h35m5s missed"}},
		{"an overlap of a day", rotated, 24 * time.Hour, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "23h0m0s last call", "24h0m0s missed"}},
		{"of two hours", rotated, 2 * time.Hour, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "35m5s", "1h0m0s last call", "2h0m0s missed"}},
		{"of an hour: half-way", rotated, time.Hour, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "30m0s last call", "1h0m0s missed"}},
		{"of five minutes", rotated, 5 * time.Minute, 0, 0, 0, []string{"0s", "5s", "2m30s last call", "5m0s missed"}},
		{"of a week: longer than the steps", rotated, 7 * 24 * time.Hour, 0, 0, 0,
			[]string{"0s", "5s", "5m5s", "35m5s", "2h35m5s", "7h35m5s", "17h35m5s", "31h35m5s", "51h35m5s", "75h35m5s", "167h0m0s last call", "168h0m0s missed"}},
		{"heard of behind the last call", rotated, 24 * time.Hour, 23*time.Hour + 30*time.Minute, 0, 0,
			[]string{"23h30m0s", "23h30m5s", "23h35m5s", "24h0m0s missed"}},
		{"heard of too late", rotated, 24 * time.Hour, 25 * time.Hour, 0, 0, []string{"25h0m0s missed"}},
		{"Retry-After of two minutes", revoked, 0, 0, 0, 2 * time.Minute,
			[]string{"0s", "2m0s", "7m0s", "37m0s", "2h37m0s", "7h37m0s", "17h37m0s", "31h37m0s", "51h37m0s", "75h37m0s"}},
		{"Retry-After of a year: up to the next step", revoked, 0, 0, 0, 365 * 24 * time.Hour,
			[]string{"0s", "5m0s", "35m0s", "2h35m0s", "7h35m0s", "17h35m0s", "31h35m0s", "51h35m0s", "75h35m0s", "99h35m0s"}},
		{"Retry-After of a year passes no deadline", rotated, 2 * time.Hour, 0, 0, 365 * 24 * time.Hour,
			[]string{"0s", "5m0s", "35m0s", "1h0m0s last call", "2h0m0s missed"}},
	} {
		if diff := cmp.Diff(tt.want, life(tt.kind, tt.overlap, tt.delay, tt.jitter, tt.retryAfter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestAnAttemptThatNeverWasHasNoNext(t *testing.T) {
	for _, n := range []int{-1, 0, 10, 1000} {
		if at, again := deliver.Next(deliver.Facts{Kind: events.TypeAccessRevoked}, n, changed, time.Hour, 0); again {
			t.Errorf("attempt %d is followed by one at %s", n, at)
		}
	}
}
