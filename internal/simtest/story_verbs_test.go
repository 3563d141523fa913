package simtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/cockroachdb/datadriven"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// verbs are the commands of a story. A session, once somebody has one, is a verb too: `s1 calls s3:ListBucket`.
var verbs map[string]func(*story, *datadriven.TestData)

func init() { // it refers to itself by way of when
	verbs = map[string]func(*story, *datadriven.TestData){
		"deploy": (*story).deploys, "redeploy": (*story).redeploys, "revert-drift": (*story).revertsDrift,
		"revoke": (*story).revokes, "restore": (*story).restores, "rotate": (*story).rotates,
		"provider": (*story).enters, "stranger": (*story).enters, "vendor": (*story).enters,
		"who-enters": (*story).whoEnters, "show": (*story).shows, "told": (*story).hears, "calls": (*story).lists, "wait": (*story).waits,
		"fail": (*story).trouble, "lose": (*story).trouble, "throttle": (*story).trouble, "crash": (*story).trouble, "when": (*story).trouble,
		"lag": (*story).lags, "edit-by-hand": (*story).edits, "forge": (*story).forges, "breaks": (*story).breaks,
	}
}

const (
	expired   = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":%q}}}]}`
	vendor    = "arn:aws:iam::777788889999:role/Backend"
	intern    = "arn:aws:iam::111122223333:role/Interns" // of the provider's account, but none of its engineers
	vendorsID = "blox-4711"
)

// people are who may try to enter.
var people = map[string]string{"provider": simtest.Provider, "provider's intern": intern, "stranger": simtest.Stranger, "vendor": vendor}

// deploys makes the grant: `deploy GRANT overlap=24h every=daily expires=10d principal=role|adopted`.
func (s *story) deploys(d *datadriven.TestData) {
	p := &s.plan
	if p.Grant != grant.Name(word(d, 0)) {
		d.Fatalf(s.t, "the grant is called %s", p.Grant)
	}
	policies := []sim.Policy{{Name: "all", Document: everything}}
	if d.HasArg("overlap") {
		p.Overlap = grant.Duration(span(s, d, option(d, "overlap")))
	}
	if d.HasArg("every") {
		p.RotateEvery = option(d, "every")
	}
	if d.HasArg("expires") {
		p.Expires = s.Now().Add(span(s, d, option(d, "expires")))
		policies = append(policies, sim.Policy{Name: grant.ExpiryPolicy, Document: fmt.Sprintf(expired, p.Expires.Format(time.RFC3339))})
	}
	if d.HasArg("principal") {
		s.IAM.AddPrincipal(simtest.Provider)
		p.Principals, p.Conditions = []string{simtest.Provider}, nil
	}
	if d.HasArg("adopted") {
		s.answers("%s is adopted", s.adopts(), p.Grant)
		return
	}
	s.answers("%s is deployed", s.Deploy(s.ctx, *p, policies...), p.Grant)
}

// adopts makes a role that was there before us, in which one list holds two vendors' IDs, and stores the provider's ID as
// an operator does.
func (s *story) adopts() error {
	p, first := &s.plan, "hestio-0123456789ABCDEFGHIJabcdefghijxy"
	p.Adopted, p.Conditions, p.Principals = true, nil, []string{simtest.Provider, vendor}
	s.IAM.AddPrincipal(simtest.Provider)
	s.IAM.AddPrincipal(vendor)
	document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"Vendors","Effect":"Allow","Principal":{"AWS":[%q,%q]},`+
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":[%q,%q]}}}]}`, p.Principals[0], p.Principals[1], first, vendorsID)
	if _, err := s.IAM.CreateRole(p.RoleName(), []byte(document), sim.RoleOptions{Path: grant.DefaultRolePath}); err != nil {
		return err
	}
	for name, policy := range map[string]string{"all": everything, grant.RevocationPolicy: grant.OpenRevocation} {
		s.must(s.IAM.PutInlinePolicy(s.ctx, p.RoleName(), name, []byte(policy)))
	}
	if err := s.Create(*p); err != nil {
		return err
	}
	value := fmt.Sprintf(`{"grant":%q,"roleArn":%q,"externalId":%q}`, p.Grant, p.RoleARN, first)
	s.sees("adopted-0123456789abcdef0123456789abcdef", first)
	s.must(s.Secrets.PutVersion(s.ctx, p.SecretARN, s.ids[0].version, []byte(value)))
	return s.CustomGrant(s.ctx, p.Grant, cfn.RequestCreate)
}

// redeploys deploys again, with another overlap perhaps: the template's birth document comes first, then Custom::Grant.
func (s *story) redeploys(d *datadriven.TestData) {
	if d.HasArg("overlap") {
		s.plan.Overlap = grant.Duration(span(s, d, option(d, "overlap")))
	}
	s.answers("%s is deployed again", s.Deploy(s.ctx, s.plan), s.plan.Grant)
}

