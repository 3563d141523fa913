package main

import (
	"strconv"
	"strings"
	"time"
)

// longestPast is the furthest back that a flag may reach: what is older isn't kept anywhere.
const longestPast = 10 * 366 * 24 * time.Hour

// pastMoment reads a flag that names a time in the past: 30d, 36h, a date or RFC 3339. The zero time where it is empty.
func pastMoment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.DateOnly, s)
	if err != nil {
		at, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		var d time.Duration
		if days, notDays := strconv.Atoi(strings.TrimSuffix(s, "d")); notDays == nil && strings.HasSuffix(s, "d") && days < 10000 {
			d, err = time.Duration(days)*24*time.Hour, nil
		} else {
			d, err = time.ParseDuration(s)
		}
		at = now.Add(-d)
	}
	switch {
	case err != nil:
		return time.Time{}, fail(exitInput, "Write it as 30d, 36h, 2026-01-31 or 2026-01-31T06:00:00Z.", "--%s is neither a length of time nor a date", flag)
	case at.After(now):
		return time.Time{}, fail(exitInput, "Name a time in the past.", "--%s is in the future", flag)
	case now.Sub(at) > longestPast:
		return time.Time{}, fail(exitInput, "Leave it out, or name a later time.", "--%s is more than 10 years ago", flag)
	}
	return at.UTC().Truncate(time.Second), nil
}
