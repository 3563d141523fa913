package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
)

// longestID is more than the longest external ID that AWS takes.
const longestID = 4 << 10

// issuedID reads an external ID that the provider has issued, for a flag: from stdin ("-") or a file ("@FILE"). No error shows
// it.
func (c *cli) issuedID(flag, from string) (grant.ID, error) {
	in := c.stdin
	switch name, file := strings.CutPrefix(from, "@"); {
	case file:
		f, err := os.Open(name)
		if err != nil {
			return grant.ID{}, fail(exitInput, "", "%s: %w", flag, err)
		}
		defer func() { _ = f.Close() }()
		in = f
	case from != "-":
		return grant.ID{}, fail(exitInput, "Give "+flag+" - and type or pipe it, or "+flag+" @FILE.", "an external ID is not taken from the command line, where others can read it")
	}
	r := bufio.NewReader(io.LimitReader(in, longestID))
	line, err := r.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return grant.ID{}, fail(exitInput, "", "%s: %w", flag, err)
	}
	if rest, _ := io.ReadAll(r); strings.TrimSpace(string(rest)) != "" {
		return grant.ID{}, fail(exitInput, "", "%s takes one line: the external ID, and nothing else", flag)
	}
	id, err := grant.ParseID(strings.TrimSpace(line))
	if err != nil {
		return grant.ID{}, fail(exitInput, "", "%s: %w", flag, err)
	}
	return id, nil
}

// rotateTo starts a rotation to an external ID of the provider's. The ID goes into the secret with the operator's own
// credentials: no API, event or log carries it.
func (c *cli) rotateTo(ctx context.Context, f rotateFlags, name grant.Name) (api.RotateAnswer, error) {
	id, err := c.issuedID("--to", f.to)
	if err != nil {
		return api.RotateAnswer{}, err
	}
	cfg, err := f.config(ctx)
	if err != nil {
		return api.RotateAnswer{}, err
	}
	plan, err := ssm.New(cfg).Plan(ctx, name)
	switch {
	case err != nil:
		return api.RotateAnswer{}, remoteError(fmt.Errorf("reading the plan of %s: %w", name, err))
	case plan.IssuedBy != grant.IssuedByProvider:
		return api.RotateAnswer{}, fail(exitRefused, "Where they are the provider's, set issuedBy: provider in access.yaml and deploy.",
			"Countersign makes the external IDs of %s", name)
	}
	value, err := plan.EncodeValue(id)
	if err != nil {
		return api.RotateAnswer{}, err
	}
	purpose := grant.OnDemand
	if f.Leaked {
		purpose = grant.Cut
	}
	token, err := grant.NewToken(rand.Reader, purpose)
	if err != nil {
		return api.RotateAnswer{}, err
	}
	secrets := secretsmanager.New(cfg)
	if err := secrets.Rotate(ctx, plan.SecretARN, token); err != nil {
		return api.RotateAnswer{}, remoteError(fmt.Errorf("starting a rotation of %s: %w", name, err))
	}
	// The function waits a minute for it.
	if err := secrets.PutVersion(ctx, plan.SecretARN, token, value, grant.StagePending); err != nil {
		return api.RotateAnswer{}, remoteError(fmt.Errorf("storing the external ID of %s: %w", name, err))
	}
	return api.RotateAnswer{Grant: string(name), VersionID: token}, nil
}

// mayRotateTo refuses what the rotation itself would refuse a minute later.
func mayRotateTo(s api.Status, leaked bool) error {
	switch {
	case s.State != api.Open:
		return fail(exitRefused, "countersign show "+s.Grant+" tells.", "grant %s is not open: a rotation opens nothing", s.Grant)
	case leaked:
		return nil
	}
	for _, id := range s.Accepted {
		if id.Unconfirmed || !id.Until.IsZero() {
			return fail(exitRefused, "See that the provider uses the current one, then: countersign confirm "+s.Grant+". If an ID leaked: --leaked.",
				"the previous external ID of %s is still accepted", s.Grant)
		}
	}
	return nil
}
