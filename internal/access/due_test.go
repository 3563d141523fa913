package access_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// The functions know of a schedule only what the plan says in words. Whatever moment an external ID was made in, the schedule's
// next window has closed before it is called overdue, and the one after that hasn't.
func TestAnExternalIDIsOverdueBehindItsNextWindowAndSoon(t *testing.T) {
	const day = 24 * time.Hour
	schedules := []access.Every{"4h", "6h", "8h", "12h", access.Daily, access.Weekly, access.Monthly, "2 days", "30 days", "365 days"}
	for _, every := range schedules {
		for _, name := range []grant.Name{"migration", "audit", "backup", "x"} {
			g := access.Grant{Name: name, RotateEvery: every}
			s := g.Schedule()
			if s.IsZero() {
				t.Fatalf("%s is no schedule", every)
			}
			plan := grant.Plan{RotateEvery: string(every)}
			for made := time.Date(2026, 1, 1, 0, 7, 0, 0, time.UTC); made.Year() < 2028; made = made.Add(17*time.Hour + 13*time.Minute) {
				next := s.Next(made, 1)[0]
				due := plan.DueBy(made)
				if late := due.Sub(next.End); late < grant.Retries {
					t.Fatalf("%s of %s, made %s: overdue from %s on, the window closes at %s", every, name, made, due, next.End)
				}
				if wait := due.Sub(made); wait > s.Interval+3*day+s.Window+grant.Retries {
					t.Fatalf("%s of %s, made %s: not overdue before %s", every, name, made, fmt.Sprint(wait))
				}
			}
		}
	}
	if due := (grant.Plan{RotateEvery: string(access.Never)}).DueBy(time.Now()); !due.IsZero() {
		t.Errorf("never is due by %s", due)
	}
}
