package access

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/countersign/countersign/internal/grant"
)

var (
	principalARN  = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):((?:role|user)/[\w+=,.@/*?-]+)$`)
	principalForm = regexp.MustCompile(`^(role|user)/[\w+=,.@/*?-]+$`)
	accountARN    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:root$`)
	secretForm    = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:([\w/+=.@-]+)$`)
	busForm       = regexp.MustCompile(`^arn:aws[a-z-]*:events:[a-z0-9-]+:([0-9]{12}):event-bus/[\w./-]{1,256}$`)
	topicForm     = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]+(\.fifo)?$`)
)

// principals reads who of the provider's account may enter.
func (r *reader) principals(v value, account string) []string {
	if _, isList := v.asList(); isList && len(r.list(v, "principals")) == 0 && !r.reportedAt(v.field+"[0]") {
		r.errorf(v, "", "name some, or leave principals out: then the provider's account decides", "principals is empty")
		return nil
	}
	var out []string
	for _, item := range r.list(v, "principals") {
		s, ok := r.text(item, "a principal")
		if !ok {
			continue
		}
		m := principalARN.FindStringSubmatch(s)
		switch {
		case strings.Trim(s, "*") == "":
			r.errorf(item, "it looks like a limit and is none", "leave principals out, or - role/Engineers-*", `"*" lets in everything in the provider's account`)
		case m != nil && account != "" && m[2] != account:
			r.errorf(item, "account "+m[2], fmt.Sprintf("- %s", m[3]), "this principal is not in the provider's account %s", account)
		case m != nil || principalForm.MatchString(s) && !strings.Contains(s, "//"):
			if slices.Contains(out, s) {
				r.errorf(item, "", "keep one of the two", "%s stands twice", s)
				continue
			}
			out = append(out, s)
		case sessionForm.MatchString(s):
			r.errorf(item, "a session's aws:PrincipalArn is its role's ARN", "- role/"+sessionForm.FindStringSubmatch(s)[3], "this is one session of a role")
		case accountARN.MatchString(s) || isDigits(s):
			r.errorf(item, "", "leave principals out: the account itself is named above", "principals narrows the account down, and this is the account")
		default:
			r.errorf(item, "", "- role/Engineers-*", "a principal is role/…, user/… or such an ARN, * and ? allowed: %.100q", s)
		}
	}
	return out
}

// bus reads the provider's event bus. It may be in another account than the provider comes from, but hardly is.
func (r *reader) bus(v value, account string) string {
	arn, ok := r.text(v, "bus")
	if !ok {
		return ""
	}
	m := busForm.FindStringSubmatch(arn)
	switch {
	case m == nil:
		r.errorf(v, "", "bus: arn:aws:events:eu-west-1:111122223333:event-bus/countersign", "not an event bus's ARN: %.120q", arn)
		return ""
	case account != "" && m[1] != account:
		r.warnf(v, "events name operators and give their reasons", "make sure that it is the provider's", "the bus is in account %s, and the provider comes from %s", m[1], account)
	}
	return arn
}

// readNotify reads who is told.
func (r *reader) readNotify(v value, mailFrom string) grant.Notify {
	var n grant.Notify
	if !v.present() {
		return n
	}
	keys, ok := r.object(v, "notify", notifyKeys)
	if !ok {
		return n
	}
	for _, item := range r.list(keys["mail"], "mail") {
		if a := r.mailAddress(item, "an address"); a != "" {
			n.Mail = append(n.Mail, a)
		}
	}
	if len(n.Mail) > 0 && mailFrom == "" {
		r.warnf(keys["mail"], "SES needs a sender", "mailFrom: countersign@example.com (at the top of the file)", "no mail will be sent: mailFrom is missing")
	}
	for _, item := range r.list(keys["webhook"], "webhook") {
		if hook, ok := r.readWebhook(item); ok {
			n.Webhook = append(n.Webhook, hook)
		}
	}
	n.SNS = r.topics(keys["sns"], "sns")
	return n
}

func (r *reader) readWebhook(v value) (grant.Webhook, bool) {
	var w grant.Webhook
	if s, isText := r.scalar(v); isText {
		if leaksCredential(s) {
			r.hide(v)
		}
		r.errorf(v, "its secret signs the messages", "- {url: https://…, secret: arn:aws:secretsmanager:…}", "a webhook has a url and a secret")
		return w, false
	}
	keys, ok := r.object(v, "a webhook", webhookKeys)
	if !ok {
		return w, false
	}
	before := len(r.errors)
	r.require(v, keys, "a webhook", "secret", "secret: arn:aws:secretsmanager:… (a secret of yours with the signing key, whsec_…)")
	if arn, ok := r.text(keys["secret"], "secret"); ok {
		m := secretForm.FindStringSubmatch(arn)
		switch {
		case m == nil:
			if !strings.HasPrefix(arn, "arn:") {
				r.hide(keys["secret"]) // perhaps the signing key itself
				r.errorf(keys["secret"], "", "secret: arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf", "secret is the ARN of a secret, never the key itself")
				break
			}
			r.errorf(keys["secret"], "", "secret: arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf", "not a secret's ARN: %.120q", arn)
		case strings.HasPrefix(m[1], grant.SecretPrefix):
			r.errorf(keys["secret"], "those hold external IDs", "a secret of your own, outside "+grant.SecretPrefix, "a webhook can't use Countersign's own secrets")
		}
		w.Secret = arn
	}
	if raw, ok := r.text(keys["url"], "url"); ok {
		w.URL = raw
		r.checkURL(keys["url"], raw)
	}
	return w, len(r.errors) == before
}

// checkURL refuses what a message may not go to, and what may not stand in a file that is shown around.
func (r *reader) checkURL(v value, raw string) {
	if leaksCredential(raw) {
		r.hide(v)
		r.errorf(v, "who has this URL can post to it", `leave url out and put {"url":"https://…","key":"whsec_…"} into the secret`, "this URL holds a credential")
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || len(raw) > 2048 || strings.ContainsFunc(raw, unicode.IsSpace):
		r.errorf(v, "", "url: https://hooks.example.com/countersign", "not a URL")
	case (u.Scheme == "http" || u.Scheme == "https") && isLoopback(u.Hostname()):
		r.warnf(v, "", "the endpoint's public URL, before this is deployed to AWS", "a webhook to this machine: it works with a local emulator only")
	case u.Scheme != "https":
		r.errorf(v, "", "https://"+u.Host+u.Path, "a webhook is sent over https only")
	case !isPort(u.Port()):
		r.errorf(v, "below 1024 only 443 is taken", "https://"+u.Hostname()+u.Path, "a webhook doesn't go to port %s", u.Port())
	case isPrivate(u.Hostname()):
		r.errorf(v, "webhooks reach the internet only", "the endpoint's public name", "a webhook goes to no private address")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		r.errorf(v, "", "leave out # and what follows", "a fragment never reaches the receiver")
	}
}

// isPort says whether package deliver sends to a port; "" is https's own.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && (port == 443 || port >= 1024)
}

// isPrivate says whether a host is an address that package deliver refuses for sure. It refuses more, and by what names
// resolve to.
func isPrivate(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && (!addr.Unmap().IsGlobalUnicast() || addr.Unmap().IsPrivate())
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// The marks of URLs that are credentials themselves.
var (
	tokenQuery = regexp.MustCompile(`(?i)^(.*[-_])?(token|key|apikey|secret|sig|signature|code|auth|password|passwd|pwd|credential|session)s?$`)
	tokenHosts = regexp.MustCompile(`(?i)(^|\.)(hooks\.slack\.com|discord(app)?\.com|webhook\.office\.com|hooks\.zapier\.com|maker\.ifttt\.com|logic\.azure\.com|events\.pagerduty\.com|chat\.googleapis\.com|webhook\.site|hook\.[a-z0-9]+\.make\.com)$`)
)

// leaksCredential says whether a URL lets whoever reads it post: user and password, token-like query parameters or path
// segments, or a service whose webhook URLs are secrets.
func leaksCredential(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return strings.Contains(raw, "@") // perhaps user and password that don't parse
	}
	if u.User != nil || tokenHosts.MatchString(u.Hostname()) {
		return true
	}
	for key, values := range u.Query() {
		if tokenQuery.MatchString(key) || slices.ContainsFunc(values, looksRandom) {
			return true
		}
	}
	return slices.ContainsFunc(strings.Split(u.Path, "/"), looksRandom)
}

// looksRandom says whether a text looks made by a machine to be unguessable: 20 characters or more, at least four letters and
// four digits. A UUID counts.
func looksRandom(s string) bool {
	if len(s) < 20 {
		return false
	}
	digits, letters := 0, 0
	for _, c := range s {
		switch {
		case unicode.IsDigit(c):
			digits++
		case unicode.IsLetter(c):
			letters++
		case c != '-' && c != '_' && c != '=' && c != '+' && c != '%' && c != '.':
			return false
		}
	}
	return digits >= 4 && letters >= 4
}

// readPickUp reads in which ways the provider may read the external ID.
func (r *reader) readPickUp(v value, externalID bool) PickUp {
	switch {
	case !v.present():
		return PickUp{Session: externalID, Account: externalID}
	case !externalID:
		r.errorf(v, "", "leave it out, or externalId: true", "pickUp without an external ID: there is nothing to read")
		return PickUp{}
	}
	var p PickUp
	for _, item := range r.list(v, "pickUp") {
		way, ok := r.text(item, "a way")
		if !ok {
			continue
		}
		switch way {
		case "session":
			p.Session = true
		case "account":
			p.Account = true
		default:
			r.errorf(item, "", "- session", "pickUp is session, account or both: %.40q", way)
		}
	}
	if _, isList := v.asList(); isList && p == (PickUp{}) && !r.reportedAt(v.field+"[0]") {
		r.errorf(v, "", "pickUp: [session]", "pickUp is empty: nobody could read the external ID")
	}
	return p
}
