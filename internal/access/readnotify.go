package access

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/form"
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
	for _, c := range []struct {
		channel grant.Channel
		read    func(value) (grant.Destination, bool)
	}{{grant.Mail, r.readMail}, {grant.Webhook, r.readWebhook}, {grant.SNS, r.readTopic}} {
		for _, item := range r.list(keys[string(c.channel)], string(c.channel)) {
			d, ok := c.read(item)
			twice := slices.ContainsFunc(n, func(other grant.Destination) bool {
				return other.Channel == d.Channel && other.Address == d.Address && (d.Address != "" || other.Secret == d.Secret)
			})
			switch {
			case ok && twice:
				r.errorf(item, "", "keep one of the two, with all that it wants under on", "this %s stands twice", c.channel)
			case ok:
				n = append(n, d)
			}
		}
	}
	if n.By(grant.Mail) != nil && mailFrom == "" {
		r.warnf(keys["mail"], "SES needs a sender", "mailFrom: countersign@example.com (at the top of the file)", "no mail will be sent: mailFrom is missing")
	}
	return n
}

// readMail reads an address, or {to, for, on}.
func (r *reader) readMail(v value) (grant.Destination, bool) {
	d, at := grant.Destination{Channel: grant.Mail}, v
	if isMapping(v) {
		keys, ok := r.object(v, "a mail", mailKeys)
		if !ok {
			return d, false
		}
		r.require(v, keys, "a mail", "to", "to: ops@example.com")
		at = keys["to"]
		d.For, d.On = r.audience(keys["for"]), r.classes(keys["on"], grant.Mail)
	}
	d.Address = r.mailAddress(at, "an address")
	return d, d.Address != ""
}

// readTopic reads a topic's ARN, or {topic, on}.
func (r *reader) readTopic(v value) (grant.Destination, bool) {
	d, at := grant.Destination{Channel: grant.SNS}, v
	if isMapping(v) {
		keys, ok := r.object(v, "a topic", topicKeys)
		if !ok {
			return d, false
		}
		r.require(v, keys, "a topic", "topic", "topic: arn:aws:sns:eu-west-1:444455556666:ops-alerts")
		at = keys["topic"]
		d.On = r.classes(keys["on"], grant.SNS)
	}
	d.Address = r.topic(at)
	return d, d.Address != ""
}

// audience reads for.
func (r *reader) audience(v value) events.Audience {
	text, ok := r.text(v, "for")
	if !ok {
		return ""
	}
	to := events.Audience(text)
	if to != events.Provider && to != events.Operators {
		r.errorf(v, "", entry(v, string(events.Operators)), "for is provider or operators, your own people: not %.60q", text)
	}
	return to
}

// classes reads on: one class, or a list of them.
func (r *reader) classes(v value, c grant.Channel) (asked []events.Class) {
	items := []value{v}
	if nodes, isList := v.asList(); isList {
		if items = r.list(v, "on"); len(nodes) == 0 {
			r.errorf(v, "", "name some, or leave on out: then it is "+classNames(grant.Destination{Channel: c}.Classes()), "on is empty")
		}
	}
	var known []string
	for _, class := range events.Classes() {
		if class != events.Digest || c == grant.Mail {
			known = append(known, string(class))
		}
	}
	for _, item := range items {
		if isBooleanNode(item) {
			r.errorf(item, r.found(item), "one of "+strings.Join(known, ", "), "on names classes of events")
			continue
		}
		text, ok := r.text(item, "on")
		if !ok {
			continue
		}
		class := events.Class(text)
		why, fix := "", "one of "+strings.Join(known, ", ")
		switch {
		case class == events.Digest && c != grant.Mail:
			r.errorf(item, "it is a mail a week", fix, "a %s gets no digest", c)
		case !slices.Contains(known, text):
			if near := nearest(text, known); near != "" {
				why, fix = "did you mean "+near+"?", entry(item, near)
			}
			r.errorf(item, why, fix, "on has no class %.60q", text)
		case slices.Contains(asked, class):
			r.errorf(item, "", "keep one of the two", "%s stands twice", text)
		default:
			asked = append(asked, class)
		}
	}
	if slices.Contains(asked, events.All) && (slices.Contains(asked, events.Action) || slices.Contains(asked, events.Revoke)) {
		fix := []events.Class{events.All}
		if slices.Contains(asked, events.Digest) {
			fix = append(fix, events.Digest)
		}
		r.errorf(v, "all has the others in it, but for digest", "on: "+classNames(fix), "all stands beside what it includes")
	}
	return asked
}

// classNames writes classes as the file does.
func classNames(classes []events.Class) string {
	var names []string
	for _, c := range classes {
		names = append(names, string(c))
	}
	if len(names) == 1 {
		return names[0]
	}
	return "[" + strings.Join(names, ", ") + "]"
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
	w.For, w.On = r.audience(keys["for"]), r.classes(keys["on"], grant.Webhook)
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
	tokenQuery = form.New(`(?i)^(.*[-_])?(token|key|apikey|secret|sig|signature|code|auth|password|passwd|pwd|credential|session)s?$`)
	tokenHosts = form.New(`(?i)(^|\.)(hooks\.slack\.com|discord(app)?\.com|webhook\.office\.com|hooks\.zapier\.com|maker\.ifttt\.com|logic\.azure\.com|events\.pagerduty\.com|chat\.googleapis\.com|webhook\.site|hook\.[a-z0-9]+\.make\.com)$`)
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
