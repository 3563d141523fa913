package access

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/countersign/countersign/internal/grant"
)

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
			n = append(n, grant.Destination{Channel: grant.Mail, Address: a})
		}
	}
	if len(n) > 0 && mailFrom == "" {
		r.warnf(keys["mail"], "SES needs a sender", "mailFrom: countersign@example.com (at the top of the file)", "no mail will be sent: mailFrom is missing")
	}
	for _, item := range r.list(keys["webhook"], "webhook") {
		if hook, ok := r.readWebhook(item); ok {
			n = append(n, hook)
		}
	}
	for _, topic := range r.topics(keys["sns"], "sns") {
		n = append(n, grant.Destination{Channel: grant.SNS, Address: topic})
	}
	return n
}

func (r *reader) readWebhook(v value) (grant.Destination, bool) {
	w := grant.Destination{Channel: grant.Webhook}
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
		w.Address = raw
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
