package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

func newPlanCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Before a deploy: say who gains and who loses",
		Long: `Compare access.yaml with what stands in the account, and say whom a deploy
lets in, whom it keeps out, and what else of a grant it changes. It only reads,
with your own credentials: stack outputs, plans (SSM), roles and their policies.
External IDs appear as fingerprints. What a deploy deletes is named, with what
goes with it; and what it would refuse: to remove a grant that is revoked.

Not compared: boundary, maxSession, mayAssumeRoles, mayShareResources, pickUp.
cdk diff shows them, and every resource.

Exit codes: 0 read and compared, 2 access.yaml is wrong, 3 a change can't be
followed, 4 denied by AWS; with --exit-code 5 if a deploy changes something.`,
		Example: `countersign plan
countersign plan -f prod/access.yaml --exit-code --json`,
		Args: cobra.NoArgs,
	}
	f.add(cmd)
	file := fileFlag(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 5 if a deploy changes something")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		a, err := c.load(*file)
		if err != nil {
			return err
		}
		c.warn(a.Warnings)
		cfg, err := f.config(ctx)
		if err != nil {
			return err
		}
		stands, err := c.standing(ctx, f, cfg, a)
		if err != nil {
			return remoteError(err)
		}
		return c.printPlan(compare(a, f.stack, stands, partitionIn(cfg.Region)), exitCode)
	}
	return cmd
}

// standing is what of a grant is deployed.
type standing struct {
	stack    string
	plan     grant.Plan
	doc      *trust.Document
	closed   bool
	released bool   // an adopted role that was given back
	bus      string // the provider's own, which its events are handed to; empty: none
	policies []attached
}

// attached is a managed policy of a role. Of one that the stack made from a file, file and document are set.
type attached struct {
	arn, file string
	document  []byte
	pickUp    bool // the stack's own, by which a session reads its grant's secret
}

// standing reads every deployed grant, in the order of the stacks. Where nothing is deployed there is none.
func (c *cli) standing(ctx context.Context, f remoteFlags, cfg aws.Config, a *access.Access) ([]standing, error) {
	var out []standing
	var failed error
	err := f.stacks(ctx, cfg, func(s stack) bool {
		for _, text := range s.grants() {
			var g standing
			if g, failed = readStanding(ctx, cfg, grant.Name(text), a); failed != nil {
				return false
			}
			g.stack, g.bus = s.name, s.outputs["ForwardTo"+access.Logical(grant.Name(g.plan.Provider))]
			out = append(out, g)
		}
		return true
	})
	if errors.Is(err, errNoStack) {
		c.complain(fmt.Sprintf("There is no stack %s in %s: all is new. --stack and --region say where it is deployed.", f.stack, cfg.Region))
		return nil, nil
	}
	return out, errors.Join(err, failed)
}

func readStanding(ctx context.Context, cfg aws.Config, name grant.Name, a *access.Access) (standing, error) {
	var s standing
	var err error
	if s.plan, err = ssm.New(cfg).Plan(ctx, name); err != nil {
		return s, fmt.Errorf("reading the plan of %s: %w", name, err)
	}
	client, roleName := iam.New(cfg), s.plan.RoleName()
	role, err := client.Role(ctx, roleName)
	if err != nil {
		return s, fmt.Errorf("reading trust of %s: %w", roleName, err)
	}
	if s.doc, err = trust.Parse(role.Trust); err != nil {
		return s, fmt.Errorf("parsing trust of %s: %w", roleName, err)
	}
	inline, err := client.InlinePolicy(ctx, roleName, grant.RevocationPolicy)
	if err != nil && !errors.Is(err, grant.ErrNotFound) {
		return s, fmt.Errorf("reading revocation of %s: %w", name, err)
	}
	s.closed = grant.ClosureOf(inline, s.doc, role.Tags).Closed()
	s.released = s.plan.Adopted && grant.ReadRevocation(inline).Released
	e, stays := a.Find(name)
	if !stays {
		return s, nil
	}
	s.policies, err = readPolicies(ctx, client, s.plan, e.Grant.Permissions)
	return s, err
}

// readPolicies reads which managed policies a role has, and of those that the stack made from files, what they say. Those
// that access.yaml names by ARN aren't looked into.
func readPolicies(ctx context.Context, client *iam.Client, p grant.Plan, wanted []access.Permission) ([]attached, error) {
	arns, err := client.Attached(ctx, p.RoleName())
	if err != nil {
		return nil, fmt.Errorf("reading the policies of %s: %w", p.RoleName(), err)
	}
	named := map[string]bool{}
	for _, w := range wanted {
		named[w.ARN] = true
	}
	var out []attached
	for _, arn := range arns {
		policy := attached{arn: arn}
		if strings.Contains(arn, ":iam::"+p.Account+":") && !named[arn] {
			made, err := client.Policy(ctx, arn)
			if err != nil {
				return nil, fmt.Errorf("reading policy %s: %w", arn, err)
			}
			policy.pickUp = made.Description == grant.PickUpDescription
			if policy.file = grant.PolicyFile(made.Description, p.Grant); policy.file != "" {
				if policy.document, err = client.PolicyDocument(ctx, arn, made.Version); err != nil {
					return nil, fmt.Errorf("reading policy %s: %w", arn, err)
				}
			}
		}
		out = append(out, policy)
	}
	return out, nil
}

// partitionIn is the partition that a Region belongs to.
func partitionIn(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// printPlan prints what a deploy changes, then says by the exit code whether it can be followed.
func (c *cli) printPlan(changes []change, exitCode bool) error {
	n := map[kind]int{}
	problems := 0
	for _, g := range changes {
		n[g.Kind]++
		if g.Problem != "" {
			problems++
		}
	}
	if c.json {
		if err := writeJSON(c.stdout, struct {
			Grants []change `json:"grants"`
		}{list(changes)}); err != nil {
			return err
		}
	} else {
		var out strings.Builder
		for _, g := range changes {
			out.WriteString(g.text())
		}
		fmt.Fprintf(&out, "%d new, %d removed, %d changed, %d unchanged.\n", n[added], n[removed], n[changed], n[unchanged])
		if _, err := io.WriteString(c.stdout, out.String()); err != nil {
			return err
		}
		c.complain("A deploy opens no revoked grant and replaces no external ID that is in.")
	}
	switch differs := len(changes) - n[unchanged]; {
	case problems > 0:
		return fail(exitRefused, "Correct access.yaml, or mend what the line says.", "%s can't be followed", count(problems, "grant"))
	case exitCode && differs > 0:
		return fail(exitNotSeen, "", "a deploy changes %s", count(differs, "grant"))
	}
	return nil
}
