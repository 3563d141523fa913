package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/aws/cloudwatch"
	"github.com/countersign/countersign/internal/aws/sesv2"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/doctor"
	"github.com/countersign/countersign/internal/grant"
)

// diagnosis is the answer of doctor.
type diagnosis struct {
	Region   string           `json:"region"`
	Findings []doctor.Finding `json:"findings"`
	Failed   int              `json:"failed"`
}

func newDoctorCommand(c *cli) *cobra.Command {
	var f remoteFlags
	var mailFrom, dns, registry string
	var asProvider bool
	cmd := &cobra.Command{
		Use:   "doctor [CUSTOMER]",
		Short: "See what keeps it, and its mails, from working",
		Long: `See what keeps Countersign from working in an account, above all what keeps
its mails from arriving, and say what to try next: credentials and clock, the
stack, SES's sandbox, a paused or unverified sender, DKIM, SPF and DMARC in the
DNS, the API, alarms, dead letters. It only reads, with your own credentials,
and needs nothing deployed: then it looks at what there is.

The sender is the deployed stack's, or mailFrom of access.yaml, or --mail-from.

With --provider, or a customer's name, it looks at what keeps you from entering
customers: your credentials and clock, the registry, kept sessions, profiles, and
whether that customer's role opens.

Exit codes: 0 nothing fails (look at what says warn), 1 something does.`,
		Example: `countersign doctor
countersign doctor --mail-from access@example.com
countersign doctor --region eu-west-1 --json
countersign doctor --provider acme`,
		Args: cobra.MaximumNArgs(1),
	}
	f.add(cmd)
	file := fileFlag(cmd)
	cmd.Flags().StringVar(&mailFrom, "mail-from", "", "sender to look at, where none is deployed")
	cmd.Flags().StringVar(&dns, "dns", "", "DNS server to ask, as 1.1.1.1:53, instead of this machine's")
	cmd.Flags().BoolVar(&asProvider, "provider", false, "look at what keeps you from entering customers")
	cmd.Flags().StringVar(&registry, "customers", "", "registry of customers, with --provider")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var d diagnosis
		var err error
		if asProvider || len(args) > 0 {
			d, err = c.examineProvider(cmd.Context(), wayFlags{customers: registry, profile: f.profile, region: f.region}, strings.Join(args, ""))
		} else {
			var p *doctor.Patient
			if p, err = c.patient(cmd.Context(), f, *file, cmd.Flags().Changed("file")); err == nil {
				if mailFrom != "" {
					p.MailFrom = mailFrom
				}
				p.DNS = resolver(dns)
				d = diagnosis{Region: p.Region, Findings: p.Examine(cmd.Context())}
			}
		}
		if err != nil {
			return err
		}
		d.Failed = doctor.Failed(d.Findings)
		if c.json {
			err = writeJSON(c.stdout, d)
		} else {
			_, err = io.WriteString(c.stdout, d.text())
		}
		if err == nil && d.Failed > 0 {
			err = fail(exitFailed, "", "%d of %s failed", d.Failed, count(len(d.Findings), "check"))
		}
		return err
	}
	return cmd
}

// patient is the account that the flags name, and what access.yaml says of mail. That file may be missing unless it was named.
func (c *cli) patient(ctx context.Context, f remoteFlags, file string, named bool) (*doctor.Patient, error) {
	cfg, err := f.config(ctx)
	if err != nil {
		return nil, err
	}
	p := &doctor.Patient{AWS: f.account(cfg), Region: cfg.Region, Version: version, Now: c.now}
	if _, err := os.Stat(file); !named && errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	a, err := c.load(file)
	if err != nil {
		return nil, err
	}
	p.MailFrom, p.Recipients = a.MailFrom, recipients(a)
	return p, nil
}

func recipients(a *access.Access) (out []doctor.Recipient) {
	for _, e := range a.Entries() {
		for i, to := range e.Grant.Notify.By(grant.Mail) {
			out = append(out, doctor.Recipient{Grant: string(e.Grant.Name), Name: fmt.Sprintf("mail %d", i+1), Address: to.Address})
		}
	}
	return out
}

// account is how the account is asked.
func (f remoteFlags) account(cfg aws.Config) doctor.AWS {
	mail, alarms := sesv2.New(cfg), cloudwatch.New(cfg)
	return doctor.AWS{
		Who: func(ctx context.Context) (doctor.Identity, error) {
			account, arn, at, err := sts.New(cfg).CallerAt(ctx)
			return doctor.Identity{Account: account, ARN: arn, At: at}, err
		},
		Stacks: func(ctx context.Context) (out []doctor.Stack, err error) {
			err = f.stacks(ctx, cfg, func(s stack) bool {
				out = append(out, doctor.Stack{
					Name: s.name, Version: s.outputs["Version"], Bus: s.outputs["BusName"], Grants: s.grants(), API: s.outputs["ApiUrl"],
					DeadLetters: s.outputs["DeadLettersUrl"],
					MailFrom:    s.outputs["MailFrom"], MailSet: s.outputs["MailSet"],
				})
				return true
			})
			if errors.Is(err, errNoStack) {
				err = nil
			}
			return out, err
		},
		API: func(ctx context.Context, of doctor.Stack) (int, error) {
			members, err := stack{of.Name, map[string]string{"ApiUrl": of.API}}.listed(ctx, cfg)
			return len(members), err
		},
		Mail: mail.Account, Sender: mail.Identity, Set: mail.Set, Alarms: alarms.Alarms,
		Undelivered: func(ctx context.Context, of doctor.Stack) (int, error) {
			if of.DeadLetters == "" {
				return 0, grant.ErrNotFound
			}
			depth, err := sqs.New(cfg, of.DeadLetters).Depth(ctx)
			return depth.Ready + depth.Waiting + depth.InHand, err
		},
	}
}

// resolver asks a DNS server, or where none is named the machine's own.
func resolver(server string) *net.Resolver {
	if server == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
}

// text is a line a check, and below it what to try.
func (d diagnosis) text() string {
	const check, verdict = 14, 8
	b := block{}
	for _, f := range d.Findings {
		b.wrapAt(fmt.Sprintf("%-*s%-*s", check, f.Check, verdict, f.Verdict), printable(f.Says), check+verdict)
		if f.Fix != "" {
			b.wrapAt(fmt.Sprintf("%*s%-*s", check, "", verdict, "fix"), printable(f.Fix), check+verdict)
		}
		if f.Command != "" {
			_, _ = fmt.Fprintf(&b, "%*s%s\n", check+verdict, "", printable(f.Command)) // whole, to be copied
		}
	}
	return b.String()
}
