package sim_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

func TestAFreshDeployIsClosedAndComplete(t *testing.T) {
	w := deployed(t, sim.Config{Replicas: 2, Lag: func(int) time.Duration { return time.Hour }})
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	doc, err := trust.Parse(role.Trust)
	must(t, err)
	if !doc.Born() || role.ARN != roleARN || role.Tags[grant.TagGrant] != "migration" {
		t.Errorf("role %s, tags %v, trust policy %s", role.ARN, role.Tags, role.Trust)
	}
	for replica := range 3 {
		w.Schedule = func(sim.Call) sim.Outcome { return sim.Outcome{Replica: replica} }
		inline, err := w.IAM.InlinePolicy(t.Context(), roleName, grant.RevocationPolicy)
		if err != nil || string(inline) != grant.OpenRevocation {
			t.Errorf("replica %d: %s is %s, %v", replica, grant.RevocationPolicy, inline, err)
		}
	}
	w.Schedule = nil
	s, err := w.Secrets.Describe(t.Context(), secretARN)
	must(t, err)
	value, err := w.Secrets.SecretString(t.Context(), secretARN)
	must(t, err)
	if value != grant.BornSecret || len(s.Stages) != 1 || s.Tags[grant.TagGrant] != "migration" || !s.RotationEnabled {
		t.Errorf("secret %+v with %q", s, value)
	}
	got, err := w.Parameters.Plan(t.Context(), "migration")
	if err != nil || got.RoleARN != roleARN {
		t.Errorf("plan %+v, %v", got, err)
	}
}

func TestARedeployPutsTheBirthDocumentBackAndNothingElse(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	must(t, w.IAM.PutInlinePolicy(t.Context(), roleName, grant.RevocationPolicy, []byte(grant.DenyRevocation)))
	must(t, w.Secrets.PutVersion(t.Context(), secretARN, token, []byte("v")))
	w.ResetCalls()

	p := plan()
	p.Overlap = grant.Duration(time.Hour)
	must(t, w.Redeploy(t.Context(), p))
	if got := len(w.Calls("cloudformation")); got != 2 {
		t.Errorf("%d calls of CloudFormation:\n%s", got, story(w.Calls()))
	}
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	doc, err := trust.Parse(role.Trust)
	must(t, err)
	inline, err := w.IAM.InlinePolicy(t.Context(), roleName, grant.RevocationPolicy)
	must(t, err)
	value, err := w.Secrets.SecretString(t.Context(), secretARN)
	must(t, err)
	got, err := w.Parameters.Plan(t.Context(), "migration")
	must(t, err)
	if !doc.Born() || string(inline) != grant.DenyRevocation || value != "v" || got.Overlap != p.Overlap {
		t.Errorf("trust policy %s, revocation %s, value %q, overlap %v", role.Trust, inline, value, got.Overlap)
	}
}

func TestDeployRefusesWhatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*grant.Plan){
		"a role of another account":     func(p *grant.Plan) { p.RoleARN = strings.Replace(p.RoleARN, "444455556666", "999988887777", 1) },
		"a secret of another grant":     func(p *grant.Plan) { p.SecretARN = strings.Replace(p.SecretARN, "migration", "audit", 1) },
		"a schedule that nobody offers": func(p *grant.Plan) { p.RotateEvery = "1h" },
		"a plan over 4,096 characters": func(p *grant.Plan) {
			p.Notify = grant.Notify{{Channel: grant.Mail, Address: strings.Repeat("x", 5000)}}
		},
	} {
		p := plan()
		change(&p)
		if err := sim.New(sim.Config{}).Deploy(p); err == nil {
			t.Errorf("%s was deployed", name)
		}
	}
	w := deployed(t, sim.Config{})
	if err := w.Deploy(plan()); err == nil {
		t.Error("a grant was deployed twice")
	}
}

