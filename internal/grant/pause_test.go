package grant_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

func TestOnlyAnEndWithinNinetyDaysPauses(t *testing.T) {
	now := time.Date(2026, 2, 5, 3, 0, 0, 500, time.UTC)
	for tag, paused := range map[string]bool{
		"2026-02-05T03:00:01Z":      true,
		"2026-02-19T03:00:00Z":      true,
		"2026-05-06T03:00:00Z":      true, // ninety days
		"2026-05-06T03:00:01Z":      false,
		"9999-12-31T23:59:59Z":      false,
		"2026-02-05T03:00:00Z":      false, // over
		"2026-02-04T03:00:00Z":      false,
		"2026-02-19T03:00:00+01:00": false, // not our form
		"2026-02-19T03:00:00.5Z":    false,
		"2026-02-19":                false,
		"2026-02-30T03:00:00Z":      false,
		" 2026-02-19T03:00:00Z":     false,
		"none":                      false,
		"forever":                   false,
		"":                          false,
	} {
		until := grant.PausedUntil(map[string]string{grant.TagPaused: tag}, now)
		if until.IsZero() == paused {
			t.Errorf("%q pauses until %s, want paused %v", tag, until, paused)
		}
		if paused && grant.EncodePause(until) != tag {
			t.Errorf("%q reads as %s", tag, until)
		}
	}
	if !grant.PausedUntil(nil, now).IsZero() {
		t.Error("paused without a tag")
	}
}

func TestWhenAPauseWasOver(t *testing.T) {
	now := time.Date(2026, 2, 5, 3, 0, 0, 500, time.UTC)
	for tag, over := range map[string]bool{
		"2026-02-05T03:00:00Z":      true,
		"2026-01-01T03:00:00Z":      true,
		"2026-02-05T03:00:01Z":      false, // not yet
		"9999-12-31T23:59:59Z":      false,
		"2026-01-19T03:00:00+01:00": false,
		"none":                      false,
		"":                          false,
	} {
		got := grant.PauseOver(map[string]string{grant.TagPaused: tag}, now)
		if got.IsZero() == over || over && grant.EncodePause(got) != tag {
			t.Errorf("%q: over at %s, want over %v", tag, got, over)
		}
	}
}

func TestWhatTheScheduleStarted(t *testing.T) {
	for id, want := range map[string]bool{
		"0a1b2c3d-6b7c-4d8e-9f10-213243546576":     true,
		"birth-0123456789abcdef0123456789abcdef":   false,
		"cut-0123456789abcdef0123456789abcdef":     false,
		"restore-0123456789abcdef0123456789abcdef": false,
		"rotate-0123456789abcdef0123456789abcdef":  false,
	} {
		if got := grant.BySchedule(id); got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}
