package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/gate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// kind is what becomes of a grant.
type kind string

const (
	added     kind = "new"
	removed   kind = "removed"
	changed   kind = "changed"
	unchanged kind = "unchanged"
)

// change is what a deploy does to one grant. External IDs are fingerprints.
type change struct {
	Grant           string `json:"grant"`
	Kind            kind   `json:"change"`
	Provider        string `json:"provider"`
	ProviderAccount string `json:"providerAccount"`
	Role            string `json:"role"` // its name, as it will be
	Revoked         bool   `json:"revoked,omitempty"`

	Deletes []string `json:"deletes,omitempty"` // parts that go, and what goes with them

	Gains  []trust.Entry `json:"gains,omitempty"`
	Loses  []trust.Entry `json:"loses,omitempty"`
	Keeps  []trust.Entry `json:"keeps,omitempty"` // who keeps a way in, with another end or under other conditions
	Fields []field       `json:"fields,omitempty"`
	Notes  []string      `json:"notes,omitempty"`

	Problem string `json:"problem,omitempty"` // why it can't be followed
}

// field is one thing said of a grant, before and after.
type field struct {
	Name   string   `json:"name"` // as in access.yaml
	Before []string `json:"before"`
	After  []string `json:"after"`
	label  string   // for a terminal, nine characters at most
}

// freshID stands where a fingerprint would, for an external ID that is made after the deploy.
const freshID = "a new external ID"

// compare says what a deploy of access.yaml does to each grant: those of the file in its order, then those that go.
func compare(a *access.Access, base string, stands []standing, partition string) []change {
	var out []change
	for _, e := range a.Entries() {
		i := slices.IndexFunc(stands, func(s standing) bool { return s.plan.Grant == e.Grant.Name })
		if i < 0 {
			out = append(out, arrives(e, partition))
			continue
		}
		out = append(out, becomes(e, stands[i], access.StackName(base, e.Shard)))
	}
	for _, s := range stands {
		if _, stays := a.Find(s.plan.Grant); !stays {
			out = append(out, goes(s, slices.Contains(a.RemoveRevoked, s.plan.Grant)))
		}
	}
	renamed(out)
	return out
}

// arrives is a grant that isn't deployed yet.
func arrives(e access.Entry, partition string) change {
	p := e.Plan(access.Site{Partition: partition})
	c := changeOf(added, p)
	if p.Adopted {
		c.Notes = append(c.Notes, "its role stays as it is; behind the deploy hand its external ID over: countersign adopt, with the ARN of "+p.RoleName())
		return c
	}
	after, err := opening(p)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	c.Gains = fresh(entriesOf(after), p)
	c.Fields = fieldsOf(grant.Plan{}, p, nil, mayDo(e.Grant))
	return c
}