// revertsDrift puts back the role's properties and doesn't call Custom::Grant, whose own haven't changed.
func (s *story) revertsDrift(*datadriven.TestData) {
	s.answers("the role is what the template says: the birth document", s.Redeploy(s.ctx, s.plan))
}

// ask is a request of an operator to the API.
func (s *story) ask(d *datadriven.TestData, verb string, body, answer any) error {
	if s.down() {
		return errors.New("no answer: the API is in that Region")
	}
	who := option(d, "by")
	if who == "" {
		who = "ann"
	}
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	return s.Ask(s.ctx, "arn:aws:sts::"+simtest.Customer+":assumed-role/Admin/"+who, method, "/grants/"+word(d, 0)+verb, body, answer)
}

func (s *story) reason(d *datadriven.TestData) string {
	if r := option(d, "reason"); r != "" {
		return r
	}
	return "as told in the story"
}

// revokes revokes through the API; by-hand is the one line of the AWS CLI.
func (s *story) revokes(d *datadriven.TestData) {
	if d.HasArg("by-hand") {
		s.answers("the Deny is written by hand",
			s.IAM.PutInlinePolicy(sim.As(s.ctx, "operator"), s.plan.RoleName(), grant.RevocationPolicy, []byte(grant.DenyRevocation)))
		return
	}
	var a api.RevokeAnswer
	err := s.ask(d, "/revoke", api.RevokeRequest{Reason: s.reason(d)}, &a)
	failed := ""
	if len(a.Failed) > 0 {
		failed = "; failed, left for reconcile: " + strings.Join(a.Failed, ", ")
	}
	s.quietly(func() { // a refusal doesn't name it
		var status api.Status
		if s.ask(d, "", nil, &status) == nil && status.RevokeID != "" {
			s.revocation(status.RevokeID)
		}
	})
	s.answers("revoked as %s: %s%s", err, a.RevokeID, strings.Join(a.Done, ", "), failed)
}

func (s *story) restores(d *datadriven.TestData) {
	id := ""
	if of := option(d, "of"); of == "" {
		var status api.Status
		s.quietly(func() { s.must(s.ask(d, "", nil, &status)) })
		id = status.RevokeID
	} else if n := int(of[len(of)-1] - '1'); n >= 0 && n < len(s.revocations) {
		id = s.revocations[n]
	}
	var a api.RestoreAnswer
	err := s.ask(d, "/restore", api.RestoreRequest{Reason: s.reason(d), RevokeID: id}, &a)
	s.answers("the restore of %s has begun", err, a.RevokeID)
}

func (s *story) rotates(d *datadriven.TestData) {
	err := s.ask(d, "/rotate", api.RotateRequest{Reason: s.reason(d), Leaked: d.HasArg("leaked")}, new(api.RotateAnswer))
	s.answers("a rotation has begun", err)
}

// enters is `provider enters with=current|previous|id1|none as=s1`.
func (s *story) enters(d *datadriven.TestData) {
	with := option(d, "with")
	id, known := s.value(with)
	if stage, ok := map[string]string{"current": grant.StageCurrent, "previous": grant.StagePrevious}[with]; ok {
		var version string
		var err error
		if version, id, err = s.Read(s.ctx, s.plan.Grant, stage); err != nil {
			s.say("the %s can't read the %s external ID", d.Cmd, with)
			return
		}
		known, with = true, "id"+s.version(version)[strings.LastIndexByte(s.version(version), '-')+1:]
	}
	if d.Cmd == "vendor" {
		known, id, with = true, vendorsID, "its own ID"
	}
	if !known {
		d.Fatalf(s.t, "with=%s is no external ID", with)
	}
	session, err := s.Enter(s.ctx, people[d.Cmd], s.plan.Grant, id)
	if err != nil {
		s.say("the %s is refused with %s", d.Cmd, with)
		return
	}
	s.say("the %s is in with %s", d.Cmd, with)
	if name := option(d, "as"); name != "" {
		s.sessions[name] = session
	}
}

// does is `s1 calls s3:ListBucket`, or `s1 asks revoke`: a request to Countersign's own API.
func (s *story) does(session *sim.Session, d *datadriven.TestData) {
	if what := word(d, 1); word(d, 0) == "asks" {
		s.answers("done", s.Ask(s.ctx, session.ARN, http.MethodPost, "/grants/"+string(s.plan.Grant)+"/"+what, map[string]string{"reason": "please"}, nil))
	} else if err := session.Do(s.ctx, what, "arn:aws:s3:::data"); err != nil {
		s.say("%s: refused", d.Cmd)
	} else {
		s.say("%s: allowed", d.Cmd)
	}
}

