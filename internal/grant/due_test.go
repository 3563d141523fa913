package grant_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

func TestWhenTheScheduleHasRotatedAtTheLatest(t *testing.T) {
	const day = 24 * time.Hour
	since := time.Date(2026, 1, 31, 11, 20, 0, 0, time.UTC)
	for _, c := range []struct {
		every   string
		overlap time.Duration
		want    time.Duration // behind since: the longest way to a window, its length, an overlap, Secrets Manager's tries
	}{
		{"4h", time.Hour, 4*time.Hour + time.Hour + time.Hour + 2*time.Hour},
		{"12h", 0, 12*time.Hour + time.Hour + 2*time.Hour},
		{"daily", 6 * time.Hour, day + time.Hour + 6*time.Hour + 2*time.Hour},
		{"weekly", day, 7*day + time.Hour + day + 2*time.Hour},
		{"monthly", day, 31*day + time.Hour + day + 2*time.Hour},
		{"30 days", day, 30*day + day + day + 2*time.Hour},
		{"2 days", day, 2*day + day + day + 2*time.Hour},
		{"never", day, 0},
		{"", day, 0},
		{"sometimes", day, 0},
		{"0 days", day, 0},
	} {
		var want time.Time
		if c.want > 0 {
			want = since.Add(c.want)
		}
		if got := (grant.Plan{RotateEvery: c.every, Overlap: grant.Duration(c.overlap)}).DueBy(since); !got.Equal(want) {
			t.Errorf("%s: due by %s, want %s", c.every, got, want)
		}
	}
}