// becomes is a grant that stays: what of it changes.
func becomes(e access.Entry, s standing, stack string) change {
	site := access.Site{
		Partition: strings.Split(s.plan.RoleARN, ":")[1], Account: s.plan.Account, Region: s.plan.Region,
		SecretARN: s.plan.SecretARN, KeyARN: s.plan.KeyARN,
	}
	p := e.Plan(site)
	c := changeOf(unchanged, p)
	before, after := permissions(e.Grant.Permissions, s.policies, site.Partition)
	if p.Adopted {
		before = after // its owner's
	}
	c.Fields = fieldsOf(s.plan, p, before, after)
	read := slices.ContainsFunc(s.policies, func(a attached) bool { return a.pickUp }) // what its account reads stands in the secret's policy
	if reads := e.Grant.PickUp.Session; read != reads {
		c.Fields = append(c.Fields, field{"pickUp", list(inSession(read)), list(inSession(reads)), "reads"})
	}
	if s.bus != e.Provider.Bus { // it stands in no plan: a rule of the stack has it
		c.Fields = append(c.Fields, field{"bus", list(one(s.bus)), list(one(e.Provider.Bus)), "bus"})
	}
	moved := s.stack != stack
	replaced := moved || p.RoleARN != s.plan.RoleARN
	if replaced {
		c.Deletes = append(c.Deletes, endOfRole(s.plan)...)
	}
	if moved || p.NoExternalID {
		c.Deletes = append(c.Deletes, endOfSecret(s.plan)...)
	}
	switch {
	case moved:
		c.Notes = append(c.Notes, "moves from stack "+s.stack+" to "+stack+": role and secret are made anew, and nobody gets in meanwhile")
	case replaced && s.plan.Adopted:
		c.Notes = append(c.Notes, "role "+s.plan.RoleName()+" keeps its external ID, which nobody rotates any more; to give it back, before: countersign release "+c.Grant)
	case replaced && strings.EqualFold(p.RoleName(), s.plan.RoleName()):
		c.Problem = "its role has the name " + s.plan.RoleName() + " already, on another path, and IAM knows a name once: the deploy fails. Give it another name"
	case replaced && !s.closed:
		c.Notes = append(c.Notes, "its role is replaced: "+c.Provider+" needs the new one's ARN"+first(e.Grant))
	}
	// The secret's tag carries a revocation over to another role.
	c.Revoked = s.closed && (!replaced || !moved && !p.NoExternalID && !s.plan.NoExternalID)
	if s.closed && !c.Revoked && !s.plan.Adopted {
		c.Problem = "it is revoked, and the deploy is refused: what says so would go with its role, and it would open again. Leave role and shards as they are, or restore it first"
	}
	if s.plan.MayExtend() && !p.MayExtend() && !p.NoExternalID {
		c.Notes = append(c.Notes, "a previous external ID that waits to be confirmed ends with this deploy, if its overlap is over: countersign show "+c.Grant)
	}
	if len(c.Fields)+len(c.Notes)+len(c.Deletes) > 0 {
		c.Kind = changed
	}
	if s.plan.IssuedBy == grant.IssuedByProvider && p.IssuedBy != s.plan.IssuedBy && !p.NoExternalID {
		c.Problem = "its provider issued the external ID that is in, and the deploy is refused: Countersign can't follow on one that isn't its own. Leave issuedBy: provider, or make a grant of another name and then remove this one"
	}
	if c.Problem != "" || p.Adopted { // an adopted role's trust policy follows no plan but its owner's
		return c
	}
	if size, err := largest(s.doc, p); err != nil {
		c.Problem = err.Error()
	} else if quota := cmp.Or(p.Quota, trust.DefaultQuota); size > quota {
		c.Problem = fmt.Sprintf("the trust policy takes up to %d characters and the quota is %d: save %d", size, quota, size-quota)
	}
	if c.Revoked || c.Problem != "" {
		return c // nobody gets in before nor after
	}
	doc, drift, err := following(s.doc, p, replaced)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	if c.Kind == unchanged {
		if len(drift) > 0 {
			c.Notes = append(c.Notes, "drift, which is mended or reported without a deploy: countersign show "+c.Grant)
		}
		return c
	}
	changes := trust.Compare(s.doc, doc)
	c.Gains, c.Loses, c.Keeps = fresh(changes.Gains, p), changes.Loses, fresh(changes.Keeps, p)
	if s.closed {
		c.Loses = nil
	}
	return c
}

func changeOf(k kind, p grant.Plan) change {
	return change{Grant: string(p.Grant), Kind: k, Provider: p.Provider, ProviderAccount: p.ProviderAccount, Role: p.RoleName()}
}

// following is the trust policy after a deploy, and what reconcile changes in it whatever is deployed. A role that is
// replaced, and one that holds no external ID yet and needs one, opens with a fresh ID.
func following(doc *trust.Document, p grant.Plan, replaced bool) (*trust.Document, []string, error) {
	t := gate.Standing(doc, p, grant.ID{})
	if replaced || t.Current == "" && !p.NoExternalID {
		if doc.Born() && !replaced {
			return doc, nil, nil // its first external ID is on the way
		}
		after, err := opening(p)
		return after, nil, err
	}
	after, diff, err := trust.Apply(doc, t)
	return after, append(diff.Lines, diff.Drift...), err
}

// sampleID stands in a trust policy for an ID that doesn't exist yet. Its fingerprint is replaced by freshID.
const sampleID = "countersign-a-new-external-id-00000000"

// opening is the trust policy of a role that gets its first external ID.
func opening(p grant.Plan) (*trust.Document, error) {
	born, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		return nil, err
	}
	t := p.Trust()
	if !p.NoExternalID {
		t.Current = sampleID
	}
	after, _, err := trust.Apply(born, t)
	return after, err
}

// entriesOf are a document's ways in.
func entriesOf(doc *trust.Document) []trust.Entry {
	born, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		return nil
	}
	return trust.Compare(born, doc).Gains
}

// fresh says of the ID that doesn't exist yet that it is new.
func fresh(entries []trust.Entry, p grant.Plan) []trust.Entry {
	for i := range entries {
		if !p.NoExternalID && entries[i].Fingerprint == trust.Fingerprint(sampleID) {
			entries[i].Fingerprint = freshID
		}
	}
	return entries
}

