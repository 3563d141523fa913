package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/api"
)

// Who sees that nobody gets in, and that nothing mends it by itself, is told what to do.
func TestTagsThatCallARevocationUndoneAreTold(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	s := api.Status{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-west-1", CheckedAt: now,
		State: api.Closed, RevokeID: "rv-20260302T090000Z-0123abcd", Missing: []string{"trust", "tag"}, Undone: true,
	}
	for name, text := range map[string]string{"show": showText(s, now), "grants": strings.Join(notesOf(s, now), "\n")} {
		if flat := strings.Join(strings.Fields(text), " "); !strings.Contains(flat, "countersign restore migration") || strings.Contains(flat, "reconcile puts it back") {
			t.Errorf("%s: %s", name, text)
		}
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > terminalWidth {
				t.Errorf("%s is too wide: %q", name, line)
			}
		}
	}
}
