package adopt_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/adopt"
	"github.com/countersign/countersign/internal/adopt/adopttest"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
	"github.com/countersign/countersign/internal/trust"
)

const roleARN = "arn:aws:iam::444455556666:role/NorthwindAccess"

// account is a customer's account with a role that was there before, and its functions.
type account struct {
	*simtest.World
	*testing.T
	ctx    context.Context
	plan   grant.Plan
	caller string
	ours   []string // external IDs of the provider, the first one first
}

// newAccount makes a role with this trust policy, and deploys the grant that adopts it.
func newAccount(t *testing.T, document []byte, change ...func(*grant.Plan)) *account {
	t.Helper()
	a := &account{T: t, ctx: context.WithoutCancel(t.Context()), caller: simtest.Provider, ours: []string{adopttest.ID}}
	a.World = simtest.New(simtest.Config{})
	a.IAM.AddPrincipal("arn:aws:iam::111122223333:user/loader")
	a.plan = simtest.Migration()
	a.plan.Adopted, a.plan.Conditions, a.plan.RoleARN, a.plan.Prefix = true, nil, roleARN, ""
	a.plan.WhenUnconfirmed = grant.UnconfirmedCut
	for _, c := range change {
		c(&a.plan)
	}
	_, err := a.IAM.CreateRole("NorthwindAccess", document, sim.RoleOptions{Tags: map[string]string{"team": "data"}})
	a.must(err)
	a.must(a.IAM.PutInlinePolicy(a.ctx, "NorthwindAccess", "work", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)))
	a.must(a.IAM.PutInlinePolicy(a.ctx, "NorthwindAccess", grant.RevocationPolicy, []byte(grant.OpenRevocation)))
	a.must(a.Create(a.plan))
	a.must(a.CustomGrant(a.ctx, a.plan.Grant, "Create"))
	return a
}

func (a *account) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func (a *account) live() adopt.Live {
	a.Helper()
	l, err := adopt.Look(a.ctx, a.IAM, roleARN)
	a.must(err)
	return l
}

func (a *account) adopt() (adopt.Handed, error) {
	a.Helper()
	id, err := grant.ParseID(adopttest.ID)
	a.must(err)
	l, err := adopt.Look(a.ctx, a.IAM, roleARN)
	if err != nil {
		return adopt.Handed{}, err
	}
	return adopt.Hand{Secrets: a.Secrets, Roles: a.IAM}.Over(a.ctx, a.plan, l, id)
}

func (a *account) release() adopt.Release {
	return adopt.Release{Roles: a.IAM, Secrets: a.Secrets, Now: a.Now, Wait: a.Wait, Log: slog.New(slog.DiscardHandler), Patience: 6 * time.Minute}
}

// enters asserts with which of our IDs the provider gets in.
func (a *account) enters(ids ...string) {
	a.Helper()
	for _, id := range a.ours {
		got := a.STS.Verdict(a.caller, roleARN, id, "jdoe", sim.Assume{}).Effect == "allow"
		if want := slices.Contains(ids, id); got != want {
			a.Errorf("%s: the provider enters with ID %d: %v", a.Now().Format(time.DateTime), slices.Index(a.ours, id), got)
		}
	}
	if a.STS.Verdict(simtest.Stranger, roleARN, a.ours[len(a.ours)-1], "eve", sim.Assume{}).Effect == "allow" {
		a.Error("a stranger enters")
	}
}

func (a *account) rotated() string {
	a.Helper()
	token := fmt.Sprintf("rotate-%032d", len(a.ours))
	a.must(a.Secrets.Rotate(a.ctx, a.plan.SecretARN, token))
	a.must(a.RunRotations(a.ctx))
	_, value := a.Secrets.Labelled(a.plan.SecretARN, grant.StageCurrent)
	id, err := a.plan.DecodeVersion(grant.Version{ID: token, Value: value})
	a.must(err)
	a.ours = append(a.ours, id.Reveal())
	return id.Reveal()
}

// pen compares what is written into the trust policy with what was read before: foreign statements must be the same bytes.
type pen struct {
	*sim.IAM
	a    *account
	last []byte
	n    int
}

func (p *pen) Role(ctx context.Context, name string) (grant.Role, error) {
	r, err := p.IAM.Role(ctx, name)
	p.last = r.Trust
	return r, err
}

