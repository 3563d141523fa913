package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// mail makes the checks of mail. Without a sender there is only the account to look at.
func (e *exam) mail(ctx context.Context, stacks []Stack) {
	from := e.MailFrom
	for _, s := range stacks {
		if s.MailFrom != "" {
			from = s.MailFrom
			break
		}
	}
	e.mailAccount(ctx, from)
	_, domain, ok := strings.Cut(from, "@")
	switch {
	case from == "":
		e.found("sender", Warn, "none is known: no mail is sent", "set mailFrom in access.yaml, or name one to look at with --mail-from", "")
		return
	case !ok || domain == "":
		e.found("sender", Fail, "not an address: "+from, "correct mailFrom in access.yaml", "")
		return
	}
	s := e.sender(ctx, from, domain)
	e.recipients(ctx)
	e.dkim(s, domain)
	e.spf(ctx, &s, domain)
	e.dmarc(ctx, s, domain)
	for _, stack := range stacks {
		if stack.MailSet != "" {
			e.set(ctx, stack.MailSet)
		}
	}
}

// account of SES: its sandbox, and whether it sends at all.
func (e *exam) mailAccount(ctx context.Context, from string) {
	a, answered, err := ask(ctx, e, "sandbox", "ses:GetAccount", e.Mail)
	if !answered || err != nil {
		return
	}
	switch {
	case a.Production:
		e.ok("sandbox", "left: %.0f mails a day, %.0f sent", a.DailyQuota, a.SentToday)
	case from == "" || len(e.Recipients) > 0: // who isn't verified is looked at one by one
		e.found("sandbox", Warn, fmt.Sprintf("SES is in its sandbox: %.0f mails a day, to verified recipients only", a.DailyQuota), askProduction, "")
	default:
		e.found("sandbox", Warn, fmt.Sprintf("SES is in its sandbox: %.0f mails a day, and none to a recipient that is not verified", a.DailyQuota), askProduction, "")
	}
	e.sandboxed = !a.Production
	switch {
	case a.Enforcement == "SHUTDOWN":
		e.found("sending", Fail, "AWS has paused this account's mail: too many bounces or complaints", "read AWS's mail about it, mend the cause, and ask for a review in the SES console (Account dashboard)", "")
	case !a.Sending:
		e.found("sending", Fail, "paused", "find out who paused it and why; then:", "aws sesv2 put-account-sending-attributes --sending-enabled --region "+e.Region)
	case a.Enforcement == "PROBATION":
		e.found("sending", Warn, "AWS has this account's mail under review: too many bounces or complaints", "correct the addresses that bounce: countersign history GRANT names them", "")
	default:
		e.ok("sending", "on")
	}
}

const askProduction = "ask AWS for production access: SES console, Account dashboard, \"Request production access\", in this Region"

// identity is the sender as SES knows it.
type identity struct {
	MailIdentity
	asked bool   // SES answered; else nothing is known
	spf   bool   // its own envelope domain names SES
	name  string // that is verified, or waits for it; empty: none
}

// aligned says whether a domain counts as that of the sender: by DMARC's relaxed rule, or exactly.
func aligned(of, sender string, strict bool) bool {
	return strings.EqualFold(of, sender) || !strict && organization(of) == organization(sender)
}

// signs says whether SES signs the sender's mails with a key of its domain.
func (s identity) signs() bool {
	return s.Signing && s.DKIM == "SUCCESS" && !strings.Contains(s.name, "@")
}

// sender looks for the address, its domain and the domains above, as SES does.
func (e *exam) sender(ctx context.Context, from, domain string) identity {
	var best identity
	names := []string{from}
	for d := domain; strings.Contains(d, "."); _, d, _ = strings.Cut(d, ".") {
		names = append(names, d)
	}
	for _, name := range names {
		i, answered, err := ask(ctx, e, "sender", "ses:GetEmailIdentity", func(ctx context.Context) (MailIdentity, error) { return e.Sender(ctx, name) })
		if !answered {
			return identity{}
		}
		best.asked = true
		if err != nil {
			continue
		}
		// A domain's identity counts more than an address's: its key signs.
		if best.name == "" || i.Verified && (!best.Verified || strings.Contains(best.name, "@")) {
			best = identity{MailIdentity: i, asked: true, name: name}
		}
	}
	verify := "aws sesv2 create-email-identity --email-identity " + domain + " --region " + e.Region
	switch {
	case best.name == "":
		e.found("sender", Fail, "SES in "+e.Region+" does not know "+from+" nor its domain", "verify the domain, and put the three CNAME records that SES names into its DNS:", verify)
	case !best.Verified:
		e.found("sender", Fail, fmt.Sprintf("%s is not verified (%s)", best.name, orUnknown(best.Status)), "put the records into the DNS that SES names, or open the link in its mail:", "aws sesv2 get-email-identity --email-identity "+best.name+" --region "+e.Region)
	default:
		e.ok("sender", "%s: %s is verified", from, best.name)
	}
	return best
}

