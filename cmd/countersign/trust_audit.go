package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/trust"
)

func newTrustAuditCommand(c *cli) *cobra.Command {
	var account string
	cmd := &cobra.Command{
		Use:   "audit [--account ID] FILE|-",
		Short: "Say what a security reviewer would object to",
		Long: `Say what a security reviewer would object to in a trust policy: severity,
statement, problem and fix, gravest first. External IDs show as fingerprints.

A trust policy does not say whose role it belongs to. Without --account every
account in it counts as foreign and should give an external ID.

Exit codes: 0 nothing of severity high or critical, 2 wrong flags, 3 something
of severity high or critical, or no trust policy.`,
		Example: `countersign trust audit --account 444455556666 trust.json
aws iam get-role --role-name NAME --output text \
  --query 'Role.AssumeRolePolicyDocument' | countersign trust audit -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("account") && (len(account) != 12 || strings.Trim(account, "0123456789") != "") {
				return fail(exitInput, "Give the account that the role is in.", "--account is not an account's 12 digits")
			}
			doc, err := c.document(args[0])
			if err != nil {
				return err
			}
			return c.printFindings(trust.Audit(doc, trust.AuditOptions{Account: account}))
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "the role's own account, 12 digits")
	return cmd
}

// printFindings prints an audit to stdout; from severity high on it fails.
func (c *cli) printFindings(findings []trust.Finding) error {
	grave := 0
	var b block
	for _, f := range findings {
		if f.Severity >= trust.SeverityHigh {
			grave++
		}
		where := f.Statement
		if where == "" {
			where = "the document"
		}
		b.head(f.Severity.String(), where+": "+f.Problem)
		b.row("", "Fix: "+f.Fix)
	}
	if c.json {
		if err := writeJSON(c.stdout, struct {
			Findings []trust.Finding `json:"findings"`
		}{append([]trust.Finding{}, findings...)}); err != nil {
			return fmt.Errorf("printing the findings: %w", err)
		}
	} else if _, err := fmt.Fprint(c.stdout, b.String()); err != nil {
		return fmt.Errorf("printing the findings: %w", err)
	}
	if grave > 0 {
		return fail(exitRefused, "Mend what is high or critical first.", "%s of %s high or critical", count(grave, "finding"), fmt.Sprint(len(findings)))
	}
	if len(findings) == 0 && !c.json {
		c.talk("nothing found")
	}
	return nil
}
