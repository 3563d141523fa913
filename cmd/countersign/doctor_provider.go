package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/aws/sts"
	"github.com/countersign/countersign/internal/doctor"
	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/visit"
)

// examineProvider examines what keeps an engineer of a provider from entering customers, and with a name that customer.
func (c *cli) examineProvider(ctx context.Context, f wayFlags, customer string) (diagnosis, error) {
	d := diagnosis{}
	found := func(check string, v doctor.Verdict, says, fix, command string) {
		d.Findings = append(d.Findings, doctor.Finding{Check: check, Verdict: v, Says: says, Fix: fix, Command: command})
	}
	if c.env(visit.Variable) != "" {
		return d, fail(exitRefused, "Leave this shell first: exit", "this shell is in a customer's account")
	}
	cfg, err := c.base(ctx, f)
	if err != nil {
		return d, err
	}
	d.Region = cfg.Region
	account, arn, at, err := sts.New(cfg).CallerAt(ctx)
	engineer := entry.Engineer(arn)
	switch automatic := strings.HasPrefix(engineer, "botocore-session-") || strings.HasPrefix(engineer, "aws-go-sdk-"); {
	case err != nil:
		found("credentials", doctor.Fail, "AWS takes none from here: "+err.Error(), "choose your own profile, and sign in", "countersign creds load")
		return d, nil
	case automatic:
		found("credentials", doctor.Warn, fmt.Sprintf("account %s, but customers see you as %s", account, engineer), "give your profile a role_session_name", "")
	default:
		found("credentials", doctor.OK, fmt.Sprintf("account %s; customers see you as %s", account, engineer), "", "")
	}
	if skew := c.now().Sub(at).Abs(); !at.IsZero() && skew > time.Minute {
		verdict := doctor.Warn
		if skew > 5*time.Minute {
			verdict = doctor.Fail
		}
		found("clock", verdict, "differs from AWS's by "+roughly(skew), "set it by a time server", "")
	} else if !at.IsZero() {
		found("clock", doctor.OK, "within a minute of AWS's", "", "")
	}
	b := c.openBook(cfg, f.customers)
	enterable := map[string]bool{}
	rows, _, err := b.Rows(ctx, true)
	if err != nil {
		found("registry", doctor.Fail, err.Error(), "--customers names it, --region says where; you need dynamodb:Query on it", "")
	} else {
		for _, r := range rows {
			if r.MayEnter() == nil {
				enterable[r.Name] = true
			}
		}
		found("registry", doctor.OK, fmt.Sprintf("%s, %d may be entered", count(len(rows), "customer"), len(enterable)), "", "")
	}
	if _, by, err := c.keptBy(); err != nil {
		found("sessions", doctor.Warn, "aren't kept: "+err.Error(), "COUNTERSIGN_CACHE_PASSPHRASE seals a file", "")
	} else {
		found("sessions", doctor.OK, "kept: "+by, "", "")
	}
	if gone := goneProfiles(configFile(c.env), enterable); len(gone) > 0 && err == nil {
		found("profiles", doctor.Warn, "of customers that may not be entered: "+strings.Join(gone, ", "), "write them anew", "countersign profiles write")
	}
	if customer != "" {
		c.examineCustomer(ctx, f, customer, found)
	}
	return d, nil
}

// examineCustomer enters it, without waiting, and says what came of it.
func (c *cli) examineCustomer(ctx context.Context, f wayFlags, customer string, found func(string, doctor.Verdict, string, string, string)) {
	w, err := c.way(ctx, f, nil)
	if err != nil {
		found(customer, doctor.Unknown, err.Error(), "", "")
		return
	}
	opened, err := w.Enter(ctx, entry.Request{Customer: customer, Reason: "doctor", Patience: -1}, nil)
	if err != nil {
		next := ""
		if no, ok := errors.AsType[*entry.Refusal](err); ok {
			next = no.Next
		}
		found(customer, doctor.Fail, err.Error(), next, "")
		return
	}
	says := fmt.Sprintf("opens: role %s in %s, by its %s external ID", opened.RoleName(), opened.Account, map[bool]string{true: "previous", false: "current"}[opened.Previous])
	if opened.Kind != "countersign" {
		says = fmt.Sprintf("opens: role %s in %s, %s", opened.RoleName(), opened.Account, opened.Kind)
	}
	found(customer, doctor.OK, says, "", "")
}

// goneProfiles are customers of our profiles that may not be entered.
func goneProfiles(path string, enterable map[string]bool) (gone []string) {
	src, _ := os.ReadFile(path)
	for line := range strings.Lines(string(src)) {
		_, rest, ok := strings.Cut(line, " credential-process ")
		name, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if ok && strings.HasPrefix(line, "credential_process") && strings.Contains(line, "countersign") && !enterable[name] {
			gone = append(gone, name)
		}
	}
	return gone
}