func (p *pen) SetTrust(ctx context.Context, name string, document []byte) error {
	p.n++
	var all []string
	for _, d := range [][]byte{p.last, document} {
		doc, err := trust.Parse(d)
		p.a.must(err)
		for _, accepted := range doc.Accepted() {
			if accepted.ID == adopttest.ID || len(accepted.ID) == 32 {
				all = append(all, accepted.ID)
			}
		}
	}
	before, err := adopttest.Foreign(p.last, all...)
	p.a.must(err)
	after, err := adopttest.Foreign(document, all...)
	p.a.must(err)
	if !slices.Equal(before, after) {
		p.a.Errorf("foreign statements were read as\n%s\nand written as\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	return p.IAM.SetTrust(ctx, name, document)
}

// Ten shapes of role are adopted, rotated twice and given back. The provider is in at each step, and what isn't ours stays.
func TestTenShapesAreAdoptedRotatedAndGivenBack(t *testing.T) {
	shapes, err := adopttest.Shapes("../..")
	if err != nil || len(shapes) != 10 {
		t.Fatal(len(shapes), err)
	}
	for _, shape := range shapes {
		t.Run(shape.Name, func(t *testing.T) {
			a := newAccount(t, shape.Document)
			if shape.Enters != "" {
				a.caller = "arn:aws:iam::111122223333:user/" + shape.Enters
			}
			p := &pen{IAM: a.IAM, a: a}
			a.Rotator.Roles, a.Reconciler.Roles = p, p
			original := a.live()
			id, err := grant.ParseID(adopttest.ID)
			a.must(err)
			seen := adopt.Inspect(original, adopt.Question{ID: id, WholeRole: shape.Whole}, a.Now())
			if len(seen.Refusals) > 0 || seen.Provider != "111122223333" || len(seen.Steps) != 2 || (len(seen.Others) > 0) != shape.Whole {
				t.Fatalf("%+v", seen)
			}
			if alone := adopt.Inspect(original, adopt.Question{}, a.Now()); (len(alone.Refusals) > 0) != (shape.Whole || shape.Several) {
				t.Errorf("asked for nothing, it says %+v", alone.Refusals)
			}
			a.enters(adopttest.ID)
			handed, err := a.adopt()
			a.must(err)
			if !slices.Equal(handed.Done, []string{"tags", "secret"}) || p.n > 0 {
				t.Errorf("the hand-over did %v and wrote the trust policy %d times", handed.Done, p.n)
			}
			_, err = a.Reconcile(a.ctx, a.plan.Grant)
			a.must(err)
			a.enters(adopttest.ID)
			for range 2 {
				before := a.ours[len(a.ours)-1]
				after := a.rotated()
				a.enters(before, after)
				a.Sleep(a.ctx, 25*time.Hour)
				_, err = a.Reconcile(a.ctx, a.plan.Grant)
				a.must(err)
				a.enters(after)
			}
			current := a.ours[2]
			r := a.release()
			r.Roles = giver{a.IAM, p}
			given, err := r.Do(a.ctx, a.plan, adopt.Terms{})
			a.must(err)
			if given.ExternalID.Reveal() != current || given.Closed {
				t.Errorf("given back: %+v", given)
			}
			a.enters(current)
			if p.n < 6 { // two rotations write thrice: the overlap, the deadline, its end
				t.Errorf("only %d writes were compared", p.n)
			}
			want, err := trust.Parse([]byte(strings.ReplaceAll(string(original.Trust.Bytes()), adopttest.ID, current)))
			a.must(err)
			l := a.live()
			if !l.Trust.Equal(want) {
				t.Errorf("given back is\n%s\nwant\n%s", l.Trust.Bytes(), want.Bytes())
			}
			if len(l.Tags) != 1 || l.Tags["team"] != "data" || !l.Released() {
				t.Errorf("tags %v, marked as given back: %v", l.Tags, l.Released())
			}
		})
	}
}

// giver is IAM whose trust policies go through the pen.
type giver struct {
	*sim.IAM
	pen *pen
}

func (g giver) Role(ctx context.Context, name string) (grant.Role, error) {
	return g.pen.Role(ctx, name)
}
func (g giver) SetTrust(ctx context.Context, name string, d []byte) error {
	return g.pen.SetTrust(ctx, name, d)
}
