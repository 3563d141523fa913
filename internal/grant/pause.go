package grant

import "time"

// Limits of a pause, which keeps scheduled rotations from starting and nothing else.
const (
	DefaultPause = 14 * 24 * time.Hour
	// MaxPause bounds what somebody who may only tag can do: an end that is further away counts as none.
	MaxPause = 90 * 24 * time.Hour
)

// pauseForm is the one form of a pause's end, in UTC.
const pauseForm = "2006-01-02T15:04:05Z"

// EncodePause is what TagPaused holds for a pause that ends then. A pause that is over keeps its end there: from then on the
// schedule could rotate again.
func EncodePause(until time.Time) string { return until.UTC().Format(pauseForm) }

// PausedUntil reads TagPaused: the end of the pause that holds now, zero where none does. What can't be read, is over or is
// more than MaxPause away is no pause.
func PausedUntil(tags map[string]string, now time.Time) time.Time {
	until := pauseEnd(tags)
	if !until.After(now) || until.After(now.Add(MaxPause)) {
		return time.Time{}
	}
	return until
}

// PauseOver reads TagPaused: when the last pause ended, zero where none did.
func PauseOver(tags map[string]string, now time.Time) time.Time {
	until := pauseEnd(tags)
	if until.After(now) {
		return time.Time{}
	}
	return until
}

// pauseEnd is what TagPaused says, zero where that can't be read.
func pauseEnd(tags map[string]string) time.Time {
	until, err := time.Parse(pauseForm, tags[TagPaused])
	if err != nil || EncodePause(until) != tags[TagPaused] {
		return time.Time{}
	}
	return until
}
