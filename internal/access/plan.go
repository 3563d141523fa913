package access

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Site is where a grant is deployed. At synth its fields may be CloudFormation's tokens.
type Site struct {
	Partition string // aws, aws-cn, aws-us-gov
	Account   string // the customer's
	Region    string
	SecretARN string // of the grant's secret; ignored where it has no external ID
	KeyARN    string // of the stack's key; the same
	API       string // URL of Countersign's API, with a slash at its end; the same
}

// RoleARN is the ARN of the grant's role.
func (e Entry) RoleARN(s Site) string {
	return fmt.Sprintf("arn:%s:iam::%s:role%s%s", s.Partition, s.Account, e.Grant.RolePath, e.Grant.RoleName)
}

// ConfirmURL is where the provider confirms that it uses a new external ID, "" where the site has no API.
func (e Entry) ConfirmURL(s Site) string {
	if s.API == "" {
		return ""
	}
	return s.API + "grants/" + string(e.Grant.Name) + "/confirm"
}

// Plan is the content of the grant's plan parameter at that site.
func (e Entry) Plan(s Site) grant.Plan {
	p, g := e.Provider, e.Grant
	plan := grant.Plan{
		Grant: g.Name, Provider: p.Name, ProviderAccount: p.Account, Account: s.Account, Region: s.Region,
		RoleARN: e.RoleARN(s), Adopted: g.Adopted, NoExternalID: !g.ExternalID,
		Principals:     []string{"arn:" + s.Partition + ":iam::" + p.Account + ":root"},
		SourceIdentity: g.SourceIdentity, Quota: e.quota, Expires: g.Expires, Notify: g.Notify,
	}
	if !g.Adopted { // whose own conditions stay
		plan.Conditions = p.TrustConditions(s.Partition)
	}
	if g.ExternalID {
		plan.SecretARN, plan.KeyARN, plan.Prefix = s.SecretARN, s.KeyARN, p.Prefix
		plan.ConfirmURL = e.ConfirmURL(s)
		plan.RotateEvery, plan.Overlap = string(g.RotateEvery), grant.Duration(g.Overlap)
		plan.IssuedBy, plan.WhenUnconfirmed, plan.ProviderMay = g.IssuedBy, g.WhenUnconfirmed, g.ProviderMay
	}
	return plan
}

// TrustConditions are what the provider's account alone doesn't say. Principals are matched by name, not trusted as
// principals: a role that is deleted and made again keeps its access, and the document keeps its size.
func (p *Provider) TrustConditions(partition string) trust.Conditions {
	c := trust.Conditions{}
	if arns := p.PrincipalARNs(partition); len(arns) > 0 {
		c["ArnLike"] = map[string][]string{"aws:PrincipalArn": arns}
	}
	if p.Organization != "" {
		c["StringEquals"] = map[string][]string{"aws:PrincipalOrgID": {p.Organization}}
	}
	if len(c) == 0 {
		return nil
	}
	return c
}

// PrincipalARNs are the patterns that aws:PrincipalArn has to match; none: whoever the provider's account lets.
func (p *Provider) PrincipalARNs(partition string) []string {
	var out []string
	for _, pattern := range p.Principals {
		if !strings.HasPrefix(pattern, "arn:") {
			pattern = "arn:" + partition + ":iam::" + p.Account + ":" + pattern
		}
		out = append(out, pattern)
	}
	return out
}

// widest is the site whose names are as long as AWS's get: a plan that fits there fits everywhere.
func (e Entry) widest() Site {
	const partition, account, region = "aws-us-gov", "000000000000", "ap-southeast-2"
	return Site{
		Partition: partition, Account: account, Region: region,
		SecretARN: fmt.Sprintf("arn:%s:secretsmanager:%s:%s:secret:%s-AbCdEf", partition, region, account, e.Grant.Name.Secret()),
		KeyARN:    fmt.Sprintf("arn:%s:kms:%s:%s:key/00000000-0000-0000-0000-000000000000", partition, region, account),
		API:       "https://0000000000.execute-api." + region + ".amazonaws.com.cn/v1/",
	}
}

// planSize is the most bytes that the plan's JSON takes anywhere.
func (e Entry) planSize() int {
	b, err := json.Marshal(e.Plan(e.widest()))
	if err != nil {
		return MaxPlan + 1 // can't be written, so it doesn't fit
	}
	return len(b)
}

// trustSize is the size of the largest trust policy that the grant's role will have, IDs as long as they are made.
func (e Entry) trustSize(partition string) (int, error) {
	born, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		return 0, fmt.Errorf("reading the template's trust policy: %w", err)
	}
	site := e.widest()
	site.Partition = partition
	t := e.Plan(site).Trust()
	if e.Grant.ExternalID {
		sample := func(c string) string {
			id := strings.Repeat(c, 32)
			if e.Provider.Prefix != "" {
				return e.Provider.Prefix + "-" + id
			}
			return id
		}
		t.Current, t.Pending = sample("A"), sample("B")
		t.Previous = trust.Previous{ID: sample("C"), Until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	t.Quota = 1 << 20 // measured here, judged by the caller
	return trust.Largest(born, t)
}

// Logical writes a grant's name in letters and digits, a different one for each name, as the stack's outputs RoleArn… and
// Revoke… end: "my-grant" is MyGrant, and an X stands for a hyphen that no plain lower-case letter follows.
func Logical(name grant.Name) string {
	var out strings.Builder
	upper := true
	for i := range len(name) {
		next := byte(0)
		if i+1 < len(name) {
			next = name[i+1]
		}
		switch c := name[i]; {
		case c == '-' && (next < 'a' || next > 'z' || next == 'x'):
			out.WriteByte('X')
		case c == '-':
			upper = true
		case upper:
			out.WriteString(strings.ToUpper(string(rune(c))))
			upper = false
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
