package access

import (
	"fmt"
	"io/fs"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// The keys of the file's objects. The JSON Schema has the same ones; a test compares them.
var (
	fileKeys     = []string{"version", "operators", "mailFrom", "alarms", "trustPolicyQuota", "shards", "reshardedFrom", "removeRevoked", "providers"}
	providerKeys = []string{"name", "account", "principals", "organization", "prefix", "bus", "grants"}
	grantKeys    = []string{
		"name", "permissions", "boundary", "role", "externalId", "issuedBy", "rotateEvery", "overlap", "whenUnconfirmed", "providerMay",
		"maxSession", "expires", "sourceIdentity", "mayShareResources", "mayAssumeRoles", "pickUp", "notify",
	}
	roleKeys    = []string{"name", "path", "adopted"}
	notifyKeys  = []string{"mail", "webhook", "sns"}
	mailKeys    = []string{"to", "for", "on"}
	webhookKeys = []string{"url", "secret", "for", "on"}
	topicKeys   = []string{"topic", "on"}
)

var (
	accountForm      = form.New(`^[0-9]{12}$`)
	providerForm     = form.New(`^[a-z0-9][a-z0-9-]{0,39}$`)
	organizationForm = form.New(`^o-[a-z0-9]{10,32}$`)
	prefixForm       = form.New(`^[a-z0-9]{4,32}$`)
	operatorForm     = form.New(`^arn:aws[a-z-]*:iam::([0-9]{12}):(role|user)/[\w+=,.@/*?-]+$`)
	sessionForm      = form.New(`^arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([^/]+)/`)
)

// Parse reads and validates a file's content. Policy files are looked up in files, the folder that it lies in; now tells
// whether a grant has ended. The error is *Problems with everything that is wrong.
func Parse(name string, src []byte, files fs.FS, now time.Time) (*Access, error) {
	r := &reader{file: name, files: files, now: now, hidden: map[int]int{}}
	if len(src) > maxFile {
		src = nil
		r.lines = []string{""}
		r.errorf(value{}, "", "", "the file is larger than %s bytes", thousands(maxFile))
		return nil, r.problems()
	}
	src = []byte(strings.ReplaceAll(strings.TrimPrefix(string(src), "\ufeff"), "\r\n", "\n"))
	r.lines = strings.Split(string(src), "\n")
	a := &Access{File: name}
	if root, ok := r.parseYAML(src); ok {
		r.readFile(root, a)
	}
	if len(r.errors) > 0 {
		return nil, r.problems()
	}
	a.Warnings = r.problems().Warnings
	return a, nil
}

// writtenID is a value where an external ID was tried; nothing of it may be shown.
var writtenID = form.New(`(?i)(external[-_ ]?ids?["']?\s*:\s*)(?:[^\s#].*)`)

// problems gives the problems in the file's order, with what must not be shown left out.
func (r *reader) problems() *Problems {
	order := func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	}
	clean := func(list []Problem) []Problem {
		slices.SortStableFunc(list, order)
		for i := range list {
			p := &list[i]
			if at, ok := r.hidden[p.Line]; ok {
				p.hideFrom(at)
			}
			if m := writtenID.FindStringSubmatchIndex(p.Source); m != nil && !isBoolean(p.Source[m[3]:]) {
				p.hideFrom(len([]rune(p.Source[:m[3]])) + 1)
			}
		}
		return list
	}
	return &Problems{Errors: clean(r.errors), Warnings: clean(r.warnings)}
}

func isBoolean(s string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return slices.Contains([]string{"true", "false", "yes", "no", "on", "off"}, strings.Trim(word, `,}]"'`))
}

// hideFrom leaves the source line out from a column on.
func (p *Problem) hideFrom(column int) {
	const shown = "(not shown)"
	runes := []rune(p.Source)
	p.Source = string(runes[:min(column-1, len(runes))]) + shown
	p.Column = min(p.Column, column)
	p.Width = min(p.Width, len([]rune(p.Source))-p.Column+1)
	if p.Column == column {
		p.Width = len(shown)
	}
}

