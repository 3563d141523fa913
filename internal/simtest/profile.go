package simtest

import (
	"context"
	"fmt"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// profile is what kind of run a seed gives: the grant, who takes part and how wild it gets.
type profile struct {
	plan    grant.Plan
	span    time.Duration // until everything comes to rest
	present [crowd]bool   // of everybody
	sticky  float64       // how often the same process goes on
	jumps   bool          // the clock may jump
	late    bool          // the actors come once the overlap of the first rotation is over
	mild    bool          // operators don't revoke
	forged  bool          // the forger takes part

	webhook   bool           // the provider has a webhook
	asks      []events.Class // what it wants to be told of
	unwilling float64        // how often it doesn't take a message
	gone      time.Duration  // when it answers 410 from then on; zero: never
}

// asks are what a destination may want to be told of; nil: what it hears if it says nothing.
var asks = [][]events.Class{nil, nil, {events.All}, {events.Revoke}, {events.Action}, {events.Revoke, events.Digest}}

const allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

const simulatedKey = "arn:aws:kms:eu-central-1:" + Customer + ":key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

func profileOf(d dice) profile {
	d = d.on("profile")
	p := profile{
		plan:   Migration(),
		span:   d.on("span").between(5*time.Hour, 10*time.Hour),
		sticky: pick(d.on("sticky"), []float64{0, 0, 0.5, 0.9}),
		jumps:  d.on("jumps").chance(0.3),
		late:   d.on("late").chance(0.5),
		mild:   d.on("mild").chance(0.35),
	}
	if hook := d.on("webhook"); hook.chance(0.2) {
		p.webhook, p.unwilling = true, pick(hook.nth(1), []float64{0, 0.3, 0.9})
		p.asks = pick(hook.nth(4), asks[:len(asks)-1])
		if hook.nth(2).chance(0.3) {
			p.gone = hook.nth(3).between(time.Hour, 5*time.Hour)
		}
	}
	p.plan.KeyARN = simulatedKey
	p.plan.Adopted = d.on("adopted").chance(0.25)
	if p.plan.Adopted {
		p.plan.Conditions = nil
	}
	p.plan.RotateEvery = pick(d.on("every"), []string{"4h", "4h", "6h", "never"})
	p.plan.Overlap = grant.Duration(pick(d.on("overlap"), []time.Duration{time.Hour, 2 * time.Hour, 150 * time.Minute}))
	p.plan.WhenUnconfirmed = pick(d.on("unconfirmed"), []grant.Unconfirmed{
		grant.UnconfirmedCut, grant.UnconfirmedCut, grant.UnconfirmedCut, grant.UnconfirmedAuto, grant.UnconfirmedAuto, grant.UnconfirmedExtend,
	})
	p.plan.Notify = grant.Notify{{Channel: grant.Mail, Address: "jdoe@hestio.example"}}
	p.plan.Notify[0].On = pick(d.on("mail"), asks)
	for i, a := range everybody {
		p.present[i] = d.on(a.name).chance(a.often)
	}
	if p.plan.RotateEvery == "never" && !p.present[actorOf("ann")] {
		p.plan.RotateEvery = "4h"
	}
	p.forged = p.present[actorOf("forger")]
	return p
}

// found makes the account: the grant is deployed, or adopted, and open.
func (p profile) found(r *run) error {
	everything := sim.Policy{Name: "everything", Document: allowAll}
	r.IAM.AddPrincipal(foreigner)
	if !p.plan.Adopted {
		return r.Deploy(r.ctx, p.plan, everything)
	}
	first := prefix + "-" + "AdoptedFromTheVendorsOwnConsole1"
	document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"Vendor","Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole",`+
		`"Condition":{"StringEquals":{"sts:ExternalId":%q},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/Engineers-*"}}}]}`,
		p.plan.Principals[0], first)
	if _, err := r.IAM.CreateRole(p.plan.RoleName(), []byte(document), sim.RoleOptions{Path: grant.DefaultRolePath}); err != nil {
		return err
	}
	for _, policy := range []sim.Policy{everything, {Name: grant.RevocationPolicy, Document: grant.OpenRevocation}} {
		if err := r.IAM.PutInlinePolicy(r.ctx, p.plan.RoleName(), policy.Name, []byte(policy.Document)); err != nil {
			return err
		}
	}
	if err := r.Create(p.plan); err != nil {
		return err
	}
	value := fmt.Sprintf(`{"grant":%q,"roleArn":%q,"externalId":%q}`, p.plan.Grant, p.plan.RoleARN, first)
	if err := r.Secrets.PutVersion(sim.As(r.ctx, "operator"), p.plan.SecretARN, "adopted-0123456789abcdef0123456789abcdef", []byte(value)); err != nil {
		return err
	}
	return r.CustomGrant(r.ctx, p.plan.Grant, "Create")
}

// actor is somebody who takes part in runs.
type actor struct {
	name  string
	often float64             // share of the runs
	act   func(*acting) error // until over; nil: AWS starts it by itself
}

// crowd is how many there are.
const crowd = 15

// everybody who takes part.
var everybody = [crowd]actor{
	{"secretsmanager", 1, nil}, // the rotation engine, with rotate inside
	{"reconcile", 1, nil},      // by timer and queue
	{"notify", 1, nil},         // by queue
	{"provider", 1, (*acting).provider},
	{"fleet", 0.5, (*acting).fleet},
	{"sleeper", 0.3, (*acting).sleeper},
	{"ann", 0.7, (*acting).operator},
	{"bob", 0.4, (*acting).operator},
	{"deploy", 0.5, (*acting).deploy},
	{"expiry", 0.15, (*acting).expiry},
	{"editor", 0.4, (*acting).editor},
	{"replay", 0.4, (*acting).replay},
	{"forger", 0.25, (*acting).forger},
	{"janitor", 0.4, (*acting).janitor},
	{"terraform", 0.3, (*acting).terraform}, // on adopted roles
}

func actorOf(name string) int {
	for i := range everybody {
		if everybody[i].name == name {
			return i
		}
	}
	panic("nobody is called " + name)
}

// acting is an actor in a run.
type acting struct {
	*run
	dice
	ctx   context.Context
	drawn int
}

// draw are the dice of the actor's next decision.
func (a *acting) draw() dice {
	a.drawn++
	return a.nth(a.drawn)
}

// rush is how far apart the moments are that many choose: the timer's is one of them.
const rush = 20 * time.Minute

// rest waits for a while, and says whether the actor shall go on. Often it goes on at a moment that others choose as well:
// what never happens at the same time never gets in each other's way.
func (a *acting) rest(lo, hi time.Duration) bool {
	d := a.draw()
	wait := d.between(lo, hi)
	if hi > rush && d.nth(1).chance(0.6) {
		since := a.Now().Add(wait).Sub(a.began)
		wait += rush - since%rush + d.nth(2).between(0, 2*time.Second)
	}
	return a.Wait(a.ctx, wait) == nil && !a.over
}

// insists tries up to n times.
func (a *acting) insist(n int, act func() error) (err error) {
	for range n {
		if err = act(); err == nil || !a.rest(time.Second, 30*time.Second) {
			return err
		}
	}
	return err
}
