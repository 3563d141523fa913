package adopt

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// tagStack is the tag that CloudFormation gives to what a stack makes.
const tagStack = "aws:cloudformation:stack-name"

// Question is what a person says of the role to adopt.
type Question struct {
	ID        grant.ID // the provider's; zero: the only one that the role accepts
	Prefix    string   // of the provider's next IDs; may be empty
	Quota     int      // of trust policies; zero: AWS's default
	Session   bool     // sessions of the role read the external ID: a managed policy is attached
	WholeRole bool     // others who use the role may lose access by a revoke
	FromStack string   // stack of CloudFormation that is known to own the role; empty: none
	OurStack  string   // name of Countersign's own stack
	Deployed  bool     // the grant is there already: that it is revoked stands in nobody's way
}

// Inspection is what adopting the role means. It holds no external ID but by fingerprint.
type Inspection struct {
	Provider   string          `json:"providerAccount,omitempty"` // 12 digits
	ExternalID grant.ID        `json:"externalId,omitzero"`       // prints its fingerprint
	Findings   []trust.Finding `json:"findings"`
	Others     []trust.Entry   `json:"others"`               // who else loses access on a revoke
	Stack      string          `json:"ownerStack,omitempty"` // of CloudFormation, that owns the role
	TrustSize  int             `json:"trustSize,omitempty"`  // of the largest trust policy to come, white space aside
	TrustQuota int             `json:"trustQuota,omitempty"`
	InlineSize int             `json:"inlineSize"`
	Steps      []Step          `json:"steps"`
	Refusals   []Refusal       `json:"refusals"`
}

// Step is what changes in the trust policy at one step of a rotation.
type Step struct {
	When  string   `json:"when"`
	Lines []string `json:"changes"`
}

