package demo

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// noBreak stands where a line must not be broken.
const noBreak = "\u00a0"

// together keeps a phrase in one line.
func together(s string) string { return strings.ReplaceAll(s, " ", noBreak) }

// Text is a sentence. Its no-break spaces are for whoever lays it out.
type Text string

// MarshalJSON writes it with plain spaces.
func (t Text) MarshalJSON() ([]byte, error) {
	return json.Marshal(strings.ReplaceAll(string(t), noBreak, " "))
}

// when is a virtual instant as people read it.
func when(t time.Time) string { return together(t.UTC().Format("2 Jan 15:04:05")) }

// instant is when, from a policy's date; what is no date stays as it is.
func instant(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	return when(t)
}

// lasting is a measured duration: 0.2 s, 17 s, 34 min, 3 h.
func lasting(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f"+noBreak+"s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f"+noBreak+"s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f"+noBreak+"min", d.Minutes())
	}
	return fmt.Sprintf("%.0f"+noBreak+"h", d.Hours())
}