// recipients of an account in the sandbox have to be verified as well.
func (e *exam) recipients(ctx context.Context) {
	if !e.sandboxed || len(e.Recipients) == 0 {
		return
	}
	var missing []string
	for _, r := range e.Recipients {
		verified, known := e.verified(ctx, r.Address)
		if !known {
			return
		}
		if !verified {
			missing = append(missing, r.Name+" of "+r.Grant)
		}
	}
	if len(missing) > 0 {
		e.found("recipients", Fail, "in the sandbox no mail reaches "+list(missing), "leave the sandbox, or let them verify each address:", "aws sesv2 create-email-identity --email-identity ADDRESS --region "+e.Region)
		return
	}
	e.ok("recipients", "all are verified, as the sandbox wants it: %d", len(e.Recipients))
}

func (e *exam) verified(ctx context.Context, address string) (verified, known bool) {
	_, domain, _ := strings.Cut(address, "@")
	for _, name := range []string{address, domain} {
		i, answered, err := ask(ctx, e, "recipients", "ses:GetEmailIdentity", func(ctx context.Context) (MailIdentity, error) { return e.Sender(ctx, name) })
		if !answered {
			return false, false
		}
		if err == nil && i.Verified {
			return true, true
		}
	}
	return false, true
}

func (e *exam) dkim(s identity, domain string) {
	switch {
	case !s.asked || s.name == "":
	case strings.Contains(s.name, "@"):
		e.found("DKIM", Warn, "only the address is verified: mails are not signed with a key of "+domain, "verify the domain too:", "aws sesv2 create-email-identity --email-identity "+domain+" --region "+e.Region)
	case s.DKIM == "SUCCESS" && s.Signing:
		e.ok("DKIM", "mails are signed for %s", s.name)
	case s.DKIM == "SUCCESS":
		e.found("DKIM", Fail, "the key of "+s.name+" is found, and mails are not signed with it", "switch it on:", "aws sesv2 put-email-identity-dkim-attributes --email-identity "+s.name+" --signing-enabled --region "+e.Region)
	default:
		e.found("DKIM", Fail, fmt.Sprintf("the key of %s is not found in the DNS (%s)", s.name, orUnknown(s.DKIM)), "put the three CNAME records into the DNS that SES names (DkimAttributes.Tokens, as TOKEN._domainkey."+s.name+"):", "aws sesv2 get-email-identity --email-identity "+s.name+" --region "+e.Region)
	}
}

// set is the configuration set by which notify sends.
func (e *exam) set(ctx context.Context, name string) {
	s, answered, err := ask(ctx, e, "mail events", "ses:GetConfigurationSet and ses:GetConfigurationSetEventDestinations", func(ctx context.Context) (MailSet, error) { return e.Set(ctx, name) })
	if !answered {
		return
	}
	var missing []string
	for _, event := range []string{"BOUNCE", "COMPLAINT", "REJECT"} {
		if !slices.Contains(s.Events, event) {
			missing = append(missing, strings.ToLower(event)+"s")
		}
	}
	switch {
	case err != nil:
		e.found("mail events", Fail, "configuration set "+name+" is gone: SES takes no mail", "deploy again", "")
	case !s.Sending:
		e.found("mail events", Fail, "configuration set "+name+" is paused: SES takes no mail", "switch it on:", "aws sesv2 put-configuration-set-sending-options --configuration-set-name "+name+" --sending-enabled --region "+e.Region)
	case len(missing) > 0:
		e.found("mail events", Fail, "configuration set "+name+" tells nobody of "+list(missing), "deploy again", "")
	default:
		e.ok("mail events", "configuration set %s tells of what goes wrong", name)
	}
}
