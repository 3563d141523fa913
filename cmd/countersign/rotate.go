package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

// rotation is what rotate says as JSON.
type rotation struct {
	api.RotateAnswer
	Visible  bool     `json:"visible"` // the new external ID is current
	Accepted []api.ID `json:"accepted,omitempty"`
}

func newRotateCommand(c *cli) *cobra.Command {
	var f rotateFlags
	cmd := &cobra.Command{
		Use:   "rotate [GRANT]",
		Short: "Replace the external ID; --leaked: no overlap",
		Long: `Start a rotation now. The previous external ID stays accepted for the grant's
overlap; with --leaked it ends as soon as the new one is in, and the provider is
out until it has read the new one. Refused while an overlap is still open,
unless --leaked.

Where the provider issues the external IDs (issuedBy: provider), --to - reads
its new one from stdin, --to @FILE from a file. It goes into the secret with
your own credentials.

With --provider or --all many grants are rotated, shards included, at four
writes of IAM a second: a revoke always finds room. The run has a number;
interrupted, the same command with --run NUMBER goes on, and no grant is rotated
twice. What is revoked, expired, not open yet or has no external ID is left out.

Exit codes: 0 the new IDs are in, 1 some failed, 3 refused, 5 started but not
yet in.`,
		Example: `countersign rotate migration --reason "engineer left"
countersign rotate migration --leaked --reason INC-812
countersign rotate vendor --to - < new-id.txt
countersign rotate --provider hestio --leaked --reason INC-812`,
		Args: cobra.MaximumNArgs(1),
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.Leaked, "leaked", false, "the ID is in the wrong hands: the old one ends at once")
	fl.StringVar(&f.Reason, "reason", "", "why, for the log: up to 200 characters")
	fl.DurationVar(&f.patience, "wait", 3*time.Minute, "how long to wait until a new ID is in")
	fl.StringVar(&f.to, "to", "", "an ID that the provider issued: - for stdin, or @FILE")
	fl.BoolVar(&f.all, "all", false, "every grant of the stack and its shards")
	fl.StringVar(&f.provider, "provider", "", "every grant of a provider")
	fl.StringVar(&f.Run, "run", "", "go on with the run of this number")
	fl.BoolVarP(&f.yes, "yes", "y", false, "don't ask before many IDs are cut")
	addRate(cmd, &f.rate, 4)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		many, err := f.target(args)
		if err != nil {
			return err
		}
		if many && f.to != "" {
			return fail(exitInput, "", "--to is for one grant")
		}
		if many {
			return c.rotateMany(ctx, f)
		}
		name, client, err := f.grantAPI(ctx, args)
		if err != nil {
			return err
		}
		p := c.progress()
		answer, err := c.startRotation(ctx, client, name, f)
		if err != nil {
			return err
		}
		p.step("rotation started: version %s", answer.VersionID)
		result := rotation{RotateAnswer: answer}
		waitErr := c.awaitVersion(ctx, client, name, &result, p, f.patience)
		if c.json {
			if err := writeJSON(c.stdout, result); err != nil {
				return err
			}
			return waitErr
		}
		if waitErr == nil {
			_, waitErr = fmt.Fprintf(c.stdout, "%s is rotated: %s\n", name, printable(acceptedText(result.Accepted, c.now())))
		}
		return waitErr
	}
	return cmd
}

// startRotation asks the API, or hands over the external ID that the provider has issued.
func (c *cli) startRotation(ctx context.Context, client *apigateway.Client, name grant.Name, f rotateFlags) (api.RotateAnswer, error) {
	if f.to == "" {
		answer, err := client.Rotate(ctx, name, f.RotateRequest)
		if err != nil {
			return answer, remoteError(fmt.Errorf("rotating %s: %w", name, err))
		}
		return answer, nil
	}
	s, err := client.Grant(ctx, name)
	if err != nil {
		return api.RotateAnswer{}, remoteError(fmt.Errorf("looking at %s: %w", name, err))
	}
	if err := mayRotateTo(s, f.Leaked); err != nil {
		return api.RotateAnswer{}, err
	}
	return c.rotateTo(ctx, f, name)
}

// awaitVersion looks once a second until the new version is current.
func (c *cli) awaitVersion(ctx context.Context, client *apigateway.Client, name grant.Name, r *rotation, p progress, patience time.Duration) error {
	until := p.start.Add(patience)
	for patience > 0 {
		s, err := client.Grant(ctx, name)
		switch {
		case err == nil && s.VersionID == r.VersionID:
			r.Visible, r.Accepted = true, s.Accepted
			p.step("the new external ID is in")
			return nil
		case err != nil && !errors.Is(err, grant.ErrUnavailable) && !errors.Is(err, grant.ErrThrottled):
			return remoteError(fmt.Errorf("looking whether %s is rotated: %w", name, err))
		}
		if c.now().After(until) {
			break
		}
		if err := c.wait(ctx, time.Second); err != nil {
			return remoteError(err)
		}
	}
	return fail(exitNotSeen, fmt.Sprintf("countersign show %s tells when it is; the log group of countersign-rotate tells why not.", name),
		"the rotation of %s is accepted and not yet seen", name)
}

// acceptedText says which IDs are accepted now, by fingerprint.
func acceptedText(ids []api.ID, now time.Time) string {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += "; "
		}
		text += id.Fingerprint
		switch {
		case id.Unconfirmed:
			text += " until somebody confirms"
		case !id.Until.IsZero():
			text += " until " + clock(id.Until, now)
		}
	}
	if text == "" {
		return "nothing is accepted"
	}
	return text
}
