package grant

import "time"

// Limits of a pause, which keeps scheduled rotations from starting and nothing else.
const (
	DefaultPause = 14 * 24 * time.Hour
	// MaxPause bounds what somebody who may only tag can do: an end that is further away counts as none.
	MaxPause = 90 * 24 * time.Hour
)

// notPaused is what TagPaused holds after a resume.
const notPaused = "none"

// pauseForm is the one form of a pause's end, in UTC.
const pauseForm = "2006-01-02T15:04:05Z"

// EncodePause is what TagPaused holds for a pause that ends then; the zero time ends it now.
func EncodePause(until time.Time) string {
	if until.IsZero() {
		return notPaused
	}
	return until.UTC().Format(pauseForm)
}

// PausedUntil reads TagPaused: the end of the pause that holds now, zero where none does. What can't be read, is over or is
// more than MaxPause away is no pause.
func PausedUntil(tags map[string]string, now time.Time) time.Time {
	tag := tags[TagPaused]
	until, err := time.Parse(pauseForm, tag)
	if err != nil || EncodePause(until) != tag || !until.After(now) || until.After(now.Add(MaxPause)) {
		return time.Time{}
	}
	return until
}
