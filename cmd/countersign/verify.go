package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/visit"
	"github.com/countersign/countersign/provider"
)

type verifyFlags struct {
	wayFlags
	receipt            string
	confirm, byAccount bool
	patience, retireIn time.Duration
}

func newVerifyCommand(c *cli) *cobra.Command {
	f := verifyFlags{patience: 2 * time.Minute, retireIn: 15 * time.Minute}
	cmd := &cobra.Command{
		Use:   "verify CUSTOMER",
		Short: "Prove that a role opens to its ID only",
		Long: `Prove a customer's set-up, as the provider: the current external ID opens the
role; no ID, a random one and the one before don't, and the one before opens no
session that confirms. It waits until IAM shows a new ID. A role that opens
without an ID is the customer's misconfiguration, and is reported as such.

Role and secret are those that were accepted in the registry, and the secret is
read with your own credentials. In a file *.json of package provider or of the
sandbox stands the external ID too: there the secret is read in a session, as a
backend reads it. A fixed external ID is your own secret's, and is proven as well.

It changes nothing without --confirm, which tells the customer that the current
ID is in use, and stores it where IDs are stored: then the one before ends after
--retire-in.

The receipt is the provider's own statement, and says so; it holds no external
ID. It goes to stdout with --json, or into a file with --receipt.

Exit codes: 0 all is as it should be, 3 the role opens without its external ID,
or what was read is not what was accepted, 4 AWS refuses every ID that is known,
1 anything else.`,
		Example: `countersign verify acme
countersign verify acme --confirm --retire-in 0s --receipt acme.json
countersign verify acme --customers customers.json --confirm`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeCustomers(&f.wayFlags),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.receipt, "receipt", "", "file to write the receipt into")
	cmd.Flags().BoolVar(&f.confirm, "confirm", false, "confirm the current ID, and store it")
	cmd.Flags().BoolVar(&f.byAccount, "by-account", false, "read the secret with your own credentials where no session can")
	cmd.Flags().DurationVar(&f.patience, "wait", f.patience, "how long to wait for IAM to show a new ID")
	cmd.Flags().DurationVar(&f.retireIn, "retire-in", f.retireIn, "how long the ID before stays once confirmed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.verify(cmd.Context(), f, args[0]) }
	return cmd
}

func (c *cli) verify(ctx context.Context, f verifyFlags, word string) error {
	if c.env(visit.Variable) != "" {
		return fail(exitRefused, "Leave this shell first: exit", "this shell is in a customer's account")
	}
	cfg, err := c.base(ctx, f.wayFlags)
	if err != nil {
		return err
	}
	if f.retireIn == 0 {
		f.retireIn = -1
	}
	if f.patience <= 0 {
		f.patience = time.Nanosecond
	}
	verify, err := c.verifier(ctx, cfg, f, word)
	if err != nil {
		return err
	}
	p := c.progress()
	receipt, err := verify(ctx, provider.VerifyOptions{
		Confirm: f.confirm, Patience: f.patience, Wait: c.wait, Progress: func(line string) { p.step("%s", line) },
	})
	if _, refused := errors.AsType[*entry.Refusal](err); refused {
		return entryError(err)
	}
	if told := c.tellReceipt(receipt, f.receipt, err); told != nil {
		return errors.Join(told, err)
	}
	return verifyError(err)
}

// verifier proves a customer's set-up. The external ID is kept in a file of package provider's, or, where the registry says who it
// is, nowhere; a fixed one in the provider's own secret.
func (c *cli) verifier(ctx context.Context, cfg aws.Config, f verifyFlags, word string) (func(context.Context, provider.VerifyOptions) (provider.Receipt, error), error) {
	options := provider.Options{SessionName: "countersign-verify", ByAccount: f.byAccount, RetireIn: f.retireIn, Now: c.now}
	if named := c.registryName(f.customers); strings.HasSuffix(named, ".json") {
		row, err := customersFile(named).Get(ctx, word)
		if err != nil || row.Kind == customers.KindCountersign {
			file := provider.OpenFile(named)
			customer, err := file.Customer(word)
			if err != nil {
				return nil, fail(exitInput, "--customers names the file; docs/for-saas.md says what stands in it.", "%w", err)
			}
			client := provider.New(cfg, file, options)
			return func(ctx context.Context, o provider.VerifyOptions) (provider.Receipt, error) {
				return client.Verify(ctx, customer, o)
			}, nil
		}
	}
	b := c.openBook(cfg, f.customers)
	t, err := c.find(ctx, wayIn{book: b}, word)
	if err != nil {
		return nil, err
	}
	if t.name == "" {
		return nil, fail(exitInput, "countersign list customers shows all of them.", "no customer has the role %s: nobody said what it is to be held to", printable(word))
	}
	store := &provider.Memory{}
	options.ByAccount = true
	way := c.wayFrom(cfg, b, provider.New(cfg, store, options))
	return func(ctx context.Context, o provider.VerifyOptions) (provider.Receipt, error) {
			return way.Verify(ctx, t.name, o)
		},
		store.Save(ctx, t.name, provider.State{})
}

// verifyError gives what Verify found its exit code and what to try.
func verifyError(err error) error {
	no := (*provider.Refused)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fail(exitFailed, "Interrupted: run it again; what was confirmed stays so.", "%w", err)
	case errors.Is(err, provider.ErrOpen):
		return fail(exitRefused, "Don't use this role. Ask the customer to mend its trust policy: this is the customer's misconfiguration.", "%w", err)
	case errors.Is(err, provider.ErrNotAccepted):
		return fail(exitRefused, "Nothing was done with it. Ask the customer what changed.", "%w", err)
	case errors.Is(err, provider.ErrDenied):
		return fail(exitDenied, "The customer revoked the access, or rotated while nobody looked: try --by-account, or ask the customer.", "%w", err)
	case errors.Is(err, provider.ErrUnread):
		return fail(exitDenied, "The customer revoked the access, or restored it minutes ago; or its pickUp doesn't let you read (session: in the role, account: --by-account); or you are in none of its teams.", "%w", err)
	case errors.Is(err, provider.ErrOlder):
		return fail(exitFailed, "A rotation came in between: run it again.", "%w", err)
	case errors.Is(err, provider.ErrTooSoon):
		return fail(exitFailed, "Run it again in a minute.", "%w", err)
	case errors.As(err, &no):
		return fail(exitRefused, cmp.Or(sentence(no.Next), "The ID works. Ask the customer whether its grant lets you confirm, and whether it has revoked it."), "%w", err)
	}
	return fail(exitFailed, "", "%w", err)
}

