package access_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

func scheduleOf(name grant.Name, every access.Every) access.Schedule {
	return (&access.Grant{Name: name, RotateEvery: every}).Schedule()
}

func TestSchedulesBecomeSecretsManagersExpressions(t *testing.T) {
	for _, tc := range []struct {
		every                  access.Every
		expression, duration   string
		window, interval, next string // next: the five windows after 2026-01-05T09:00Z
	}{
		{"4h", "cron(0 3,7,11,15,19,23 * * ? *)", "1h", "1h0m0s", "4h0m0s", "5 11:00, 5 15:00, 5 19:00, 5 23:00, 6 03:00"},
		{"6h", "cron(0 5,11,17,23 * * ? *)", "1h", "1h0m0s", "6h0m0s", "5 11:00, 5 17:00, 5 23:00, 6 05:00, 6 11:00"},
		{"8h", "cron(0 3,11,19 * * ? *)", "1h", "1h0m0s", "8h0m0s", "5 11:00, 5 19:00, 6 03:00, 6 11:00, 6 19:00"},
		{"12h", "cron(0 11,23 * * ? *)", "1h", "1h0m0s", "12h0m0s", "5 11:00, 5 23:00, 6 11:00, 6 23:00, 7 11:00"},
		{"daily", "cron(0 11 * * ? *)", "1h", "1h0m0s", "24h0m0s", "5 11:00, 6 11:00, 7 11:00, 8 11:00, 9 11:00"},
		{"weekly", "cron(0 11 ? * MON *)", "1h", "1h0m0s", "168h0m0s", "5 11:00, 12 11:00, 19 11:00, 26 11:00, 2 11:00"},
		{"monthly", "cron(0 11 9 * ? *)", "1h", "1h0m0s", "672h0m0s", "9 11:00, 9 11:00, 9 11:00, 9 11:00, 9 11:00"},
		{"30 days", "rate(30 days)", "", "24h0m0s", "720h0m0s", "4 00:00, 6 00:00, 5 00:00, 5 00:00, 4 00:00"},
		{"never", "", "", "0s", "0s", ""},
	} {
		t.Run(string(tc.every), func(t *testing.T) {
			s := scheduleOf("migration", tc.every)
			var next []string
			for _, w := range s.Next(now, 5) {
				next = append(next, w.Start.Format("2 15:04"))
			}
			got := fmt.Sprintf("%s|%s|%s|%s|%s", s.Expression, s.Duration, s.Window, s.Interval, strings.Join(next, ", "))
			want := fmt.Sprintf("%s|%s|%s|%s|%s", tc.expression, tc.duration, tc.window, tc.interval, tc.next)
			if got != want {
				t.Errorf("schedule is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestScheduleInWords(t *testing.T) {
	for every, want := range map[access.Every]string{
		"monthly": "monthly, day 9, between 11:00 and 12:00 UTC",
		"weekly":  "weekly, Monday, between 11:00 and 12:00 UTC",
		"daily":   "daily, between 11:00 and 12:00 UTC",
		"12h":     "every 12 h, within the hour after 11:00, 23:00 UTC",
		"30 days": "every 30 days after the last rotation, at any time of that day (UTC)",
		"never":   "never by itself, on demand only",
	} {
		if got := scheduleOf("migration", every).String(); got != want {
			t.Errorf("%s reads %q, want %q", every, got, want)
		}
	}
}

var everies = []access.Every{"4h", "6h", "8h", "12h", access.Daily, access.Weekly, access.Monthly, "2 days", "30 days", "999 days"}

// The interval is a promise to the overlap check: no two windows ever start closer to each other.
func TestWindowsFollowEachOtherAtTheIntervalOrLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := grant.Name(rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,39}`).Draw(t, "name"))
		every := rapid.SampledFrom(everies).Draw(t, "every")
		after := now.Add(time.Duration(rapid.Int64Range(0, int64(10*365*24*time.Hour)).Draw(t, "after")))
		s := scheduleOf(name, every)
		last := after
		for i, w := range s.Next(after, 8) {
			if !w.Start.After(after) || w.End.Sub(w.Start) != s.Window || w.Start.Minute() != 0 {
				t.Fatalf("%s of %s: window %v to %v after %v", every, name, w.Start, w.End, after)
			}
			if i > 0 && w.Start.Sub(last) < s.Interval {
				t.Fatalf("%s of %s: windows at %v and %v, closer than %v", every, name, last, w.Start, s.Interval)
			}
			last = w.Start
		}
	})
}

func TestGrantsSpreadOverTheDay(t *testing.T) {
	hours := map[string]int{}
	for i := range 240 {
		hours[scheduleOf(grant.Name(fmt.Sprintf("grant-%d", i)), access.Daily).Expression]++
	}
	if len(hours) != 24 {
		t.Errorf("240 grants use %d hours, want 24", len(hours))
	}
	for at, n := range hours {
		if n > 30 {
			t.Errorf("%d of 240 grants rotate at %s", n, at)
		}
	}
}

func TestTheDefaultOverlapFitsEverySchedule(t *testing.T) {
	for _, every := range everies {
		src := namedGrant + "        rotateEvery: " + string(every) + "\n"
		a, err := access.Parse("access.yaml", []byte(src), policies(), now)
		if err != nil {
			t.Errorf("%s: %v", every, err)
			continue
		}
		g := a.Providers[0].Grants[0]
		s := g.Schedule()
		if g.Overlap <= 0 || g.Overlap >= s.Interval-s.Window || g.Overlap > 24*time.Hour {
			t.Errorf("%s has the default overlap %s", every, g.Overlap)
		}
	}
}

func TestAddingAGrantMovesNoOther(t *testing.T) {
	// The values are part of what is deployed: another hash would move grants between stacks.
	for name, want := range map[grant.Name]int{"migration": 2, "audit": 0, "a": 0, "backup": 4, "observability": 3} {
		if got := access.ShardOf(name, 5); got != want {
			t.Errorf("ShardOf(%s, 5) = %d, want %d", name, got, want)
		}
	}
	if got := []string{access.StackName("ServiceProviderAccess", 0), access.StackName("ServiceProviderAccess", 1)}; !slices.Equal(got, []string{"ServiceProviderAccess", "ServiceProviderAccess-2"}) {
		t.Errorf("stack names %v", got)
	}
}
