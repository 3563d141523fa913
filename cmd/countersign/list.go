package main

import (
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/aws/eks"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/s3"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/customers"
)

func newListCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List customers, or what is where you are",
		Long:    "List the registry's customers, or what is in the account where you are: as a table, or with --json.",
		Example: "countersign list customers\ncountersign list s3bucket",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.newListCustomersCommand())
	c.addListing(cmd, "iam-role", "IAM roles: those of others' begin with what they let in", "iam:ListRoles", func(ctx context.Context, cfg aws.Config) (listing, error) {
		roles, err := iam.New(cfg).Roles(ctx, "/")
		l := listing{head: []string{"ROLE", "PATH", "CREATED"}}
		for _, r := range roles {
			l.add(map[string]string{"name": r.Name, "path": r.Path, "arn": r.ARN, "created": r.Created.UTC().Format(time.RFC3339)}, r.Name, r.Path, r.Created.UTC().Format(time.DateOnly))
		}
		return l, err
	})
	c.addListing(cmd, "s3bucket", "S3 buckets", "s3:ListAllMyBuckets", func(ctx context.Context, cfg aws.Config) (listing, error) {
		buckets, err := s3.New(cfg).Buckets(ctx)
		l := listing{head: []string{"BUCKET", "CREATED"}}
		for _, b := range buckets {
			l.add(map[string]string{"name": b.Name, "created": b.Created.UTC().Format(time.RFC3339)}, b.Name, b.Created.UTC().Format(time.DateOnly))
		}
		return l, err
	})
	c.addListing(cmd, "eks-clusters", "EKS clusters of the Region", "eks:ListClusters", func(ctx context.Context, cfg aws.Config) (listing, error) {
		clusters, err := eks.New(cfg).Clusters(ctx)
		l := listing{head: []string{"CLUSTER", "REGION"}}
		for _, name := range clusters {
			l.add(map[string]string{"name": name, "region": cfg.Region}, name, cfg.Region)
		}
		return l, err
	})
	return cmd
}

// listing is a table, and the same as JSON.
type listing struct {
	head  []string
	rows  [][]string
	items []map[string]string
}

func (l *listing) add(item map[string]string, cells ...string) {
	for i := range cells {
		cells[i] = cmp.Or(printable(cells[i]), "-")
	}
	l.rows, l.items = append(l.rows, cells), append(l.items, item)
}

// addListing adds a command that lists what is in the account where one is.
func (c *cli) addListing(under *cobra.Command, name, what, action string, list func(context.Context, aws.Config) (listing, error)) {
	var f wayFlags
	cmd := &cobra.Command{Use: name, Short: what, Example: "countersign list " + name, Args: cobra.NoArgs}
	f.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		cfg, _, err := c.here(ctx, f)
		if err != nil {
			return err
		}
		l, err := list(ctx, cfg)
		if err != nil {
			who := "you"
			if account, arn, err := sts.New(cfg).Caller(ctx); err == nil {
				who = printable(roleOf(arn)) + " in " + account
			}
			return denial(err, action, who)
		}
		if c.json {
			if l.items == nil {
				l.items = []map[string]string{}
			}
			return writeJSON(c.stdout, l.items)
		}
		out := table(append([][]string{l.head}, l.rows...))
		if len(l.rows) == 0 {
			out = "None.\n"
		}
		_, err = io.WriteString(c.stdout, out)
		return err
	}
	under.AddCommand(cmd)
}

// roleOf is the role or user of a caller's ARN.
func roleOf(arn string) string {
	name := arn[strings.LastIndexByte(arn, ':')+1:]
	if rest, ok := strings.CutPrefix(name, "assumed-role/"); ok {
		name, _, _ = strings.Cut(rest, "/")
	}
	return name
}

func (c *cli) newListCustomersCommand() *cobra.Command {
	var f wayFlags
	var anew bool
	cmd := &cobra.Command{
		Use:   "customers [PART]",
		Short: "Customers that may be entered, and those that may not",
		Long: `List the registry's customers, those alone whose name, account or grant holds
PART. What is shown is a copy of at most five minutes; --refresh reads the
registry. An entry always does.`,
		Example: "countersign list customers\ncountersign list customers acme --json",
		Args:    cobra.MaximumNArgs(1),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&anew, "refresh", false, "read the registry now")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		b, err := c.readingBook(cmd.Context(), f, anew)
		if err != nil {
			return err
		}
		rows, at, err := b.Rows(cmd.Context(), anew)
		if err != nil && rows == nil {
			return fail(exitFailed, "", "%w", err)
		}
		if err != nil {
			c.tell("The registry can't be read (%s); this is a copy of %s.\n", printable(err.Error()), clock(at, c.now()))
		}
		shown := []customers.Customer{}
		for _, r := range rows {
			if len(args) == 0 || strings.Contains(r.Name, args[0]) || strings.Contains(r.Account, args[0]) || strings.Contains(r.Grant, args[0]) {
				shown = append(shown, r)
			}
		}
		if c.json {
			return writeJSON(c.stdout, shown)
		}
		_, err = io.WriteString(c.stdout, customerTable(shown, len(rows), c.now()))
		return err
	}
	return cmd
}

// readingBook is the registry, without asking for credentials where a fresh copy is at hand.
func (c *cli) readingBook(ctx context.Context, f wayFlags, anew bool) (*book, error) {
	b := c.closedBook(f.customers)
	if _, at := b.read(); b.Reader != nil || !anew && c.now().Sub(at) < freshCopy {
		return b, nil
	}
	w, err := c.way(ctx, f, nil)
	if err != nil {
		return nil, err
	}
	return w.book, nil
}