// waits is `wait 24h`, `wait until=03:00` or `wait until=rotation`: the next one that is scheduled.
func (s *story) waits(d *datadriven.TestData) {
	var left time.Duration
	switch until := option(d, "until"); until {
	case "":
		left = span(s, d, word(d, 0))
	case "rotation":
		s.quietly(func() {
			secret, err := s.Secrets.Describe(s.ctx, s.plan.SecretARN)
			s.must(err)
			left = secret.NextRotation.Sub(s.Now()) + time.Minute
		})
	default:
		at, err := time.Parse("15:04", until)
		s.must(err)
		today := s.Now().Truncate(24 * time.Hour)
		left = today.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute).Sub(s.Now())
		if left <= 0 {
			left += 24 * time.Hour
		}
	}
	s.Sleep(s.ctx, left)
	s.say("%s%s", s.day(s.Now()), s.failedRuns())
}

// lags is `lag iam 90s`: how long IAM's data plane takes to show a write. reads=stale: reading IAM takes as long.
func (s *story) lags(d *datadriven.TestData) {
	s.lag, s.stale = span(s, d, word(d, 1)), option(d, "reads") == "stale"
}

// edits is what people do with the AWS console: `edit-by-hand adds=stranger|widens|keeps|pastes|lifts-the-deny`.
func (s *story) edits(d *datadriven.TestData) {
	ctx, name := sim.As(s.ctx, "editor"), s.plan.RoleName()
	role, err := s.IAM.Role(ctx, name)
	s.must(err)
	document := role.Trust
	switch option(d, "adds") + word(d, 0) {
	case "stranger":
		document = bytes.Replace(document, []byte(`"Statement":[`), []byte(`"Statement":[{"Sid":"Audit","Effect":"Allow","Principal":{"AWS":"999900001111"},"Action":"sts:AssumeRole"},`), 1)
	case "widens":
		document = bytes.ReplaceAll(document, []byte("Engineers-*"), []byte("*"))
	case "keeps":
		s.kept = document
		return
	case "pastes":
		document = s.kept
	case "lifts-the-deny":
		s.must(s.IAM.PutInlinePolicy(ctx, name, grant.RevocationPolicy, []byte(grant.OpenRevocation)))
		return
	default:
		d.Fatalf(s.t, "no such edit")
	}
	if bytes.Equal(document, role.Trust) {
		d.Fatalf(s.t, "nothing was edited")
	}
	s.answers("the trust policy is edited", s.IAM.SetTrust(ctx, name, document))
}

// forges is what somebody can do who may put events and messages, tag, and move labels, but not write IAM or a secret's value.
func (s *story) forges(d *datadriven.TestData) {
	ctx, id, secret := sim.As(s.ctx, "forger"), "", s.plan.SecretARN
	if len(s.revocations) > 0 {
		id = s.revocations[len(s.revocations)-1]
	}
	switch word(d, 0) {
	case "event":
		e, err := events.Enclose(events.New(string(s.plan.Grant), id, "1.0.0", s.Now(), events.AccessRestored{Where: s.plan.Where(), RevokeID: id, VersionID: s.ids[0].version, ValidFrom: s.Now()}))
		s.must(err)
		s.answers("the event is on the bus", s.Bus(simtest.BusName).PutEnvelope(ctx, e))
	case "message":
		s.answers("the message is in the queue", s.Queue(simtest.CheckQueue).Send(ctx, []byte(`{"grant":"`+string(s.plan.Grant)+`","restore":true,"force":true}`), 0))
	case "tag":
		s.answers("the tag says: restored", s.Secrets.Tag(ctx, secret, map[string]string{grant.TagRestored: id}))
	case "rotation":
		s.answers("a rotation has begun, in a restore's name", s.Secrets.Rotate(ctx, secret, "restore-"+strings.TrimPrefix(id, "rv-")+"-00000000"))
	case "label":
		current, _, err := s.Read(s.ctx, s.plan.Grant, grant.StageCurrent)
		s.must(err)
		to := s.ids[int(option(d, "to")[2]-'1')].version
		s.answers("%s is labelled current", s.Secrets.MoveStage(ctx, secret, grant.StageCurrent, to, current), to)
	default:
		d.Fatalf(s.t, "no such forgery")
	}
}

// breaks is what somebody deletes or disables: `breaks secret|key|principal`; `breaks key mended`, `breaks principal mended`.
func (s *story) breaks(d *datadriven.TestData) {
	mended := word(d, 1) == "mended"
	switch what := word(d, 0); {
	case what == "secret":
		s.must(s.Secrets.Delete(s.plan.SecretARN))
	case what == "key":
		s.Secrets.SetKey(s.plan.KeyARN, mended)
	case what == "principal" && mended:
		s.IAM.AddPrincipal(simtest.Provider)
	case what == "principal":
		s.IAM.DeletePrincipal(simtest.Provider)
	default:
		d.Fatalf(s.t, "no such thing")
	}
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
