package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

const (
	stackName = "ServiceProviderAccess"
	migration = grant.Name("migration")
	audit     = grant.Name("audit")
	console   = grant.Name("console")

	engineer = "arn:aws:iam::111122223333:role/Engineers-jdoe"
	legacy   = "arn:aws:iam::222233334444:role/Someone"

	otherAccount = "arn:aws:iam::777788889999:role/Engineers-jdoe"
	otherCaller  = "arn:aws:iam::111122223333:role/Operations-jdoe"
)

// synth gives the template of the first stack.
func synth(t *testing.T, yaml string, change ...func(*infra.ServiceProviderAccessProps)) *infratest.Template {
	t.Helper()
	return infratest.Synth(t, infratest.Access(t, yaml, policyFiles), change...)[0]
}

// live is an account on the embedded AWS with a stack of a synthesised template.
type live struct {
	*simtest.World
	t   *testing.T
	ctx context.Context

	plans map[grant.Name]grant.Plan // as deployed
	fail  func(cfn.Event) error     // of custom resources; nil: none fails
}

// deployed is an account whose grants are in the middle of an overlap.
func deployed(t *testing.T, tmpl *infratest.Template) *live {
	t.Helper()
	w := simtest.New(simtest.Config{AWS: sim.Config{Region: infratest.Usual.Region}})
	l := &live{World: w, t: t, ctx: context.WithoutCancel(t.Context())}
	w.Stacks.OnCustom("reconcile", func(ctx context.Context, e cfn.Event) (string, map[string]any, error) {
		id, data, err := w.Reconciler.CloudFormation(ctx, e)
		if err == nil && l.fail != nil {
			err = l.fail(e)
		}
		return id, data, err
	})
	layout, grants := l.read(tmpl)
	l.must(w.Stacks.CreateLayout(l.ctx, stackName, layout, grants...))
	for _, name := range slices.Sorted(maps.Keys(l.plans)) {
		if !l.plans[name].NoExternalID {
			_, err := l.Rotate(l.ctx, name, false)
			l.must(err)
		}
	}
	l.must(l.RunRotations(l.ctx))
	l.Sleep(l.ctx, time.Hour)
	return l
}

// read is what a template says of its grants. The functions of the account know them from now on.
func (l *live) read(tmpl *infratest.Template) (layout sim.Layout, grants []sim.Template) {
	l.t.Helper()
	l.plans = map[grant.Name]grant.Plan{}
	clear(l.Grants)
	for _, name := range names(tmpl) {
		parameter := tmpl.One(l.t, "AWS::SSM::Parameter", "Name", name.Parameter())
		plan, err := grant.ParsePlan([]byte(tmpl.Text(parameter.Properties["Value"])), name)
		l.must(err)
		g := sim.Template{Plan: plan}
		if g.RoleStays = l.foreign(tmpl); !g.RoleStays {
			l.readRole(tmpl, &g)
		}
		for _, r := range tmpl.OfType(l.t, "AWS::IAM::Policy") {
			if tmpl.Text(r.Properties["Roles"]) != fmt.Sprintf("[%q]", plan.RoleName()) {
				continue
			}
			policy := sim.Policy{Name: tmpl.Text(r.Properties["PolicyName"]), Document: tmpl.Text(r.Properties["PolicyDocument"])}
			if policy.Name == grant.RevocationPolicy {
				g.Revocation = policy.Document
				continue
			}
			g.Policies = append(g.Policies, policy)
		}
		grants = append(grants, g)
		l.plans[name], l.Plans[name], l.Grants[name] = plan, plan, plan.RoleName()
	}
	properties := tmpl.OfType(l.t, "Custom::Layout")[0].Properties
	for name, into := range map[string]*int{"Shards": &layout.Shards, "ReshardedFrom": &layout.ReshardedFrom} {
		if _, err := fmt.Sscan(tmpl.Text(properties[name]), into); err != nil {
			l.t.Fatalf("%s: %v", name, err)
		}
	}
	layout.Name, _ = tmpl.Resolve(properties["Name"]).(string)
	for _, name := range properties["RemoveRevoked"].([]any) {
		layout.RemoveRevoked = append(layout.RemoveRevoked, name.(string))
	}
	slices.SortFunc(grants, func(a, b sim.Template) int { return strings.Compare(string(a.Plan.Grant), string(b.Plan.Grant)) })
	return layout, grants
}

// foreign says whether the role of a template with one grant is made elsewhere. Here it is made then, if it isn't there.
func (l *live) foreign(tmpl *infratest.Template) bool {
	stays := tmpl.Text(tmpl.OfType(l.t, "Custom::Grant")[0].Properties["RoleStays"]) == "true"
	if role := migration.DefaultRole(); stays && l.IAM.Shown(role, 0) == nil {
		_, err := l.IAM.CreateRole(role, []byte(trust.BornDocument), sim.RoleOptions{Path: grant.DefaultRolePath})
		l.must(err)
	}
	return stays
}

