package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/trust"
)

func newTrustEvaluateCommand(c *cli) *cobra.Command {
	var (
		principal, id, at, action string
		context                   []string
	)
	cmd := &cobra.Command{
		Use:   "evaluate --principal ARN [flags] FILE|-",
		Short: "Say whether a trust policy lets a caller in",
		Long: `Say whether a trust policy lets a caller in: one word on stdout, allow, deny
or unknown, and the reason, statement by statement, on stderr.

aws:PrincipalArn (for a session its role's) and aws:PrincipalAccount follow
from --principal, aws:CurrentTime and aws:EpochTime from --at, by default now.
A session does not tell its role's path: give --context aws:PrincipalArn=ARN
where the policy names one. Every other condition key that is not given is
absent. Only the role's side is judged: a caller of another account also needs
its own account's permission.

Exit codes: 0 whatever the answer, 2 wrong flags, 3 no trust policy.`,
		Example: `countersign trust evaluate --external-id @now.txt \
  --principal arn:aws:iam::111122223333:role/jdoe trust.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := trust.Request{Principal: principal, Action: action, At: c.now(), Context: map[string][]string{}}
			if principal == "" {
				return fail(exitInput, "Give the caller's ARN.", "--principal is missing")
			}
			if cmd.Flags().Changed("at") {
				var err error
				if r.At, err = date("at", at); err != nil {
					return err
				}
			}
			for _, pair := range context {
				key, value, ok := strings.Cut(pair, "=")
				if !ok || key == "" {
					return fail(exitInput, "Write it as aws:PrincipalOrgID=o-example.", "--context is not KEY=VALUE")
				}
				key = strings.ToLower(key) // condition keys know no case
				r.Context[key] = append(r.Context[key], value)
			}
			if cmd.Flags().Changed("external-id") {
				value, err := externalID("external-id", id)
				if err != nil {
					return err
				}
				r.Context["sts:externalid"] = []string{value}
			}
			doc, err := c.document(args[0])
			if err != nil {
				return err
			}
			v := doc.Evaluate(r)
			if c.json {
				return writeJSON(c.stdout, struct {
					Verdict trust.Effect `json:"verdict"`
					Why     []string     `json:"why"`
				}{v.Effect, v.Why})
			}
			if _, err := fmt.Fprintln(c.stdout, v.Effect); err != nil {
				return fmt.Errorf("printing the verdict: %w", err)
			}
			c.talk(v.Why...)
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&principal, "principal", "", "the caller's ARN")
	fl.StringVar(&id, "external-id", "", "the external ID that the caller gives (or @FILE)")
	fl.StringVar(&at, "at", "", "when the call happens, RFC 3339 (default now)")
	fl.StringArrayVar(&context, "context", nil, "a condition key of the call, KEY=VALUE (repeatable)")
	fl.StringVar(&action, "action", trust.ActionAssumeRole, "what is called, or sts:SetSourceIdentity")
	return cmd
}
