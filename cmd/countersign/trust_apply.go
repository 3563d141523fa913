package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/trust"
)

// trustPhase is one phase of a rotation or revocation as trust apply knows it.
type trustPhase struct {
	name  string
	needs []string // flags
	takes []string // further flags
	plan  func(trustFlags) trust.Plan
}

// trustFlags are the values of trust apply's flags.
type trustFlags struct {
	current, pending string
	previous         trust.Previous
}

var trustPhases = []trustPhase{
	{"overlap", []string{"current", "pending"}, []string{"previous", "until"}, func(f trustFlags) trust.Plan {
		return trust.Plan{Current: f.current, Pending: f.pending, Previous: f.previous}
	}},
	{"promote", []string{"current", "previous", "until"}, nil, func(f trustFlags) trust.Plan {
		return trust.Plan{Current: f.current, Previous: f.previous}
	}},
	{"retire", []string{"current", "previous"}, []string{"until"}, func(f trustFlags) trust.Plan {
		return trust.Plan{Current: f.current, Retired: []string{f.previous.ID}}
	}},
	{"revoke", nil, []string{"current", "pending", "previous", "until"}, func(trustFlags) trust.Plan {
		return trust.Plan{Gate: trust.Close}
	}},
	{"restore", []string{"current"}, nil, func(f trustFlags) trust.Plan {
		return trust.Plan{Current: f.current, Gate: trust.Open}
	}},
}

func newTrustApplyCommand(c *cli) *cobra.Command {
	var (
		phase, until string
		ids          = map[string]*string{"current": new(""), "pending": new(""), "previous": new("")}
		principals   []string
		quota        int
		diffOnly     bool
	)
	cmd := &cobra.Command{
		Use:   "apply --phase PHASE [flags] FILE|-",
		Short: "Print a trust policy as a phase of a rotation leaves it",
		Long: `Print the trust policy as one phase of a rotation leaves it. The document is
treated as an adopted role's: only the given IDs and Countersign's own
statements change, every other byte stays.

  overlap   accept --pending beside --current
  promote   accept --current; --previous until --until only
  retire    the deadline has passed: remove --previous everywhere
  revoke    let nobody in
  restore   undo revoke; --current is the only ID of ours that enters

overlap, promote and retire never lift a Deny of Countersign's. The clock is
never looked at. An ID may be given as @FILE.

With --diff, stdout is not the document but what the phase changes: who gains,
who loses, under which fingerprint, until when.

Exit codes: 0 changed or already right, 2 wrong flags, 3 refused (then nothing
is on stdout).`,
		Example: `countersign trust apply --phase revoke trust.json
countersign trust apply --phase overlap \
  --current @now.txt --pending @next.txt trust.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given := cmd.Flags().Changed
			at := slices.IndexFunc(trustPhases, func(p trustPhase) bool { return p.name == phase })
			if at < 0 {
				return fail(exitInput, "Phases are overlap, promote, retire, revoke and restore.", "--phase is missing or unknown")
			}
			ph := trustPhases[at]
			for _, flag := range []string{"current", "pending", "previous", "until"} {
				needed := slices.Contains(ph.needs, flag)
				switch {
				case needed && !given(flag):
					return fail(exitInput, "It needs "+flagList(ph.needs)+".", "--phase %s needs --%s", phase, flag)
				case given(flag) && !needed && !slices.Contains(ph.takes, flag):
					return fail(exitInput, "It needs "+flagList(ph.needs)+" only.", "--phase %s does not take --%s", phase, flag)
				}
			}
			if given("quota") && quota < 1 {
				return fail(exitInput, "AWS's default is 2048.", "--quota is a number of characters, 1 or more")
			}
			var f trustFlags
			for flag, target := range map[string]*string{"current": &f.current, "pending": &f.pending, "previous": &f.previous.ID} {
				if !given(flag) {
					continue
				}
				var err error
				if *target, err = externalID(flag, *ids[flag]); err != nil {
					return err
				}
				if *target == "" {
					return fail(exitRefused, "External IDs have 2 to 1,224 characters.", "refused: --%s is empty", flag)
				}
			}
			if given("until") {
				var err error
				if f.previous.Until, err = date("until", until); err != nil {
					return err
				}
			}
			doc, err := c.document(args[0])
			if err != nil {
				return err
			}
			plan := ph.plan(f)
			plan.Role, plan.Principals, plan.Quota = trust.Adopted, principals, quota
			after, diff, err := trust.Apply(doc, plan)
			if err != nil {
				return fail(exitRefused, "Nothing was changed.", "%w", err)
			}
			if diffOnly {
				return c.printTrustDiff(trust.Compare(doc, after), diff)
			}
			return c.printTrust(after, diff)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&phase, "phase", "", "overlap, promote, retire, revoke or restore")
	fl.StringVar(ids["current"], "current", "", "the current external ID (or @FILE)")
	fl.StringVar(ids["pending"], "pending", "", "the external ID that comes next (or @FILE)")
	fl.StringVar(ids["previous"], "previous", "", "the external ID that goes (or @FILE)")
	fl.StringVar(&until, "until", "", "until when the previous ID is accepted, RFC 3339")
	fl.StringArrayVar(&principals, "principal", nil, "only statements of this principal (repeatable; default: all)")
	fl.IntVar(&quota, "quota", trust.DefaultQuota, "the account's quota of characters in a trust policy")
	fl.BoolVar(&diffOnly, "diff", false, "print what changes instead of the document")
	return cmd
}

func flagList(flags []string) string {
	if len(flags) == 0 {
		return "no other flag"
	}
	return "--" + strings.Join(flags, ", --")
}

// printTrust prints a document to stdout, byte for byte, and what changed to stderr.
func (c *cli) printTrust(doc *trust.Document, diff trust.Diff) error {
	out := doc.Bytes()
	if isTerminal(c.stdout) && !strings.HasSuffix(string(out), "\n") {
		out = append(out, '\n')
	}
	if _, err := c.stdout.Write(out); err != nil {
		return fmt.Errorf("printing the trust policy: %w", err)
	}
	if c.json {
		return writeJSON(c.stderr, struct {
			Changed bool     `json:"changed"`
			Lines   []string `json:"lines"`
			Drift   []string `json:"drift"`
		}{!diff.Empty(), append([]string{}, diff.Lines...), append([]string{}, diff.Drift...)})
	}
	if diff.Empty() {
		c.talk("already right, nothing changed")
	}
	c.talk(diff.Lines...)
	for _, l := range diff.Drift {
		c.talk("drift: " + l)
	}
	return nil
}