func (r *reader) readFile(root value, a *Access) {
	keys, ok := r.object(root, "access.yaml", fileKeys)
	if !ok {
		return
	}
	r.readVersion(root, keys["version"])
	a.MailFrom = r.mailAddress(keys["mailFrom"], "mailFrom")
	a.Alarms = r.readAlarms(keys["alarms"])
	a.Quota = r.integer(keys["trustPolicyQuota"], "trustPolicyQuota", trust.DefaultQuota, 8192, 0)
	a.Shards = r.integer(keys["shards"], "shards", 1, MaxShards, 1)
	a.ReshardedFrom = r.integer(keys["reshardedFrom"], "reshardedFrom", 0, MaxShards, 0)
	if a.ReshardedFrom == a.Shards {
		r.errorf(keys["reshardedFrom"], "", "leave reshardedFrom out",
			"reshardedFrom is the number of shards before a change, and shards is %d already", a.Shards)
	}
	w := &whole{access: a, roles: map[string]value{}, grants: map[grant.Name]value{}, providers: map[string]value{}}
	list := keys["providers"]
	items := r.list(list, "providers")
	if !list.present() {
		r.missing(root, "providers", `providers: [{name: …, account: "…", grants: […]}]`, "providers is missing: who may enter")
	} else if _, isList := list.asList(); isList && len(items) == 0 {
		r.errorf(list, "", "", "providers is empty: nobody to let in")
	}
	for _, item := range items {
		r.readProvider(item, w)
	}
	a.Operators = r.readOperators(keys["operators"], w)
	a.RemoveRevoked = r.removeRevoked(keys["removeRevoked"], w)
	if len(r.errors) == 0 {
		r.checkShards(keys["shards"], list, a)
		r.checkAlarms(list, a)
	}
}

func (r *reader) readVersion(root, v value) {
	if !v.present() {
		r.missing(root, "version", "version: 1", "version is missing: the form of this file")
		return
	}
	if r.integer(v, "version", 1, 1, 0) == 0 {
		last := &r.errors[len(r.errors)-1]
		last.Message, last.Why, last.Fix = "version must be 1", "this program reads no other form", "version: 1"
	}
}

// whole is what has to be unique or consistent over the whole file.
type whole struct {
	access    *Access
	providers map[string]value
	grants    map[grant.Name]value
	roles     map[string]value // by lower-case name
}

func (r *reader) readProvider(v value, w *whole) {
	before := len(r.errors)
	keys, ok := r.object(v, "a provider", providerKeys)
	if !ok {
		return
	}
	r.require(v, keys, "a provider", "name", "name: hestio", "account", `account: "111122223333"`, "grants", "grants: […]")
	p := Provider{Account: r.account(keys["account"])}
	if name, ok := r.text(keys["name"], "name"); ok {
		p.Name = name
		switch earlier, twice := w.providers[name]; {
		case !providerForm.MatchString(name):
			r.errorf(keys["name"], "1 to 40 of a-z, 0-9 and -, not starting with -", entry(keys["name"], nameLike(name)), "not a provider's name: %.60q", name)
		case twice:
			r.errorf(keys["name"], r.alsoAt(earlier), "put all grants under one entry, or give it another name", "provider %s stands twice", name)
		default:
			w.providers[name] = keys["name"]
		}
	}
	p.Principals = r.principals(keys["principals"], p.Account)
	if id, ok := r.text(keys["organization"], "organization"); ok {
		p.Organization = id
		if !organizationForm.MatchString(id) {
			r.errorf(keys["organization"], "o- and 10 to 32 of a-z and 0-9", "ask the provider: aws organizations describe-organization", "not an organization's id: %.60q", id)
		}
	}
	if prefix, ok := r.text(keys["prefix"], "prefix"); ok {
		p.Prefix = prefix
		if !prefixForm.MatchString(prefix) {
			r.errorf(keys["prefix"], "4 to 32 of a-z and 0-9", "", "not a prefix that the provider can issue: %.60q", prefix)
		}
	}
	p.Bus = r.bus(keys["bus"], p.Account)
	providerClean := len(r.errors) == before
	grants := r.list(keys["grants"], "grants")
	if _, isList := keys["grants"].asList(); isList && len(grants) == 0 {
		r.errorf(keys["grants"], "", "add a grant, or leave the provider out", "grants is empty: nothing to let %s into", p.Name)
	}
	var places []grantPlace
	for _, item := range grants {
		clean := len(r.errors)
		if place, ok := r.readGrant(item, &p, w); ok && len(r.errors) == clean {
			places = append(places, place)
		}
	}
	noID := len(p.Grants) > 0 && !slices.ContainsFunc(p.Grants, func(g Grant) bool { return g.ExternalID })
	if noID && p.Prefix != "" {
		r.errorf(keys["prefix"], "it stands in front of external IDs", "leave prefix out", "prefix without any external ID")
	}
	w.access.Providers = append(w.access.Providers, p)
	if providerClean {
		for _, place := range places {
			r.checkSizes(Entry{Provider: &p, Grant: &place.grant, quota: w.access.Quota}, place, keys["principals"])
		}
	}
}

