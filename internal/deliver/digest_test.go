package deliver

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// stands is an open grant whose external ID is 12 days old.
func stands(name grant.Name, change func(*Standing)) Standing {
	p := plan()
	p.Grant, p.RotateEvery = name, "monthly"
	s := Standing{
		Plan: p,
		Secret: grant.Secret{
			Stages:       map[string][]string{scheduledVersion: {grant.StageCurrent}},
			Tags:         map[string]string{grant.FactGranted.AnnouncedTag(): "birth-4f0c8e1d2b3a49586776859493a2b1c0"},
			NextRotation: time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC),
		},
		Versions: []grant.VersionInfo{{ID: scheduledVersion, Stages: []string{grant.StageCurrent}, Created: now.AddDate(0, 0, -12)}},
	}
	if change != nil {
		change(&s)
	}
	return s
}

// busyWeek has a grant in each state, with what happened to it from 26 Jan to 1 Feb.
func busyWeek() []Standing {
	const before = "birth-4f0c8e1d2b3a49586776859493a2b1c0"
	at := func(day, hour int) time.Time { return time.Date(2026, 1, day, hour, 0, 3, 0, time.UTC) }
	return []Standing{
		stands("migration", func(s *Standing) {
			s.Plan.Expires = time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
			s.Versions[0].Created = now.Add(-2 * time.Hour)
			s.Secret.Stages[before] = []string{grant.StagePrevious}
			s.Versions = append(s.Versions, grant.VersionInfo{ID: before, Stages: []string{grant.StagePrevious}, Created: at(28, 11)})
			s.Happened = []Happening{
				{at(28, 11), events.TypeExternalIDRotated, "rotate-0123456789abcdef0123456789abcdef"},
				{at(29, 11), events.TypePreviousRetired, before},
			}
		}),
		stands("audit", func(s *Standing) {
			s.Secret.Tags[grant.TagRevoked] = "rv-20260901T160200Z-5d0c2e9a"
			s.Happened = []Happening{{at(30, 16), events.TypeAccessRevoked, ""}}
		}),
		stands("freeze", func(s *Standing) { s.Secret.Tags[grant.TagPaused] = grant.EncodePause(now.AddDate(0, 0, 10)) }),
		stands("done", func(s *Standing) {
			s.Plan.Expires = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
			s.Happened = []Happening{{time.Date(2026, 2, 1, 0, 20, 0, 0, time.UTC), events.TypeAccessExpired, ""}}
		}),
		stands("console", func(s *Standing) {
			s.Plan.NoExternalID, s.Plan.SecretARN, s.Plan.KeyARN, s.Secret, s.Versions = true, "", "", grant.Secret{}, nil
		}),
	}
}

// digests are the sayings that are one.
var digests = map[string][]Standing{
	"weekly-digest":       busyWeek(),
	"weekly-digest-quiet": {stands("migration", nil)},
	"weekly-digest-look": {
		stands("migration", func(s *Standing) { s.Versions[0].Created = now.AddDate(0, -3, 0) }),
		stands("audit", func(s *Standing) { s.Secret.Deleted = true }),
		stands("console", func(s *Standing) { s.Secret.Tags = nil }),
	},
}

func TestWeeks(t *testing.T) {
	for _, c := range []struct{ at, from, name string }{
		{"2026-02-02T00:00:00Z", "2026-02-02", "2026-W06"}, // a Monday
		{"2026-02-01T23:59:59Z", "2026-01-26", "2026-W05"},
		{"2026-02-04T06:00:00Z", "2026-02-02", "2026-W06"},
		{"2026-02-02T00:30:00+02:00", "2026-01-26", "2026-W05"}, // still Sunday in UTC
		{"2027-01-01T12:00:00Z", "2026-12-28", "2026-W53"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		w := WeekOf(at)
		if w.From().Format(time.DateOnly) != c.from || w.String() != c.name || !w.Holds(at) || w.Before().Holds(at) {
			t.Errorf("%s lies in %s from %s", c.at, w, w.From())
		}
		if !w.Before().Holds(w.From().Add(-time.Nanosecond)) || w != WeekOf(w.From()) {
			t.Errorf("%s and the one before leave a gap, or overlap", w)
		}
	}
}

// What a digest says of a grant follows from labels, tags and plan.
func TestADigestSaysHowAGrantStands(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Standing)
		want   string
	}{
		{"open", nil, "Now: Open. The external ID is 12 days old. The next rotation comes by 1 Mar 2026 04:00 UTC."},
		{"made yesterday", func(s *Standing) { s.Versions[0].Created = now.Add(-25 * time.Hour) }, "Now: Open. The external ID is 1 day old. The next rotation comes by 1 Mar 2026 04:00 UTC."},
		{"on demand", func(s *Standing) { s.Plan.RotateEvery = "never" }, "Now: Open. The external ID is 12 days old. It is rotated on demand."},
		{"no date by AWS", func(s *Standing) { s.Secret.NextRotation = time.Time{} }, "Now: Open. The external ID is 12 days old. The next rotation comes by 24 Feb 2026 06:00 UTC."},
		{"an overlap that is over", func(s *Standing) {
			s.Versions[0].Created = now.Add(-25 * time.Hour)
			s.Secret.Stages["before"] = []string{grant.StagePrevious}
			s.Versions = append(s.Versions, grant.VersionInfo{ID: "before"})
		}, "Now: Open. The external ID is 1 day old. The next rotation comes by 1 Mar 2026 04:00 UTC."},
		{"an overlap", func(s *Standing) {
			s.Versions[0].Created = now.Add(-2 * time.Hour)
			s.Secret.Stages["before"] = []string{grant.StagePrevious}
			s.Versions = append(s.Versions, grant.VersionInfo{ID: "before"})
		}, "Now: Open. The external ID is less than a day old. The next rotation comes by 1 Mar 2026 04:00 UTC.|Until: 5 Feb 01:00 UTC the previous ID also works."},
		{"overdue", func(s *Standing) { s.Versions[0].Created = now.AddDate(0, 0, -40) }, "Now: Open. The external ID is 40 days old. Its rotation is overdue since 27 Jan 2026 06:00 UTC."},
		{"revoked and over", func(s *Standing) {
			s.Secret.Tags[grant.TagRevoked], s.Plan.Expires = "rv-20260901T160200Z-5d0c2e9a", now
		}, "Now: Revoked: nobody gets in. rv-20260901T160200Z-5d0c2e9a"},
		{"restored since", func(s *Standing) {
			s.Secret.Tags[grant.TagRevoked], s.Secret.Tags[grant.TagRestored] = "rv-20260901T160200Z-5d0c2e9a", "rv-20260901T160200Z-5d0c2e9a"
		}, "Now: Open. The external ID is 12 days old. The next rotation comes by 1 Mar 2026 04:00 UTC."},
	} {
		s := stands("migration", c.change)
		_, rows := s.now(now)
		var got []string
		for _, r := range rows {
			got = append(got, r.Label+": "+r.Text)
		}
		want := strings.Split(c.want, "|")
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
}

// A digest of a wild week stays short, and says where the rest is.
func TestADigestMentionsSoMuchAndNoMore(t *testing.T) {
	s := stands("migration", func(s *Standing) {
		for i := range 40 {
			s.Happened = append(s.Happened, Happening{At: now.Add(time.Duration(i) * time.Hour), Type: events.TypeTrustDriftDetected})
		}
	})
	rows := s.happened()
	if last := rows[len(rows)-1]; len(rows) != mostMentioned+1 || last.Text != "28: countersign history migration" {
		t.Errorf("%d rows, the last one %+v", len(rows), last)
	}
}