func TestAServiceLinkedRoleCanNotBeChanged(t *testing.T) {
	w := sim.New(sim.Config{})
	_, err := w.IAM.CreateRole("Linked", []byte(trust.BornDocument), sim.RoleOptions{ServiceLinked: true})
	must(t, err)
	if err := w.IAM.SetTrust(t.Context(), "Linked", trusting(providerRoot, currentID)); !errors.Is(err, grant.ErrUnmodifiable) {
		t.Errorf("UpdateAssumeRolePolicy: %v", err)
	}
	if err := w.IAM.PutInlinePolicy(t.Context(), "Linked", "Some", []byte(s3Full)); !errors.Is(err, grant.ErrUnmodifiable) {
		t.Errorf("PutRolePolicy: %v", err)
	}
}

func TestIAMReadsBackInAnotherOrder(t *testing.T) {
	w := deployed(t, sim.Config{})
	written := `{"Statement":[{"Action":["sts:AssumeRole"],"Principal":{"AWS":["111122223333","arn:aws:iam::999988887777:root"]},"Effect":"Allow",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":["one","two"]},"ArnLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/a"]}}}],"Version":"2012-10-17"}`
	must(t, w.IAM.SetTrust(t.Context(), roleName, []byte(written)))
	role, err := w.IAM.Role(t.Context(), roleName)
	must(t, err)
	const want = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::999988887777:root","arn:aws:iam::111122223333:root"]},` +
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":["two","one"]},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/a"}}}]}`
	if string(role.Trust) != want {
		t.Errorf("read back\n%s\nwant\n%s", role.Trust, want)
	}
	before, err := trust.Parse([]byte(written))
	must(t, err)
	after, err := trust.Parse(role.Trust)
	must(t, err)
	if !before.Equal(after) {
		t.Error("package trust takes what was read back for another policy")
	}
}

func TestTimersRunOnTheVirtualClock(t *testing.T) {
	w := sim.New(sim.Config{})
	start := w.Now()
	var at []time.Duration
	w.Every("reconcile", 15*time.Minute, func(context.Context) error {
		at = append(at, w.Now().Sub(start))
		return nil
	})
	w.Sleep(t.Context(), 40*time.Minute)
	if !slices.Equal(at, []time.Duration{15 * time.Minute, 30 * time.Minute}) {
		t.Errorf("ran at %v", at)
	}
	if w.Now().Sub(start) != 40*time.Minute {
		t.Errorf("slept until %s", w.Now())
	}
}

func TestATimersRunThatFailsComesTwiceMore(t *testing.T) {
	w := sim.New(sim.Config{})
	start := w.Now()
	var at []time.Duration
	w.Every("reconcile", 15*time.Minute, func(context.Context) error {
		at = append(at, w.Now().Sub(start))
		if len(at) == 5 {
			return nil
		}
		return grant.ErrUnavailable
	})
	w.Sleep(t.Context(), 50*time.Minute)
	want := []time.Duration{15, 16, 18, 30, 31, 45, 46, 48} // the second round's retry worked
	for i := range want {
		want[i] *= time.Minute
	}
	if !slices.Equal(at, want) {
		t.Errorf("ran at %v", at)
	}
}

func TestAFunctionCanWaitForARotation(t *testing.T) {
	w := deployed(t, sim.Config{Timeout: time.Minute})
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		if e.Step == "setSecret" {
			if err := w.Wait(ctx, 15*time.Second); err != nil {
				return err
			}
		}
		return promote(ctx, w, e)
	})
	err := w.Invoke(t.Context(), "reconcile", func(ctx context.Context) error {
		if err := w.Secrets.Rotate(ctx, secretARN, token); err != nil {
			return err
		}
		for {
			if s, err := w.Secrets.Describe(ctx, secretARN); err != nil || s.At(grant.StageCurrent) == token {
				return err
			}
			if err := w.WaitRunning(ctx, 2*time.Second); err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Errorf("waiting for the rotation: %v", err)
	}
	stuck := w.Invoke(t.Context(), "reconcile", func(ctx context.Context) error { return w.WaitRunning(ctx, time.Hour) })
	if !errors.Is(stuck, context.DeadlineExceeded) {
		t.Errorf("waiting beyond the deadline: %v", stuck)
	}
}

func TestStacksTellTheirOutputs(t *testing.T) {
	w := sim.New(sim.Config{})
	w.Stacks.SetOutputs("ServiceProviderAccess", map[string]string{"BusName": "countersign"})
	if got, err := w.Stacks.Outputs(t.Context(), "ServiceProviderAccess"); err != nil || got["BusName"] != "countersign" {
		t.Errorf("outputs %v, %v", got, err)
	}
	if _, err := w.Stacks.Outputs(t.Context(), "Other"); !errors.Is(err, grant.ErrNotFound) {
		t.Errorf("a stack that is not there: %v", err)
	}
}

func TestIAMTakesEveryPhaseOfATrustPolicyAndReadsItBackAsEqual(t *testing.T) {
	w := deployed(t, sim.Config{})
	p := plan()
	p.SourceIdentity, p.Expires = true, w.Now().Add(30*24*time.Hour)
	base := p.Trust()
	with := func(change func(*trust.Plan)) trust.Plan {
		out := base
		change(&out)
		return out
	}
	next := strings.ReplaceAll(currentID, "1", "2")
	for _, phase := range []struct {
		name     string
		plan     trust.Plan
		old, new bool // who enters
	}{
		{"steady", with(func(p *trust.Plan) { p.Current = currentID }), true, false},
		{"overlap", with(func(p *trust.Plan) { p.Current, p.Pending = currentID, next }), true, true},
		{"promoted", with(func(p *trust.Plan) {
			p.Current, p.Previous = next, trust.Previous{ID: currentID, Until: w.Now().Add(time.Hour)}
		}), true, true},
		{"closed", with(func(p *trust.Plan) { p.Current, p.Gate = next, trust.Close }), false, false},
		{"still closed", with(func(p *trust.Plan) { p.Current = next }), false, false},
		{"open again", with(func(p *trust.Plan) { p.Current, p.Gate = next, trust.Open }), false, true},
	} {
		role, err := w.IAM.Role(t.Context(), roleName)
		must(t, err)
		before, err := trust.Parse(role.Trust)
		must(t, err)
		after, _, err := trust.Apply(before, phase.plan)
		if err != nil {
			t.Fatalf("%s: %v", phase.name, err)
		}
		if err := w.IAM.SetTrust(t.Context(), roleName, after.Bytes()); err != nil {
			t.Fatalf("%s: %v", phase.name, err)
		}
		role, err = w.IAM.Role(t.Context(), roleName)
		must(t, err)
		read, err := trust.Parse(role.Trust)
		must(t, err)
		if !read.Equal(after) {
			t.Errorf("%s: read back as another policy", phase.name)
		}
		for id, want := range map[string]bool{currentID: phase.old, next: phase.new, "": false} {
			_, err := w.STS.AssumeRole(t.Context(), providerRole, roleARN, id, "session")
			if (err == nil) != want {
				t.Errorf("%s: entering with %s: %v, want %t", phase.name, trust.Fingerprint(id), err, want)
			}
		}
	}
}

func TestNoRecordAndNoErrorTellsAnID(t *testing.T) {
	w := deployed(t, sim.Config{})
	open(t, w)
	enter(t, w)
	var refusals []error
	_, err := w.STS.AssumeRole(t.Context(), "arn:aws:iam::999988887777:root", roleARN, currentID, "session")
	refusals = append(refusals, err)
	_, err = w.STS.AssumeRole(t.Context(), providerRole, roleARN, currentID+" ", "session")
	refusals = append(refusals, err)
	refusals = append(refusals, w.IAM.SetTrust(t.Context(), roleName, trusting("arn:aws:iam::111122223333:role/absent", currentID)))
	must(t, w.Secrets.PutVersion(t.Context(), secretARN, token, []byte(currentID), grant.StagePending))
	refusals = append(refusals, w.Secrets.PutVersion(t.Context(), secretARN, token, []byte(currentID+"x"), grant.StagePending))
	for i, err := range refusals {
		if err == nil || strings.Contains(err.Error(), currentID) {
			t.Errorf("refusal %d: %v", i, err)
		}
	}
	for _, r := range w.Calls() {
		if strings.Contains(r.String(), currentID) || r.Err != nil && strings.Contains(r.Err.Error(), currentID) {
			t.Errorf("recorded %s with %v", r, r.Err)
		}
	}
}