// largest is the size of the largest trust policy on the way from a document through a rotation by the plan.
func largest(doc *trust.Document, p grant.Plan) (int, error) {
	return trust.Largest(doc, gate.Standing(doc, p, grant.ID{}))
}

// planFields are what is said of a grant beside who gets in, from its plan.
var planFields = []struct {
	name, label string
	of          func(grant.Plan) []string
}{
	{"account", "provider", func(p grant.Plan) []string { return one(p.Provider + " (" + p.ProviderAccount + ")") }},
	{"principals", "callers", func(p grant.Plan) []string {
		if patterns := p.Conditions["ArnLike"]["aws:PrincipalArn"]; len(patterns) > 0 {
			return patterns
		}
		return one("whomever account " + p.ProviderAccount + " lets")
	}},
	{"organization", "within", func(p grant.Plan) []string { return p.Conditions["StringEquals"]["aws:PrincipalOrgID"] }},
	{"externalId", "needs", func(p grant.Plan) []string {
		if p.NoExternalID {
			return one("no external ID")
		}
		return one("an external ID")
	}},
	{"prefix", "prefix", func(p grant.Plan) []string {
		if p.Prefix == "" {
			return nil
		}
		return one(p.Prefix + "-, in new external IDs")
	}},
	{"role", "role", func(p grant.Plan) []string { return one(p.RoleName()) }},
	{"expires", "ends", func(p grant.Plan) []string {
		if p.Expires.IsZero() {
			return one("when it is revoked")
		}
		return one(p.Expires.UTC().Format(time.RFC3339))
	}},
	{"rotateEvery", "rotates", func(p grant.Plan) []string { return one(p.RotateEvery) }},
	{"overlap", "overlap", func(p grant.Plan) []string {
		if p.NoExternalID {
			return nil
		}
		return one(spaced(time.Duration(p.Overlap)))
	}},
	{"issuedBy", "issued by", func(p grant.Plan) []string {
		if p.IssuedBy == grant.IssuedByProvider {
			return one("the provider")
		}
		return nil
	}},
	{"whenUnconfirmed", "confirms", func(p grant.Plan) []string {
		if p.NoExternalID {
			return nil
		}
		return one(string(cmp.Or(p.WhenUnconfirmed, grant.UnconfirmedCut)))
	}},
	{"providerMay", "may ask", func(p grant.Plan) (acts []string) {
		for _, act := range p.ProviderMay {
			acts = append(acts, string(act))
		}
		return acts
	}},
	{"sourceIdentity", "identity", func(p grant.Plan) []string {
		if p.SourceIdentity {
			return one("may name its engineer as source identity")
		}
		return nil
	}},
	{"notify", "tells", func(p grant.Plan) []string { return tells("", p.Notify) }},
	{"trustPolicyQuota", "quota", func(p grant.Plan) []string { return one(fmt.Sprint(cmp.Or(p.Quota, trust.DefaultQuota))) }},
}

// inSession says that a session may read its own grant's secret.
func inSession(reads bool) []string {
	if !reads {
		return nil
	}
	return one("a new external ID in its session")
}

func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// fieldsOf are the fields that differ. before is the zero plan where the grant is new.
func fieldsOf(before, after grant.Plan, could, can []string) []field {
	var out []field
	note := func(name, label string, b, a []string) {
		if !slices.Equal(b, a) {
			out = append(out, field{name, list(b), list(a), label})
		}
	}
	for _, f := range planFields {
		if before.Grant == "" {
			if slices.Contains([]string{"principals", "organization", "expires"}, f.name) {
				note(f.name, f.label, nil, f.of(after))
			}
			continue
		}
		note(f.name, f.label, f.of(before), f.of(after))
	}
	note("permissions", "may do", could, can)
	return out
}

// permissions names the policies that a role has and will have, the stack's own aside. A file whose content changes stands under two names.
func permissions(wanted []access.Permission, has []attached, partition string) (before, after []string) {
	contents := map[string][]byte{}
	for _, a := range has {
		if a.pickUp {
			continue
		}
		name := cmp.Or(a.file, policyName(a.arn))
		contents[name] = a.document
		before = append(before, name)
	}
	for _, w := range wanted {
		name := cmp.Or(w.File, policyName(w.PolicyARN(partition)))
		if old, there := contents[name]; there && w.File != "" && !sameJSON(old, w.Document) {
			name += " with other content"
		}
		after = append(after, name)
	}
	slices.Sort(before)
	slices.Sort(after)
	return before, after
}

// policyName is a policy of AWS's by its name, any other by its ARN.
func policyName(arn string) string {
	if _, name, ok := strings.Cut(arn, ":iam::aws:policy/"); ok {
		return name
	}
	return arn
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