// account reads an AWS account id, which YAML takes for a number where it isn't quoted.
func (r *reader) account(v value) string {
	if !v.present() {
		return ""
	}
	raw := v.token.Value
	if !quoted(v) && accountForm.MatchString(strings.ReplaceAll(raw, "-", "")) {
		why := "YAML reads a number"
		if strings.HasPrefix(raw, "0") {
			why = "YAML reads a number and loses the leading 0"
		}
		r.errorf(v, why, fmt.Sprintf("account: %q", strings.ReplaceAll(raw, "-", "")), "account must be quoted")
		return ""
	}
	id, ok := r.text(v, "account")
	if !ok {
		return ""
	}
	if !accountForm.MatchString(id) {
		why := fmt.Sprintf("it has %d characters", len([]rune(id)))
		fix := "ask the provider: aws sts get-caller-identity"
		if digits := strings.NewReplacer("-", "", " ", "").Replace(id); accountForm.MatchString(digits) {
			why, fix = "digits only", fmt.Sprintf("account: %q", digits)
		}
		r.errorf(v, why, fix, "an account id is 12 digits")
		return ""
	}
	return id
}

func (r *reader) readOperators(v value, w *whole) []string {
	var out []string
	for _, item := range r.list(v, "operators") {
		arn, ok := r.text(item, "an operator")
		if !ok {
			continue
		}
		m := operatorForm.FindStringSubmatch(arn)
		switch {
		case arn == "*":
			r.errorf(item, "everybody could revoke and rotate", "name roles, or leave operators out: then it is the account's own principals", `"*" is no operator`)
		case sessionForm.MatchString(arn):
			r.errorf(item, "this is one session of a role", "- "+roleOfSession(arn), "an operator is a role or user")
		case m == nil:
			r.errorf(item, "", "- arn:aws:iam::444455556666:role/OnCall", "an operator is the ARN of a role or user: %.100q", arn)
		case slices.ContainsFunc(w.access.Providers, func(p Provider) bool { return p.Account == m[1] }):
			r.errorf(item, "it could rotate and see its own grants", "name a role of your own account", "an operator can't be in a provider's account")
		default:
			out = append(out, arn)
		}
	}
	return out
}

// roleOfSession is the ARN of the role that a session belongs to, as far as the session's ARN tells: it has no path.
func roleOfSession(arn string) string {
	m := sessionForm.FindStringSubmatch(arn)
	return "arn:" + m[1] + ":iam::" + m[2] + ":role/" + m[3]
}

// require reports the keys that are missing: pairs of key and how it is written.
func (r *reader) require(v value, keys map[string]value, what string, pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		if _, ok := keys[pairs[i]]; !ok {
			r.missing(v, pairs[i], pairs[i+1], what+" needs "+pairs[i])
		}
	}
}

// missing reports a key that isn't there, unless it is there and empty, which has been said.
func (r *reader) missing(v value, key, fix, message string) {
	v.field = join(v.field, key)
	if !r.reportedAt(v.field) {
		r.errorf(v, "", fix, "%s", message)
	}
}

// reportedAt says whether a field has an error already, as an empty key has.
func (r *reader) reportedAt(field string) bool {
	return slices.ContainsFunc(r.errors, func(p Problem) bool { return p.Field == field })
}

func (r *reader) alsoAt(v value) string {
	return fmt.Sprintf("the first is in line %d", r.problem(v, "", "", "").Line)
}

// mailAddress reads a bare mail address.
func (r *reader) mailAddress(v value, what string) string {
	s, ok := r.text(v, what)
	if !ok {
		return ""
	}
	a, err := mail.ParseAddress(s)
	switch {
	case err != nil || !strings.Contains(s, "@") || len(s) > 254:
		r.errorf(v, "", entry(v, "ops@example.com"), "not a mail address: %.100q", s)
		return ""
	case strings.ContainsFunc(s, func(r rune) bool { return r > '~' }):
		r.errorf(v, "SES takes ASCII only", "the domain in its xn-- form, and an ASCII name before the @", "a mail address with other letters: %.100q", s)
		return ""
	case a.Address != s:
		r.errorf(v, "the address only, no name", entry(v, a.Address), "not a bare mail address: %.100q", s)
		return ""
	}
	return s
}

// nameLike makes a valid name out of a near one, for a fix.
func nameLike(s string) string {
	out := strings.Trim(strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			return c
		}
		return '-'
	}, strings.ToLower(s)), "-")
	if out == "" {
		return "migration"
	}
	return strings.TrimRight(out[:min(len(out), 40)], "-")
}
