package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/functions/rotate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// editor changes the trust policy by hand, knowing nothing of Countersign: it reads, thinks, and writes. It adds statements,
// principals and values of its own, or takes back the last change, whoever made it.
func (a *acting) editor() error {
	ctx := sim.As(a.ctx, "editor")
	name := a.plan.RoleName()
	for n := 1; a.rest(20*time.Minute, 4*time.Hour); n++ {
		role, err := a.IAM.Role(ctx, name)
		if err != nil {
			continue
		}
		var top map[string]any
		if json.Unmarshal(role.Trust, &top) != nil {
			continue
		}
		list, _ := top["Statement"].([]any)
		d := a.draw()
		if first, ok := list[0].(map[string]any); ok && d.chance(0.4) && first["Effect"] == "Allow" {
			conditions, _ := first["Condition"].(map[string]any)
			if equals, ok := conditions["StringEquals"].(map[string]any); ok && d.nth(1).chance(0.5) {
				equals["sts:ExternalId"] = with(equals["sts:ExternalId"], fmt.Sprintf("theirs-%d", n))
			} else if who, ok := first["Principal"].(map[string]any); ok && !a.plan.Adopted {
				who["AWS"] = with(who["AWS"], foreigner)
			}
		} else {
			top["Statement"] = append(list, theirs(n))
		}
		out, err := json.Marshal(top)
		if err != nil {
			return err
		}
		if documents := a.watch.older(); d.nth(3).chance(0.25) && len(documents) > 1 {
			out = documents[len(documents)-2]
		}
		_ = a.Wait(a.ctx, a.draw().between(0, time.Minute))
		a.edit(ctx, out)
		if d.nth(2).chance(0.1) && !a.Without[PrincipalDeleted.String()] {
			a.Troubles[PrincipalDeleted]++
			a.watch.deleted = true
			a.IAM.DeletePrincipal(foreigner)
			a.IAM.AddPrincipal(foreigner)
		}
	}
	return nil
}

// edit writes the trust policy by hand.
func (a *acting) edit(ctx context.Context, document []byte) bool {
	a.watch.meddled = a.watch.meddled || a.watch.leaving
	return a.IAM.SetTrust(ctx, a.plan.RoleName(), document) == nil
}

// theirs is a statement of the foreign editor's own.
func theirs(n int) map[string]any {
	return map[string]any{
		"Sid": fmt.Sprintf("Theirs%d", n), "Effect": "Allow", "Principal": map[string]any{"AWS": foreigner}, "Action": "sts:AssumeRole",
		"Condition": map[string]any{"StringEquals": map[string]any{"sts:ExternalId": fmt.Sprintf("theirs-own-%d", n)}},
	}
}

func addStatement(document []byte, n int) ([]byte, error) {
	var top map[string]any
	if err := json.Unmarshal(document, &top); err != nil {
		return nil, err
	}
	list, _ := top["Statement"].([]any)
	top["Statement"] = append(list, theirs(n))
	return json.Marshal(top)
}

// with adds a value to IAM's scalar or list.
func with(have any, value string) any {
	if list, ok := have.([]any); ok {
		return append(list, value)
	}
	return []any{have, value}
}

// replay lets what once happened come again: steps of rotations old and new, messages, events.
func (a *acting) replay() error {
	for a.rest(5*time.Minute, 90*time.Minute) {
		d := a.draw()
		switch d.below(4) {
		case 0, 1:
			versions := a.Secrets.Stored(a.plan.SecretARN)
			v := versions[len(versions)-1-d.nth(1).below(min(3, len(versions)))]
			step := d.nth(2).below(len(sim.RotationSteps))
			if current, _ := a.Secrets.Labelled(a.plan.SecretARN, grant.StageCurrent); v.ID == current {
				a.Troubles[StepTwice]++
			} else {
				a.Troubles[StepEarly]++
			}
			_ = a.Secrets.InvokeStep(a.ctx, sim.RotationEvent{Step: sim.RotationSteps[step], SecretID: a.plan.SecretARN, ClientRequestToken: v.ID})
		case 2:
			_ = a.Queue(CheckQueue).Send(a.ctx, []byte(`{"grant":"`+string(a.plan.Grant)+`"}`), d.nth(1).between(0, 10*time.Minute))
		case 3:
			n := 0
			_ = a.Bus(BusName).Replay("late", func(events.Envelope) bool { n++; return d.nth(n).chance(0.3) })
		}
	}
	return nil
}

