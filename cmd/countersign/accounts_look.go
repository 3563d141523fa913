package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/cloudformation"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// lookTime is how long an account may take until what it has is known. The API's list alone takes up to 28 s.
const lookTime = 45 * time.Second

// place is one Region of an account.
type place struct {
	cfg    aws.Config
	stacks []stack // ours, by their outputs
	plans  map[grant.Name]ssm.Found

	stacksErr, plansErr error
}

// look finds the grants of a provider in an account. The plans say whose each is; a stack's outputs say where its API is; IAM's list
// of roles says whether there are grants that neither knows of, as in another Region.
func (t *tour) look(ctx context.Context, f revokeFlags, s *site) {
	short, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	cfg, ok := t.enter(short, s)
	if !ok {
		return
	}
	places := make([]place, len(t.flags.regions))
	var wg sync.WaitGroup
	for i, region := range t.flags.regions {
		p := &places[i]
		p.cfg = cfg.Copy()
		p.cfg.Region = region
		wg.Go(func() { p.stacks, p.stacksErr = ourStacks(short, p.cfg) })
		wg.Go(func() { p.plans, p.plansErr = ssm.New(p.cfg).Plans(short) })
	}
	var roles []iam.Listed
	var rolesErr error
	wg.Go(func() { roles, rolesErr = iam.New(cfg).Roles(short, grant.DefaultRolePath) })
	wg.Wait()

	const may = "Who enters there has to be allowed ssm:GetParametersByPath, cloudformation:DescribeStacks and iam:ListRoles."
	complete := rolesErr == nil
	if rolesErr != nil {
		s.miss(fmt.Errorf("listing the roles under %s: %w", grant.DefaultRolePath, rolesErr), may)
	}
	var members []member
	for i := range places {
		p := &places[i]
		if p.plansErr != nil {
			s.miss(fmt.Errorf("reading the plans in %s: %w", p.cfg.Region, p.plansErr), may)
			complete = false
		}
		if p.stacksErr != nil {
			t.meter.note(fmt.Sprintf("%s: going on without the APIs in %s: %s", s.label(), p.cfg.Region, p.stacksErr))
		}
		for _, found := range p.plans {
			s.known = append(s.known, found.Provider)
		}
		members = append(members, t.membersAt(short, f, s, p)...)
	}
	s.batch = newBatch(members)
	if complete {
		t.lookForStrays(short, s, cfg, places, roles)
	}
}

// ourStacks are the stacks that have grants, whatever they are called: StackSets, links and Terraform name them each in their way.
func ourStacks(ctx context.Context, cfg aws.Config) (out []stack, err error) {
	all, err := cloudformation.New(cfg).Stacks(ctx)
	for _, s := range all {
		if s.Outputs["Grants"] != "" && s.Outputs["ApiUrl"] != "" {
			out = append(out, stack{s.Name, s.Outputs})
		}
	}
	return out, err
}

// membersAt are the grants of a provider in a Region, and those of which nobody can say whose they are.
func (t *tour) membersAt(ctx context.Context, f revokeFlags, s *site, p *place) (out []member) {
	claims := map[grant.Name][]stack{}
	names := map[grant.Name]bool{}
	for name, found := range p.plans {
		names[name] = found.Err != nil || found.Provider == f.provider
	}
	for _, of := range p.stacks {
		for _, text := range of.grants() {
			name, err := grant.ParseName(text)
			if err != nil {
				continue
			}
			claims[name] = append(claims[name], of)
			if _, planned := p.plans[name]; !planned {
				names[name] = true
			}
		}
	}
	told := map[string]map[grant.Name]member{} // by stack
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !names[name] {
			continue
		}
		m := member{name: name, account: s.ID, cfg: p.cfg}
		if len(claims[name]) == 1 { // two that claim it can't both be right
			m.stack = claims[name][0]
		}
		found, planned := p.plans[name]
		if !planned {
			found.Err = cmp.Or(p.plansErr, grant.ErrNotConfigured)
		}
		if m.stack.name != "" && !f.direct {
			of, asked := told[m.stack.name]
			if !asked {
				of = t.told(ctx, s, p.cfg, m.stack)
				told[m.stack.name] = of
			}
			if known, ok := of[name]; ok {
				m.client, m.Status = known.client, known.Status
			}
		}
		switch {
		case m.Grant == "": // the API has not told of it
			m = m.planned(ctx, found.Plan, found.Err)
		case found.Err == nil:
			m.Provider, m.RoleARN = found.Provider, found.RoleARN
		}
		if m.Provider == f.provider || m.Provider == "" {
			out = append(out, m)
		}
	}
	return out
}

// told are a stack's grants as its API tells them. Where it doesn't, for whatever reason, the role is gone to directly.
func (t *tour) told(ctx context.Context, s *site, cfg aws.Config, of stack) map[grant.Name]member {
	all, err := of.listed(ctx, cfg)
	if err != nil {
		t.meter.note(fmt.Sprintf("%s: going on without the API of %s: %s", s.label(), of.name, err))
	}
	out := make(map[grant.Name]member, len(all))
	for _, m := range all {
		out[m.name] = m
	}
	return out
}

// lookForStrays finds roles of ours that no plan knows of and that let somebody in.
func (t *tour) lookForStrays(ctx context.Context, s *site, cfg aws.Config, places []place, roles []iam.Listed) {
	ours := map[string]bool{}
	for _, p := range places {
		for name, found := range p.plans {
			ours[found.RoleName()] = true
			if found.Err != nil {
				ours[name.DefaultRole()] = true
			}
		}
		for _, of := range p.stacks {
			for _, text := range of.grants() {
				name := grant.Name(text)
				ours[cmp.Or(of.roleName(name), name.DefaultRole())] = true
			}
		}
	}
	for _, r := range roles {
		if ours[r.Name] {
			continue
		}
		role, err := iam.New(cfg).Role(ctx, r.Name)
		if errors.Is(err, grant.ErrNotFound) {
			continue
		}
		where, next := strings.Join(t.flags.regions, ", "), "--regions says where its stack is"
		if region := grant.SecretRegion(role.Tags[grant.TagSecret]); region != "" {
			next += ": its secret is in " + region
		}
		if err == nil {
			if doc, bad := trust.Parse(role.Trust); bad == nil && doc.Closed() {
				continue
			}
			err = errors.New("no grant there has it")
		}
		s.miss(fmt.Errorf("role %s, looked for in %s: %w", r.Name, where, err), next+".")
	}
}
