package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/adopt"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/grant"
)

// handOver stores the external ID that the role has in the grant's secret, once the grant is deployed. Which one it is follows
// from the trust policy, or from --id where there are several; once it is stored the secret tells.
func (c *cli) handOver(ctx context.Context, cfg aws.Config, f adoptFlags, plan grant.Plan, live adopt.Live, q adopt.Question) error {
	secrets := secretsmanager.New(cfg)
	a := adoption{Grant: string(plan.Grant), Provider: plan.Provider, RoleARN: plan.RoleARN}
	if q.ID.IsZero() && !live.Released() {
		current, err := currentID(ctx, secrets, plan)
		if err != nil {
			return remoteError(err)
		}
		if current.AcceptedBy(live.Trust) { // rotated since, perhaps: its other IDs are nobody's question any more
			q.ID, q.WholeRole = current, true
			q.FromStack = live.Tags["aws:cloudformation:stack-name"]
		}
	}
	q.Deployed = true
	a.Inspection = adopt.Inspect(live, q, c.now())
	if len(a.Refusals) > 0 {
		a.Stage = "refused"
		return c.refuseAdoption(a)
	}
	if a.Inspection.Provider != plan.ProviderAccount {
		return fail(exitRefused, "Put the grant under the provider of account "+a.Inspection.Provider+", deploy, then run this again.",
			"grant %s is deployed for %s, account %s, and who enters the role is of account %s", plan.Grant, plan.Provider, plan.ProviderAccount, a.Inspection.Provider)
	}
	if f.dryRun {
		a.Stage, a.Next = "ready", "The grant is deployed. Without --dry-run its external ID goes into the secret."
		return c.printAdoption(a, f)
	}
	handed, err := adopt.Hand{Secrets: secrets, Roles: iam.New(cfg)}.Over(ctx, plan, live, a.ExternalID)
	switch {
	case errors.Is(err, grant.ErrBusy):
		return fail(exitRefused, "Try again in some minutes.", "a rotation of %s is under way", plan.Grant)
	case errors.Is(err, grant.ErrDrift):
		return fail(exitRefused, fmt.Sprintf("countersign show %s tells how it stands.", plan.Grant), "%w", err)
	case err != nil:
		return remoteError(fmt.Errorf("handing over the external ID of %s: %w", plan.Grant, err))
	}
	a.Handed, a.Stage = &handed, "handedOver"
	a.Next = fmt.Sprintf("Nothing changed for %s. See it: countersign show %s. First new ID: countersign rotate %s, or by the schedule.", plan.Provider, plan.Grant, plan.Grant)
	if len(handed.Done) == 0 {
		a.Stage, a.Next = "adopted", fmt.Sprintf("There was nothing left to do. To give it back: countersign release %s.", plan.Grant)
	}
	if live.Closure().Closed() {
		a.Next = fmt.Sprintf("It is revoked, and stays so: countersign restore %s opens it with a new ID, countersign release %s --open gives it back.", plan.Grant, plan.Grant)
	}
	if c.json {
		return writeJSON(c.stdout, a)
	}
	words := map[string]string{
		"handedOver": "is adopted: %s enters with %s as before, and Countersign rotates it from now on",
		"adopted":    "is adopted already: %s enters with %s",
	}
	if live.Closure().Closed() {
		words = map[string]string{
			"handedOver": "is adopted, and revoked: %s stays out, with %s",
			"adopted":    "is adopted already, and revoked: %s stays out, with %s",
		}
	}
	if _, err := fmt.Fprintf(c.stdout, "%s "+words[a.Stage]+"\n", plan.Grant, plan.Provider, a.ExternalID.Fingerprint()); err != nil {
		return err
	}
	c.tell("%s", flat(a.Next))
	return nil
}

// currentID is the grant's current external ID, the zero one where none was handed over yet.
func currentID(ctx context.Context, secrets *secretsmanager.Client, plan grant.Plan) (grant.ID, error) {
	secret, err := secrets.Describe(ctx, plan.SecretARN)
	if err != nil {
		return grant.ID{}, fmt.Errorf("describing the secret of %s: %w", plan.Grant, err)
	}
	v, err := secrets.Version(ctx, plan.SecretARN, secret.At(grant.StageCurrent))
	if err != nil {
		return grant.ID{}, fmt.Errorf("reading the secret of %s: %w", plan.Grant, err)
	}
	id, err := plan.DecodeVersion(v)
	if errors.Is(err, grant.ErrNotFound) || errors.Is(err, grant.ErrOtherRole) {
		return grant.ID{}, nil
	}
	return id, err
}