// forger may put events and messages, tag, move labels, and invoke every function but revoke and operate. It writes neither
// IAM nor a secret's value: that the stack's policies refuse it both is tested in package infra.
func (a *acting) forger() error {
	tags := []string{grant.TagRevoked, grant.TagRestored, grant.FactRotated.AnnouncedTag(), grant.FactRotated.Tag(), grant.FactFailed.Tag(),
		grant.FactGranted.Tag(), grant.FactRetired.AnnouncedTag(), grant.FactDrift.Tag(), grant.FactRevoked.AnnouncedTag(),
		grant.FactConfirmed.Tag(), grant.FactUnconfirmed.Tag(), grant.TagExtended}
	arn := a.plan.SecretARN
	for a.rest(5*time.Minute, 90*time.Minute) {
		d := a.draw()
		versions := a.Secrets.Stored(arn)
		v := pick(d.nth(1), versions).ID
		switch d.below(9) {
		case 0:
			key := pick(d.nth(2), tags)
			value := pick(d.nth(3), []string{v, "rv-20260101T000000Z-00000000", "none", "x", a.Secrets.Tags(arn)[grant.TagRevoked]})
			if a.watch.closed() && d.nth(4).chance(0.5) { // calls the revocation that stands undone
				key, value = grant.TagRestored, a.watch.standing
			}
			_ = a.Secrets.Tag(a.ctx, arn, map[string]string{key: value})
			a.watch.mistagged = a.watch.mistagged || slices.Contains([]string{grant.FactConfirmed.Tag(), grant.TagExtended, grant.FactRetired.AnnouncedTag()}, key)
		case 1, 2:
			stage := pick(d.nth(2), []string{grant.StageCurrent, grant.StagePending, grant.StagePrevious})
			from, _ := a.Secrets.Labelled(arn, stage)
			_ = a.Secrets.MoveStage(a.ctx, arn, stage, v, from)
		case 3:
			_ = a.Queue(CheckQueue).Send(a.ctx, []byte(pick(d.nth(2), []string{`{"grant":"migration"}`, `{"grant":"other"}`, `{`})), 0)
		case 4:
			detail := fmt.Sprintf(`{"metadata":{"id":"x","version":"1","grant":"migration"},"data":{"versionId":%q,"revokeId":"rv-1"}}`, v)
			_ = a.Bus(BusName).PutEnvelope(a.ctx, events.Envelope{Source: events.Source, DetailType: pick(d.nth(2), events.Types()), Detail: []byte(detail)})
		case 5:
			step := pick(d.nth(2), sim.RotationSteps[:])
			_ = a.Invoke(a.ctx, "rotate", func(ctx context.Context) error {
				return a.Rotator.Handle(ctx, rotate.Event{Step: step, SecretID: arn, ClientRequestToken: pick(d.nth(3), []string{v, "restore-00000000000000000000000000000000"})})
			})
		case 6:
			kind := cfn.RequestUpdate
			if d.nth(2).chance(0.2) {
				kind = cfn.RequestDelete // closes
			}
			_ = a.Invoke(a.ctx, "reconcile", func(ctx context.Context) error {
				_, _, err := a.Reconciler.CloudFormation(ctx, cfn.Event{
					RequestType: kind, RequestID: "forged", StackID: "forged", LogicalResourceID: "Forged", ResourceType: reconcile.GrantResource,
					ResourceProperties: map[string]any{"Grant": string(a.plan.Grant)},
				})
				return err
			})
		case 7:
			_ = a.Queue(MailQueue).Send(a.ctx, a.forgedDelivery(d.nth(2), v), 0)
		case 8:
			_ = a.Invoke(a.ctx, "notify", func(ctx context.Context) error {
				_, err := a.Notifier.Handle(ctx, lambdaevents.SQSEvent{Records: []lambdaevents.SQSMessage{{MessageId: "m", Body: "{}"}}})
				return err
			})
		}
	}
	return nil
}
