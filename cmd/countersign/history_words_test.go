package main

import (
	"testing"
	"time"

	"github.com/countersign/countersign/events"
)

func TestWhatAHistorySaysOfConfirmations(t *testing.T) {
	at, v := time.Date(2026, 2, 5, 3, 0, 20, 0, time.UTC), "8c1e5f0a-6b7c-4d8e-9f10-213243546576"
	for _, tt := range []struct {
		data       events.Data
		what, said string
	}{
		{&events.ExternalIDConfirmed{VersionID: v, By: "provider", PreviousUntil: at}, "CONFIRMED", "by the provider; the previous ID until 2026-02-05 03:00; version " + v},
		{&events.ExternalIDConfirmed{VersionID: v, By: "operator"}, "CONFIRMED", "by the operator; version " + v},
		{&events.RotationUnconfirmed{VersionID: v, Reminder: "half"}, "REMINDED", "nobody has confirmed, half of the overlap is over; the previous ID ends then; version " + v},
		{&events.RotationUnconfirmed{VersionID: v, Reminder: "over", Extended: true}, "REMINDED", "nobody has confirmed, all of the overlap is over; the previous ID stays until somebody confirms; version " + v},
		{&events.ExternalIDRotated{VersionID: v, Cause: "scheduled", PreviousUntil: at, Extended: true}, "ROTATED", "on schedule; the previous ID until 2026-02-05 03:00, and on until somebody confirms; version " + v},
	} {
		if what, said := (happening{Data: tt.data}).words(); what != tt.what || said != tt.said {
			t.Errorf("%s %q, want %s %q", what, said, tt.what, tt.said)
		}
	}
}
