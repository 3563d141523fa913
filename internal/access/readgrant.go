package access

import (
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/grant"
)

var (
	roleForm     = form.New(`^[\w+.@-]{1,64}$`)
	rolePathForm = form.New(`^/([\w+=,.@-]+/)*$`)
	boundaryForm = form.New(`^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[\w+=,.@/-]+$`)
	assumeForm   = form.New(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/([\w+=,.@-]+/)*([\w+=,.@-]+)$`)
)

// grantPlace is a grant with the places that later checks point at.
type grantPlace struct {
	grant  Grant
	name   value
	notify value
}

func (r *reader) readGrant(v value, p *Provider, w *whole) (grantPlace, bool) {
	keys, ok := r.object(v, "a grant", grantKeys)
	if !ok {
		return grantPlace{}, false
	}
	r.require(v, keys, "a grant", "name", "name: migration")
	var g Grant
	if name, ok := r.text(keys["name"], "name"); ok {
		var err error
		if g.Name, err = grant.ParseName(name); err != nil {
			r.errorf(keys["name"], "1 to 40 of a-z, 0-9 and -, not starting with -", entry(keys["name"], nameLike(name)), "not a grant's name: %.60q", name)
		} else if earlier, twice := w.grants[g.Name]; twice {
			r.errorf(keys["name"], r.alsoAt(earlier), "names are unique over all providers", "grant %s stands twice", name)
		} else {
			w.grants[g.Name] = keys["name"]
		}
	}
	r.readRole(keys, &g, w)
	if g.Adopted {
		r.refuseOwners(keys)
	} else {
		r.require(v, keys, "a grant", "permissions", "permissions: [ReadOnlyAccess]")
		g.Permissions = r.permissions(keys["permissions"], p.Account)
	}
	if arn, ok := r.text(keys["boundary"], "boundary"); ok {
		g.Boundary = arn
		if !boundaryForm.MatchString(arn) {
			r.errorf(keys["boundary"], "", "boundary: arn:aws:iam::444455556666:policy/ProviderBoundary", "boundary must be the ARN of a managed policy: %.100q", arn)
		}
	}
	r.readExternalID(keys, &g)
	r.readTimes(keys, &g)
	g.SourceIdentity = r.boolean(keys["sourceIdentity"], "sourceIdentity", false)
	g.MayShareResources = r.boolean(keys["mayShareResources"], "mayShareResources", false)
	g.MayAssumeRoles = r.readAssumable(keys["mayAssumeRoles"])
	g.PickUp = r.readPickUp(keys["pickUp"], g.ExternalID)
	g.Notify = r.readNotify(keys["notify"], w.access.MailFrom)
	p.Grants = append(p.Grants, g)
	return grantPlace{g, keys["name"], keys["notify"]}, true
}

func (r *reader) readRole(keys map[string]value, g *Grant, w *whole) {
	g.RoleName, g.RolePath = g.Name.DefaultRole(), grant.DefaultRolePath
	at := keys["name"]
	if v := keys["role"]; v.present() {
		role, ok := r.object(v, "role", roleKeys)
		if !ok {
			return
		}
		if g.Adopted = r.boolean(role["adopted"], "adopted", false); g.Adopted {
			g.RolePath = "/"
			r.require(v, role, "an adopted role", "name", "name: VendorAccess")
		}
		if name, ok := r.text(role["name"], "name"); ok {
			g.RoleName, at = name, role["name"]
			if !roleForm.MatchString(name) {
				r.errorf(at, "1 to 64 letters, digits and +.@-_", "", "not a role's name: %.80q", name)
			}
		}
		if path, ok := r.text(role["path"], "path"); ok {
			g.RolePath = path
			if !rolePathForm.MatchString(path) || len(path) > 512 {
				parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
				fixed := "/" + strings.Join(parts, "/") + "/"
				if !rolePathForm.MatchString(fixed) || len(fixed) > 512 {
					fixed = "/"
				}
				r.errorf(role["path"], "it begins and ends with / and has at most 512 characters", "path: "+fixed, "not a role's path: %.80q", path)
			}
		}
	}
	if g.Adopted {
		if why := grant.Unadoptable(g.RoleName, g.RolePath); why != "" {
			r.errorf(at, why, "", "role %.64s can't be adopted", g.RoleName)
		}
	}
	if g.Name == "" {
		return
	}
	key := strings.ToLower(g.RoleName)
	if earlier, twice := w.roles[key]; twice && !r.reportedAt(keys["name"].field) {
		r.errorf(at, r.alsoAt(earlier), "give one of them another role name", "two grants have the role %s", g.RoleName)
		return
	}
	w.roles[key] = at
}

// ownersKeys are what an adopted role's owner decides, and not this file.
var ownersKeys = []string{"permissions", "boundary", "maxSession", "expires", "sourceIdentity", "mayShareResources", "mayAssumeRoles"}

// refuseOwners refuses what an adopted role's owner decides.
func (r *reader) refuseOwners(keys map[string]value) {
	for _, key := range ownersKeys {
		if keys[key].present() {
			r.errorf(keys[key], "it stays what its owner makes it", "leave "+key+" out", "%s of an adopted role: Countersign changes its external ID only", key)
		}
	}
	if v := keys["externalId"]; v.present() && isBooleanNode(v) && !r.boolean(v, "externalId", true) {
		r.errorf(v, "", "leave externalId out", "an adopted role without an external ID has nothing to rotate")
	}
}

// readExternalID reads externalId, rotateEvery and overlap, which belong together.
func (r *reader) readExternalID(keys map[string]value, g *Grant) {
	if v := keys["externalId"]; v.present() && !isBooleanNode(v) {
		r.hide(v)
		r.errorf(v, "", "externalId: true", "externalId is true or false: the ID itself never stands in this file")
		g.ExternalID = true
	} else {
		g.ExternalID = r.boolean(v, "externalId", true)
	}
	if !g.ExternalID {
		g.RotateEvery = Never
		for _, key := range []string{"issuedBy", "rotateEvery", "overlap", "whenUnconfirmed", "providerMay"} {
			if keys[key].present() {
				r.errorf(keys[key], "", "leave it out, or externalId: true", "%s without an external ID: there is nothing to rotate", key)
			}
		}
		r.warnf(keys["externalId"], "whoever is let by the provider's account enters", "externalId: true",
			"no external ID: one customer's access can be used for another (confused deputy)")
		return
	}
	r.readIssuer(keys["issuedBy"], g)
	r.readConfirmation(keys, g)
	schedule, ok := r.readSchedule(keys["rotateEvery"], g)
	if !ok {
		return
	}
	r.readOverlap(keys["overlap"], g, schedule)
}

func (r *reader) readSchedule(v value, g *Grant) (Schedule, bool) {
	g.RotateEvery = Monthly
	if g.IssuedBy == grant.IssuedByProvider {
		g.RotateEvery = Never
	}
	if v.present() {
		text, isText := r.scalar(v)
		if !isText {
			r.errorf(v, r.found(v), "rotateEvery: monthly", "rotateEvery must be text")
			return Schedule{}, false
		}
		g.RotateEvery = Every(text)
	}
	s, ok := g.RotateEvery.schedule(g.Name)
	if ok && !s.IsZero() && s.Interval <= s.Window {
		r.errorf(v, "the window of N days is open all day", "rotateEvery: daily", "%s leaves no time for an overlap", g.RotateEvery)
		return Schedule{}, false
	}
	if ok && g.IssuedBy == grant.IssuedByProvider && g.RotateEvery != Never {
		r.errorf(v, "no schedule knows the provider's next one", "rotateEvery: never", "external IDs that the provider issues come by: countersign rotate GRANT --to -")
		return Schedule{}, false
	}
	if !ok {
		message, fix := badSchedule(string(g.RotateEvery))
		r.errorf(v, "", "rotateEvery: "+fix, "%s", message)
	}
	return s, ok
}

// badSchedule says why a text is no schedule, and which one is near.
func badSchedule(s string) (message, fix string) {
	flat := strings.ToLower(strings.TrimSpace(s))
	for _, e := range []Every{Daily, Weekly, Monthly, Never} {
		if flat == string(e) {
			return fmt.Sprintf("%q is not a schedule: lower case", s), flat
		}
	}
	const all = "4h, 6h, 8h, 12h, daily, weekly, monthly, N days or never"
	if d, err := time.ParseDuration(flat); err == nil || flat == "hourly" {
		switch {
		case d < 4*time.Hour:
			return fmt.Sprintf("%.40s is too often: Secrets Manager rotates every 4h at most", s), "4h"
		case d == 24*time.Hour:
			return fmt.Sprintf("%.40s is not a schedule", s), string(Daily)
		case d < 24*time.Hour:
			fix = "4h"
			for _, n := range []string{"6h", "8h", "12h"} {
				if e, _ := time.ParseDuration(n); e <= d {
					fix = n
				}
			}
			return fmt.Sprintf("%.40s does not divide a day into Secrets Manager's windows", s), fix
		default:
			return fmt.Sprintf("%.40s is not a schedule: more than a day is given in days", s), fmt.Sprintf("%d days", min(999, int(d.Hours()/24)))
		}
	}
	var n int
	var unit string
	if got, _ := fmt.Sscanf(flat, "%d %s", &n, &unit); got >= 1 && n > 0 {
		switch {
		case unit == "day" || unit == "days" || unit == "d" || unit == "":
			if n > 999 {
				return fmt.Sprintf("%.40s is too seldom: Secrets Manager counts to 999 days", s), "999 days"
			}
			return fmt.Sprintf("%.40s is not a schedule: %s", s, all), fmt.Sprintf("%d days", n)
		case strings.HasPrefix(unit, "week"):
			return fmt.Sprintf("%.40s is not a schedule: %s", s, all), fmt.Sprintf("%d days", min(999, 7*n))
		case strings.HasPrefix(unit, "month"):
			return fmt.Sprintf("%.40s is not a schedule: %s", s, all), fmt.Sprintf("%d days", min(999, 30*n))
		}
	}
	words := []string{string(Daily), string(Weekly), string(Monthly), string(Never)}
	if near := nearest(flat, words); near != "" {
		return fmt.Sprintf("%.40q is not a schedule", s), near
	}
	return fmt.Sprintf("%.40q is not a schedule: %s", s, all), string(Monthly)
}

func (r *reader) readOverlap(v value, g *Grant, s Schedule) {
	g.Overlap = s.defaultOverlap()
	if !v.present() {
		return
	}
	d, ok := r.duration(v, "overlap")
	if !ok {
		return
	}
	switch room := s.Interval - s.Window; {
	case d < 0:
		r.errorf(v, "", "overlap: "+short(g.Overlap), "overlap can't be negative")
	case !s.IsZero() && d >= room:
		r.errorf(v, fmt.Sprintf("%s less its window is %s", g.RotateEvery, short(room)), "overlap: "+short(g.Overlap),
			"overlap %s does not end before the next rotation: it must be shorter than %s", short(d), short(room))
	case d > 999*24*time.Hour:
		r.errorf(v, "", "overlap: 24h", "overlap %s is longer than 999 days", short(d))
	case d < 15*time.Minute:
		r.warnf(v, "", "overlap: "+short(g.Overlap), "an overlap of %s: a provider that looks less often is locked out at each rotation", short(d))
	}
	g.Overlap = d
}

func (r *reader) readTimes(keys map[string]value, g *Grant) {
	g.MaxSession = time.Hour
	if v := keys["maxSession"]; v.present() {
		if d, ok := r.duration(v, "maxSession"); ok {
			g.MaxSession = d
			if d < time.Hour || d > 12*time.Hour || d%time.Second != 0 {
				r.errorf(v, "AWS's limits of a role's sessions", "maxSession: 1h", "maxSession must be from 1h to 12h")
			} else if d > time.Hour {
				r.warnf(v, "AWS caps role chaining at 1h", "", "only a provider that enters as a user gets sessions of %s; from a role it is 1h at most", short(d))
			}
		}
	}
	v := keys["expires"]
	text, ok := r.text(v, "expires")
	if !ok {
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case err != nil:
		fix := `expires: "` + r.now.UTC().AddDate(0, 3, 0).Format("2006-01-02") + `T23:59:59Z"`
		if day, err := time.Parse(time.DateOnly, strings.TrimSpace(text)); err == nil {
			fix = `expires: "` + day.Format(time.DateOnly) + `T23:59:59Z"`
		}
		r.errorf(v, "date, T, time, Z", fix, "expires must be a time in RFC 3339, UTC: %.40q", text)
		return
	case !strings.HasSuffix(text, "Z") || at.Nanosecond() != 0:
		r.errorf(v, "one form, so that everybody reads the same time", `expires: "`+at.UTC().Format(time.RFC3339)+`"`, "expires must be UTC, to the second: %.40q", text)
		return
	case !at.After(r.now):
		r.errorf(v, "", "a later time, or take the grant out of the file", "the grant's end is past")
	}
	g.Expires = at.UTC()
}

// readAssumable reads the roles that the guard lets the provider assume from here.
func (r *reader) readAssumable(v value) []string {
	var out []string
	for _, item := range r.list(v, "mayAssumeRoles") {
		arn, ok := r.text(item, "a role")
		if !ok {
			continue
		}
		m := assumeForm.FindStringSubmatch(arn)
		switch {
		case strings.ContainsAny(arn, "*?"):
			r.errorf(item, "a pattern also matches roles that come later", "name each role", "mayAssumeRoles takes whole ARNs: %.100q", arn)
		case m == nil:
			r.errorf(item, "", "- arn:aws:iam::444455556666:role/Deploy", "not a role's ARN: %.100q", arn)
		case strings.HasPrefix(m[2], "cdk-"):
			r.errorf(item, "CDK's roles deploy as administrator", "", "this role would lift every limit of the grant")
		default:
			out = append(out, arn)
		}
	}
	return out
}

// duration reads "24h", "90m" or "2 days".
func (r *reader) duration(v value, what string) (time.Duration, bool) {
	text, ok := r.scalar(v)
	if !ok {
		r.errorf(v, r.found(v), entry(v, "24h"), "%s must be a duration", what)
		return 0, false
	}
	if m := dayForm.FindStringSubmatch(text); m != nil {
		var n int
		_, _ = fmt.Sscan(m[1], &n)
		return time.Duration(n) * 24 * time.Hour, true
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		fix := "24h"
		if isDigits(text) {
			fix = text + "h"
		}
		r.errorf(v, "a number with h or m, or N days", entry(v, fix), "%s must be a duration: %.40q", what, text)
		return 0, false
	}
	return d, true
}

// short writes a duration as people do: 24h, 90m, 1h30m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
