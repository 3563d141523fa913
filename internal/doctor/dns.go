package doctor

import (
	"context"
	"errors"
	"net"
	"strings"
)

// txt are the TXT records of a name that begin as wanted. None is no error.
func (e *exam) txt(ctx context.Context, name, begins string) ([]string, error) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := e.DNS.LookupTXT(within, name)
	if gone, ok := errors.AsType[*net.DNSError](err); ok && gone.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, record := range all {
		if rest, ok := strings.CutPrefix(strings.ToLower(record), begins); ok && (rest == "" || strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, ";")) {
			out = append(out, strings.ToLower(record))
		}
	}
	return out, nil
}

// spfRecord is what SES asks for a custom MAIL FROM domain.
const spfRecord = `"v=spf1 include:amazonses.com ~all"`

// spf looks at the domain of the envelope. Unless one of the sender's own is set that is amazonses.com, whose records are AWS's.
func (e *exam) spf(ctx context.Context, s *identity, domain string) {
	if !s.asked || s.name == "" {
		return
	}
	if s.MailFrom == "" {
		if s.signs() {
			e.ok("SPF", "amazonses.com's, by AWS itself; DKIM proves the sender")
			return
		}
		e.found("SPF", Warn, "the envelope is amazonses.com's: its SPF proves nothing of "+domain, "DKIM is enough; or set a MAIL FROM domain below yours:",
			"aws sesv2 put-email-identity-mail-from-attributes --email-identity "+s.name+" --mail-from-domain mail."+domain+" --region "+e.Region)
		return
	}
	if s.MailFromWord != "SUCCESS" {
		e.found("SPF", Fail, "the MAIL FROM domain "+s.MailFrom+" is not set up ("+orUnknown(s.MailFromWord)+")",
			"put into its DNS: MX 10 feedback-smtp."+e.Region+".amazonses.com, and TXT "+spfRecord, "")
		return
	}
	records, err := e.txt(ctx, s.MailFrom, "v=spf1")
	switch {
	case err != nil:
		e.found("SPF", Unknown, "the DNS does not answer for "+s.MailFrom+": "+err.Error(), "", "")
	case len(records) == 0:
		e.found("SPF", Fail, s.MailFrom+" has no SPF record", "put TXT "+spfRecord+" into its DNS", "")
	case len(records) > 1:
		e.found("SPF", Fail, s.MailFrom+" has more than one SPF record: receivers then take none", "make one of them, with include:amazonses.com", "")
	case !strings.Contains(records[0], "include:amazonses.com"):
		e.found("SPF", Fail, "the SPF record of "+s.MailFrom+" does not name SES", "add include:amazonses.com to it", "")
	default:
		s.spf = true
		e.ok("SPF", "%s names SES", s.MailFrom)
	}
}

// dmarc looks what receivers are asked to do with what nobody vouches for, and whether DKIM or SPF vouches for our mails.
func (e *exam) dmarc(ctx context.Context, s identity, domain string) {
	at := "_dmarc." + domain
	records, err := e.txt(ctx, at, "v=dmarc1")
	if org := organization(domain); err == nil && len(records) == 0 && org != strings.ToLower(domain) {
		at = "_dmarc." + org
		records, err = e.txt(ctx, at, "v=dmarc1")
	}
	switch {
	case err != nil:
		e.found("DMARC", Unknown, "the DNS does not answer for "+at+": "+err.Error(), "", "")
		return
	case len(records) == 0:
		e.found("DMARC", Warn, domain+" has no record: large mail services think less of its mail", `put TXT "v=DMARC1; p=none" at _dmarc.`+organization(domain)+" into the DNS", "")
		return
	case len(records) > 1:
		e.found("DMARC", Fail, at+" has more than one record: receivers then take none", "leave one of them", "")
		return
	}
	tags := dmarcTags(records[0])
	policy := tags["p"]
	if !strings.HasSuffix(at, "."+strings.ToLower(domain)) && tags["sp"] != "" {
		policy = tags["sp"] // of the domains below
	}
	dkim := s.signs() && aligned(s.name, domain, tags["adkim"] == "s")
	spf := s.spf && aligned(s.MailFrom, domain, tags["aspf"] == "s")
	switch {
	case !s.asked:
		e.ok("DMARC", "%s: p=%s", at, policy)
	case dkim || spf:
		e.ok("DMARC", "%s: p=%s, %s vouches for us", at, policy, map[bool]string{true: "DKIM", false: "SPF"}[dkim])
	case policy == "reject" || policy == "quarantine":
		e.found("DMARC", Fail, at+": p="+policy+", and neither DKIM nor SPF vouches for our mails: receivers drop them", "verify "+domain+" with Easy DKIM, see DKIM above", "")
	default:
		e.found("DMARC", Warn, at+": p="+policy+", and neither DKIM nor SPF vouches for our mails", "verify "+domain+" with Easy DKIM, see DKIM above", "")
	}
}

// dmarcTags reads "v=DMARC1; p=none; …".
func dmarcTags(record string) map[string]string {
	out := map[string]string{}
	for tag := range strings.SplitSeq(record, ";") {
		key, value, _ := strings.Cut(tag, "=")
		out[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return out
}

// organization is the domain that somebody registered, near enough: the last two labels, three where the last but one is a
// country's own heading, as in example.co.uk.
func organization(domain string) string {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(domain, ".")), ".")
	n := 2
	if len(labels) > 2 && len(labels[len(labels)-1]) == 2 && headings[labels[len(labels)-2]] {
		n = 3
	}
	if len(labels) <= n {
		return strings.Join(labels, ".")
	}
	return strings.Join(labels[len(labels)-n:], ".")
}

var headings = map[string]bool{"ac": true, "co": true, "com": true, "edu": true, "gov": true, "gv": true, "ltd": true, "net": true, "or": true, "org": true}
