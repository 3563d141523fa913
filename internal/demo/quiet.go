package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/cfn"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// The permissions of access.yaml, as far as the year needs AWS's policies of these names, that of the stack to read the own
// grant's secret, and the end that it binds every role with.
const (
	s3Full  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}`
	ec2Read = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","ec2:GetSecurityGroupsForVpc"],"Resource":"*"}]}`
	ownID   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"%s"}]}`
	expiry  = `{"Version":"2012-10-17","Statement":[{"Sid":"CountersignExpired","Effect":"Deny","Action":"*","Resource":"*",` +
		`"Condition":{"DateGreaterThan":{"aws:CurrentTime":"%s"}}}]}`
)

// born makes role, secret and plan, as the stack does.
func (y *Year) born(context.Context) error {
	y.holds = wrongID
	if err := y.World.Create(y.plan,
		sim.Policy{ARN: "arn:aws:iam::aws:policy/AmazonS3FullAccess", Document: s3Full},
		sim.Policy{ARN: "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess", Document: ec2Read},
		sim.Policy{Name: "PickUp", Document: fmt.Sprintf(ownID, y.plan.SecretARN)},
		sim.Policy{Name: grant.ExpiryPolicy, Document: fmt.Sprintf(expiry, y.plan.Expires.Format(time.RFC3339))},
	); err != nil {
		return fmt.Errorf("creating the grant: %w", err)
	}
	if err := y.World.IAM.SetMaxSession(y.plan.RoleName(), y.entry.Grant.MaxSession); err != nil {
		return fmt.Errorf("creating the grant: %w", err)
	}
	y.out("Hestio", hestio, wrongID)
	y.say("no ID yet: %s", y.out("Hestio", hestio, "").because())
	return nil
}

// granted is the end of the first deploy.
func (y *Year) granted(ctx context.Context) error {
	if err := y.World.CustomGrant(ctx, y.plan.Grant, cfn.RequestCreate); err != nil {
		return fmt.Errorf("deploying: %w", err)
	}
	if err := y.pickUp(ctx); err != nil {
		return err
	}
	id := y.holds
	y.say("%s  %s  %s  %s", y.in("Hestio "+idName(id), hestio, id), y.out("no ID", hestio, ""),
		y.out("wrong ID", hestio, wrongID), y.out("other account", stranger, id))
	s, err := y.open(ctx, time.Hour)
	if err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	y.say("once in: %s  %s  %s  %s", y.does(ctx, "write S3", s, "s3:PutObject", bucket+"/plan", true),
		y.does(ctx, "read EC2", s, "ec2:DescribeInstances", "*", true), y.does(ctx, "stop EC2", s, "ec2:StopInstances", instance, false),
		y.does(ctx, "IAM", s, "iam:CreateUser", "arn:aws:iam::"+simtest.Customer+":user/eve", false))
	y.mood = open
	return nil
}

// outsiders have what they shouldn't.
func (y *Year) outsiders(ctx context.Context) error {
	y.World.Sleep(ctx, time.Date(2026, 2, 20, 14, 10, 0, 0, time.UTC).Sub(y.World.Now()))
	id := y.current()
	y.say("%s", y.out("Hestio's intern "+idName(id), intern, id).because())
	y.say("%s", y.out("other account "+idName(id), stranger, id).because())
	return nil
}

// edited is somebody of the customer's who takes the external ID out of the trust policy.
func (y *Year) edited(ctx context.Context) error {
	y.World.Sleep(ctx, time.Date(2026, 3, 17, 10, 20, 0, 0, time.UTC).Sub(y.World.Now()))
	bob, role := sim.As(ctx, "bob"), y.plan.RoleName()
	r, err := y.World.IAM.Role(bob, role)
	if err != nil {
		return fmt.Errorf("reading the role: %w", err)
	}
	document, err := withoutExternalID(r.Trust)
	if err != nil {
		return err
	}
	y.unlocked = true
	if err := y.World.IAM.SetTrust(bob, role, document); err != nil {
		return fmt.Errorf("editing the trust policy: %w", err)
	}
	y.out("other account", stranger, "")
	y.say("by hand, the ID condition taken out: %s", y.in("Hestio, no ID", hestio, ""))
	start := y.World.Now()
	if err := y.passUntil(ctx, time.Second, 2*time.Hour, "mending", func() bool { return !y.gets(hestio, "") }); err != nil {
		return err
	}
	y.unlocked = false
	after := y.World.Now().Sub(start)
	y.World.Sleep(ctx, time.Minute)
	y.check("found within the hour in which every grant is looked at", after <= time.Hour+time.Minute, after.String())
	y.check("the drift is announced", y.announced(events.TypeTrustDriftDetected) == 1, fmt.Sprintf("%d events", y.announced(events.TypeTrustDriftDetected)))
	y.say("mended after %s, and told: %s  %s", lasting(after), y.out("no ID", hestio, ""), y.in(idName(y.holds), hestio, y.holds))
	return nil
}

// withoutExternalID drops the condition on the external ID from each statement.
func withoutExternalID(document []byte) ([]byte, error) {
	var d struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("reading the trust policy: %w", err)
	}
	for _, s := range d.Statement {
		conditions, _ := s["Condition"].(map[string]any)
		if equals, ok := conditions["StringEquals"].(map[string]any); ok {
			delete(equals, "sts:ExternalId")
			if len(equals) == 0 {
				delete(conditions, "StringEquals")
			}
		}
	}
	var out bytes.Buffer
	err := json.NewEncoder(&out).Encode(d)
	return bytes.TrimSpace(out.Bytes()), err
}

// announced counts the events of a type.
func (y *Year) announced(t events.Type) (n int) {
	for _, e := range y.World.Bus(simtest.BusName).Archive() {
		if e.DetailType == t {
			n++
		}
	}
	return n
}

// redeployed is a deploy that puts the birth document back.
func (y *Year) redeployed(ctx context.Context) error {
	if err := y.pass(ctx, time.Date(2026, 5, 4, 11, 0, 0, 0, time.UTC)); err != nil {
		return err
	}
	y.mood = changing
	if err := y.World.Redeploy(ctx, y.plan); err != nil {
		return fmt.Errorf("deploying: %w", err)
	}
	shut := y.out(idName(y.holds), hestio, y.holds)
	if err := y.World.CustomGrant(ctx, y.plan.Grant, cfn.RequestUpdate); err != nil {
		return fmt.Errorf("deploying: %w", err)
	}
	y.mood = open
	gap := time.Duration(0)
	if n := len(y.lockouts); n > 0 {
		gap = y.lockouts[n-1].Sub(y.lockouts[0]) + 2*Latency // the calls beside which it opened and shut
	}
	y.check("the gap is shorter than a minute", gap > 0 && gap < time.Minute, gap.String())
	y.say("a new deploy shuts the role: %s for %s", shut, lasting(gap))
	y.say("its own last step opens it: %s", y.in("Hestio "+idName(y.holds), hestio, y.holds))
	return nil
}

// crashed is a rotation whose function dies in the middle.
func (y *Year) crashed(ctx context.Context) error {
	before, crashes := y.current(), y.crashes
	y.crashing = true
	if err := y.passUntil(ctx, time.Second, 32*24*time.Hour, "a crash", func() bool { return y.crashes > crashes }); err != nil {
		return err
	}
	died := y.World.Now()
	y.say("a function dies half-way: %s", y.in("Hestio "+idName(before), hestio, before))
	if err := y.nextRotation(ctx, time.Hour); err != nil {
		return err
	}
	y.say("tried again, done in %s: %s  %s", lasting(y.World.Now().Sub(died)),
		y.in(idName(y.current()), hestio, y.current()), y.in(idName(before), hestio, before))
	return y.pass(ctx, y.World.Now().Add(25*time.Hour))
}