// Refusal is why the role can't be adopted as it is, and what to do.
type Refusal struct {
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// Inspect judges a role. Everything that stands in the way is told at once.
func Inspect(l Live, q Question, now time.Time) Inspection {
	i := Inspection{
		Findings: append([]trust.Finding{}, trust.Audit(l.Trust, trust.AuditOptions{Account: l.Account})...), Others: []trust.Entry{},
		Stack: l.Tags[tagStack], InlineSize: l.InlineSize(), Steps: []Step{}, Refusals: []Refusal{},
	}
	i.owners(l, q)
	if l.Closure().Closed() && !q.Deployed || l.Trust.Born() {
		i.refuse("the role is closed by Countersign's Deny", "restore the grant that closed it, or give it back open: countersign release GRANT --open")
		return i
	}
	if i.InlineSize+denyRoom > InlineQuota {
		i.refuse(fmt.Sprintf("its inline policies take %d of %d characters, and the Deny of a revocation needs %d", i.InlineSize, InlineQuota, denyRoom),
			"move an inline policy into a managed one")
	}
	if q.Session && l.Attached >= ManagedPolicy {
		i.refuse(fmt.Sprintf("it has %d managed policies, and one more lets its sessions read the external ID", l.Attached),
			"detach one, or let the provider read from its own account only: --pick-up account")
	}
	if i.choose(l, q); len(i.Refusals) > 0 && i.ExternalID.IsZero() {
		return i
	}
	i.rehearse(l, q, now)
	if n := len(i.Others); n > 0 && !q.WholeRole {
		i.refuse(fmt.Sprintf("a revoke closes the role for others too, who enter by %d other %s", n, plural(n, "way")),
			"give the provider a role of its own; or, if they may lose access, say --whole-role")
	}
	return i
}

func (i *Inspection) refuse(problem, fix string) {
	i.Refusals = append(i.Refusals, Refusal{problem, fix})
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// owners looks who writes the role besides.
func (i *Inspection) owners(l Live, q Question) {
	switch {
	case i.Stack == "":
	case i.Stack == q.OurStack || strings.HasPrefix(i.Stack, q.OurStack+"-"):
		i.refuse("it is Countersign's own: stack "+i.Stack+" made it", "a grant's role needs no adoption; a function's lets no provider in")
	case i.Stack != q.FromStack:
		i.refuse("stack "+i.Stack+" owns it: an update there that touches the role puts its trust policy back",
			"take the role out of that stack (DeletionPolicy: Retain, deploy, then leave the resource out); or, if its template leaves "+
				"the role alone, say so: --from-stack "+i.Stack)
	}
}

// choose finds the external ID, and whose it is.
func (i *Inspection) choose(l Live, q Question) {
	accepted := l.Trust.Accepted()
	switch {
	case len(accepted) == 0:
		i.refuse("no statement demands an external ID by StringEquals: there is nothing to rotate",
			"agree on one with the provider, let it use that, write it into the statement, then adopt")
		return
	case !q.ID.IsZero() && !q.ID.AcceptedBy(l.Trust):
		i.refuse("the external ID that was given stands in no statement", "give the one that the provider uses now: --id - reads it from stdin")
		return
	case !q.ID.IsZero():
		i.ExternalID = q.ID
	case len(accepted) > 1:
		i.refuse(fmt.Sprintf("the role accepts %d external IDs, and it can't tell which is the provider's", len(accepted)),
			"give the provider's: --id - reads it from stdin, --id @FILE from a file")
		return
	default:
		id, err := grant.ParseID(accepted[0].ID)
		if err != nil {
			i.refuse("the external ID in it is none that AWS takes", "write another one, agreed with the provider")
			return
		}
		i.ExternalID = id
	}
	accounts := map[string]bool{}
	for _, e := range l.Trust.Entrances() {
		if e.Fingerprint != i.ExternalID.Fingerprint() {
			i.Others = append(i.Others, e)
			continue
		}
		accounts[accountOf(e.Principal)] = true
		i.Provider = cmp.Or(accountOf(e.Principal), i.Provider)
	}
	if len(accounts) > 1 || i.Provider == "" {
		i.refuse("who enters with this external ID is not of one account", "a grant is for one provider: give each a statement and an ID of its own")
		i.Provider = ""
	}
}

// accountOf is the account of a principal as a trust policy names it, "" where it names none.
func accountOf(principal string) string {
	if parts := strings.Split(principal, ":"); len(parts) > 5 && parts[0] == "arn" {
		principal = parts[4]
	}
	if len(principal) != 12 || strings.Trim(principal, "0123456789") != "" {
		return ""
	}
	return principal
}

// rehearse applies the steps of a first rotation, and the Deny of a revocation, to the document as it stands.
func (i *Inspection) rehearse(l Live, q Question, now time.Time) {
	if i.Provider == "" {
		return
	}
	text := strings.Repeat("N", 32)
	if q.Prefix != "" {
		text = q.Prefix + "-" + text
	}
	next, err := grant.ParseID(text)
	if err != nil {
		i.refuse("the provider's prefix makes no external ID", "give it another prefix in access.yaml")
		return
	}
	plan := grant.Plan{Adopted: true, Principals: []string{"arn:" + l.Partition + ":iam::" + i.Provider + ":root"}, Quota: q.Quota}
	i.TrustQuota = cmp.Or(q.Quota, trust.DefaultQuota)
	opening := plan.TrustWith(grant.IDs{Current: i.ExternalID, Pending: next})
	promoted := plan.TrustWith(grant.IDs{Current: next, Previous: i.ExternalID, Until: time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC)})
	sized := opening
	sized.Quota = 1 << 20 // measured here
	if i.TrustSize, err = trust.Largest(l.Trust, sized); err != nil {
		i.refuse("its trust policy can't be edited safely: "+reason(err), "mend the statement first; nothing was changed")
		return
	}
	if i.TrustSize > i.TrustQuota {
		i.refuse(fmt.Sprintf("its trust policy would take up to %d characters, of %d: while two IDs are valid, and closed", i.TrustSize, i.TrustQuota),
			fmt.Sprintf("save %d, or have AWS raise the quota and set trustPolicyQuota", i.TrustSize-i.TrustQuota))
		return
	}
	named := strings.NewReplacer(next.Fingerprint(), "the new ID", "2038-01-19T03:14:07Z", "the overlap's end")
	doc := l.Trust
	for _, step := range []struct {
		when string
		plan trust.Plan
	}{{"a rotation begins", opening}, {"the new ID is current", promoted}} {
		after, diff, err := trust.Apply(doc, step.plan)
		if err == nil {
			err = trust.Check(doc, after, step.plan, now)
		}
		if err != nil {
			i.refuse("its trust policy can't be edited safely: "+reason(err), "mend the statement first; nothing was changed")
			return
		}
		s := Step{When: step.when}
		for _, line := range diff.Lines {
			s.Lines = append(s.Lines, named.Replace(line))
		}
		i.Steps, doc = append(i.Steps, s), after
	}
	if _, _, err := trust.Apply(l.Trust, trust.Plan{Role: trust.Adopted, Gate: trust.Close, Quota: q.Quota}); err != nil {
		i.refuse("it could not be closed: "+reason(err), "make room for the Deny")
	}
}

// reason is a refusal of package trust without its first word.
func reason(err error) string { return strings.TrimPrefix(err.Error(), "refused: ") }
