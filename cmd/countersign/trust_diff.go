package main

import (
	"fmt"

	"github.com/countersign/countersign/internal/trust"
)

// printTrustDiff prints to stdout who gains and who loses, then the statements that change.
func (c *cli) printTrustDiff(changes trust.Changes, diff trust.Diff) error {
	if c.json {
		return writeJSON(c.stdout, struct {
			Changed bool          `json:"changed"`
			Gains   []trust.Entry `json:"gains"`
			Loses   []trust.Entry `json:"loses"`
			Keeps   []trust.Entry `json:"keeps"`
			Lines   []string      `json:"lines"`
			Drift   []string      `json:"drift"`
		}{!diff.Empty(), append([]trust.Entry{}, changes.Gains...), append([]trust.Entry{}, changes.Loses...),
			append([]trust.Entry{}, changes.Keeps...), append([]string{}, diff.Lines...), append([]string{}, diff.Drift...)})
	}
	if diff.Empty() {
		c.talk("already right, nothing changed")
	}
	var b block
	for _, group := range []struct {
		label   string
		entries []trust.Entry
	}{{"gains", changes.Gains}, {"loses", changes.Loses}, {"keeps", changes.Keeps}} {
		for _, e := range group.entries {
			b.head(group.label, e.String())
		}
	}
	for _, l := range diff.Lines {
		b.head("document", l)
	}
	for _, l := range diff.Drift {
		b.head("drift", l)
	}
	if _, err := fmt.Fprint(c.stdout, b.String()); err != nil {
		return fmt.Errorf("printing the difference: %w", err)
	}
	return nil
}