// tellReceipt prints what was found, and writes the receipt where it is wanted.
func (c *cli) tellReceipt(r provider.Receipt, file string, failed error) error {
	line, err := r.JSON()
	if err != nil {
		return err
	}
	if file != "" && r.Form != "" {
		if err := os.WriteFile(file, line, 0o600); err != nil {
			return fail(exitInput, "", "writing the receipt: %w", err)
		}
	}
	if c.json {
		_, err := c.stdout.Write(line)
		return err
	}
	_, err = io.WriteString(c.stdout, receiptText(r, failed))
	return err
}

// receiptText is a receipt for people. What failed is told elsewhere; it has no closing line.
func receiptText(r provider.Receipt, failed error) string {
	if len(r.Checks) == 0 {
		return ""
	}
	rows, before := [][]string{{"TRIED", "AWS", ""}}, "" // what the ID before does
	for _, check := range r.Checks {
		verdict, good := "refuses it", "ok"
		if check.Opens {
			verdict = "lets it in"
		}
		if !check.Good {
			good = "WRONG"
		}
		if check.Name == provider.CheckRetired {
			before = verdict
		}
		rows = append(rows, []string{string(check.Name), verdict, good})
	}
	out := table(rows)
	if failed != nil {
		return out
	}
	b := block{}
	switch {
	case r.Confirmed && before != "" && !r.RetireAt.IsZero():
		b.wrapFlat(fmt.Sprintf("Confirmed version %s. The ID before ends at %s.", r.VersionID, r.RetireAt.Format(time.RFC3339)))
	case r.Confirmed:
		b.wrapFlat("Confirmed version " + r.VersionID + ".")
	case before == "lets it in":
		b.wrapFlat("Nothing was changed: --confirm confirms the current ID, so that the one before ends.")
	case r.VersionID == "":
		b.wrapFlat("Nothing was changed. This external ID is fixed: whoever has learned it keeps it.")
	default:
		b.wrapFlat("Nothing was changed: --confirm confirms the current ID.")
	}
	return out + b.String()
}