// readRole reads the role that a template makes for a grant.
func (l *live) readRole(tmpl *infratest.Template, g *sim.Template) {
	l.t.Helper()
	role := tmpl.One(l.t, "AWS::IAM::Role", "RoleName", g.Plan.RoleName())
	if got := tmpl.Text(role.Properties["AssumeRolePolicyDocument"]); !sameJSON(got, trust.BornDocument) {
		l.t.Errorf("the template's trust policy of %s: %s", g.Plan.Grant, got)
	}
	rest := map[string]any{}
	for p, v := range role.Properties {
		if p != "AssumeRolePolicyDocument" {
			rest[p] = v
		}
	}
	g.Description = tmpl.Text(rest)
	managed, _ := tmpl.Resolve(role.Properties["ManagedPolicyArns"]).([]any)
	for _, arn := range managed {
		if text := tmpl.Text(arn); !strings.Contains(text, "PickUp") {
			g.Policies = append(g.Policies, sim.Policy{ARN: text, Document: allowing(text)})
		}
	}
}

// allowing stands for a managed policy whose content isn't in the template.
func allowing(arn string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::%x/*"}]}`, arn)
}

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

// deploy updates the stack. A deploy that changes nothing of grants is none here. One that fails leaves the functions, and this
// account's memory, as they were.
func (l *live) deploy(was, tmpl *infratest.Template) error {
	l.t.Helper()
	layout, grants := l.read(tmpl)
	err := l.Stacks.UpdateLayout(l.ctx, stackName, layout, grants...)
	if err != nil && strings.Contains(err.Error(), "No updates are to be performed") {
		return nil
	}
	if err != nil {
		l.read(was)
	}
	return err
}

func (l *live) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// state is what a grant is to the outside. It prints no ID: fingerprints.
type state struct {
	Role               string
	Current, Previous  grant.ID
	Version            string
	Deadline           time.Time
	CurrentIn, PastIn  bool // engineer with the current ID, with the previous one
	NothingIn, WrongIn bool // engineer without an ID, with a random one
	StrangerIn         bool // somebody of no plan's with the current one
	Denied             bool
}

// look is the state of a grant whose provider comes as who.
func (l *live) look(name grant.Name, who string) (s state) {
	l.t.Helper()
	p := l.plans[name]
	s.Role = p.RoleARN
	id := map[string]string{}
	if !p.NoExternalID {
		for _, stage := range []string{grant.StageCurrent, grant.StagePrevious} {
			version, value, err := l.Read(l.ctx, name, stage)
			if err != nil && !errors.Is(err, grant.ErrNotFound) {
				l.t.Fatal(err)
			}
			if stage == grant.StageCurrent {
				s.Version = version
			}
			id[stage] = value
		}
		s.Current, s.Previous = parsed(id[grant.StageCurrent]), parsed(id[grant.StagePrevious])
	}
	role, err := l.IAM.Role(l.ctx, p.RoleName())
	l.must(err)
	doc, err := trust.Parse(role.Trust)
	l.must(err)
	s.Deadline, _ = s.Previous.DeadlineIn(doc)
	enters := func(who, id string) bool { return l.enters(who, p.RoleARN, id) }
	s.CurrentIn, s.PastIn = enters(who, id[grant.StageCurrent]), id[grant.StagePrevious] != "" && enters(who, id[grant.StagePrevious])
	s.NothingIn, s.WrongIn = enters(who, ""), enters(who, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	s.StrangerIn = enters(simtest.Stranger, id[grant.StageCurrent])
	inline, err := l.IAM.InlinePolicy(l.ctx, p.RoleName(), grant.RevocationPolicy)
	l.must(err)
	s.Denied = grant.ReadRevocation(inline).Denies
	return s
}

func (l *live) enters(who, roleARN, id string) bool {
	principal, keys := asPrincipal(who)
	return l.STS.Verdict(principal, roleARN, id, "jdoe", sim.Assume{Keys: keys}).Effect == trust.Allow
}

// asPrincipal is a caller's ARN and what else AWS knows of it.
func asPrincipal(who string) (arn string, keys map[string][]string) {
	if in, is := strings.CutSuffix(who, member); is {
		return in, map[string][]string{"aws:PrincipalOrgID": {"o-abc1234567"}}
	}
	return who, nil
}

// member marks a caller as one of the organization that a row names.
const member = " of o-abc1234567"

// rebuilt is how much sooner a deadline may be that was worked out anew, behind a birth document: its rotation's own waits. None is
// ever later.
const rebuilt = time.Minute

// differs compares two states, a rebuilt deadline aside.
func differs(want, now state) string {
	if sooner := want.Deadline.Sub(now.Deadline); 0 < sooner && sooner < rebuilt {
		want.Deadline = now.Deadline
	}
	return cmp.Diff(want, now)
}

func parsed(value string) grant.ID {
	id, err := grant.ParseID(value)
	if err != nil {
		return grant.ID{}
	}
	return id
}
