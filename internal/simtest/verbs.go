package simtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	lambdaevents "github.com/aws/aws-lambda-go/events"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// Create makes what the stack makes for a grant, up to Custom::Grant: the role is born closed.
func (w *World) Create(p grant.Plan, policies ...sim.Policy) error {
	policies = append(policies, ownCalls(p.Grant))
	if err := w.World.Deploy(p, policies...); err != nil {
		return err
	}
	w.Plans[p.Grant], w.Grants[p.Grant], w.Notifier.Grants[p.Grant] = p, p.RoleName(), true
	w.templates = append(w.templates, sim.Template{Plan: p, Policies: policies})
	w.Stacks.Stands(StackName, w.templates...)
	return nil
}

// Deploy deploys a grant as CloudFormation does: the first time it creates it, later it puts back what the template says.
// Custom::Grant then opens the grant, or brings it to its plan.
func (w *World) Deploy(ctx context.Context, p grant.Plan, policies ...sim.Policy) error {
	request := cfn.RequestUpdate
	if _, there := w.Plans[p.Grant]; !there {
		request = cfn.RequestCreate
		if err := w.Create(p, policies...); err != nil {
			return err
		}
	} else if err := w.Redeploy(ctx, p); err != nil {
		return err
	}
	w.Plans[p.Grant] = p
	return w.CustomGrant(ctx, p.Grant, request)
}

// CustomGrant hands the custom resource of a grant to reconcile, as a deploy does.
func (w *World) CustomGrant(ctx context.Context, name grant.Name, request cfn.RequestType) error {
	w.requests++
	return w.Invoke(ctx, "reconcile", func(ctx context.Context) error {
		e := cfn.Event{
			RequestType: request, RequestID: fmt.Sprintf("request-%d", w.requests), ResourceType: reconcile.GrantResource,
			LogicalResourceID: "Grant", StackID: "stack", ResourceProperties: map[string]any{"Grant": string(name), "Digest": "0"},
		}
		return w.looking(true, func() error {
			id, _, err := w.Reconciler.CloudFormation(ctx, e)
			if err == nil && id != "countersign-"+string(name) {
				return fmt.Errorf("physical id %q", id)
			}
			return err
		})
	})
}

// Reconcile looks at one grant now.
func (w *World) Reconcile(ctx context.Context, name grant.Name) (state reconcile.State, err error) {
	err = w.Invoke(ctx, "reconcile", func(ctx context.Context) error {
		state, err = w.Reconciler.Grant(ctx, name)
		return err
	})
	return state, err
}

// Refused is an answer of the API that isn't 2xx.
type Refused struct {
	Status int
	api.Problem
}

// Error is what the API says.
func (r *Refused) Error() string { return fmt.Sprintf("%d: %s", r.Status, r.Problem.Error) }

type request = lambdaevents.APIGatewayProxyRequest
type response = lambdaevents.APIGatewayProxyResponse

// Ask sends a request to the API, signed by caller, and reads the answer into it; nil drops it. An answer that isn't 2xx is
// a *Refused.
func (w *World) Ask(ctx context.Context, caller, method, path string, body, answer any) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	status, got, err := w.Send(ctx, caller, method, path, string(sent))
	switch {
	case err != nil:
		return err
	case status >= 300:
		refused := &Refused{Status: status}
		if err := json.Unmarshal([]byte(got), &refused.Problem); err != nil {
			return err
		}
		return refused
	case answer == nil:
		return nil
	}
	return json.Unmarshal([]byte(got), answer)
}

// Send sends a request to the API as it stands, signed by caller, and gives the answer's status and body.
func (w *World) Send(ctx context.Context, caller, method, path, body string) (status int, answer string, err error) {
	r := request{HTTPMethod: method, Path: path, Body: body}
	r.RequestContext.Identity = lambdaevents.APIGatewayRequestIdentity{UserArn: caller, AccountID: strings.Split(caller+":::::", ":")[4]}
	function, handle := "operate", w.Operations.Handle
	switch verb := path[strings.LastIndexByte(path, '/')+1:]; verb {
	case "revoke", "restore":
		function, handle = "revoke", w.Revoker.Handle
	case "confirm":
		function, handle = "confirm", w.Confirming.Handle
	}
	var got response
	err = w.Invoke(ctx, function, func(ctx context.Context) error {
		return w.within(ctx, apiTime, func(ctx context.Context) (err error) {
			got, err = handle(ctx, r)
			return err
		})
	})
	return got.StatusCode, got.Body, err
}

func path(name grant.Name, verb string) string { return "/grants/" + string(name) + "/" + verb }

// Revoke takes a grant's access away, as an operator.
func (w *World) Revoke(ctx context.Context, name grant.Name, reason string) (answer api.RevokeAnswer, err error) {
	err = w.Ask(ctx, Operator, http.MethodPost, path(name, "revoke"), api.RevokeRequest{Reason: reason}, &answer)
	return answer, err
}

// Restore has a revoked grant opened again, as an operator. The engine makes its new ID, and reconcile opens, when the clock
// goes on.
func (w *World) Restore(ctx context.Context, name grant.Name, revokeID, reason string) (answer api.RestoreAnswer, err error) {
	err = w.Ask(ctx, Operator, http.MethodPost, path(name, "restore"), api.RestoreRequest{RevokeID: revokeID, Reason: reason}, &answer)
	return answer, err
}

// Rotate asks for a rotation now, as an operator. leaked ends the ID before at once. The engine runs it when the clock goes on.
func (w *World) Rotate(ctx context.Context, name grant.Name, leaked bool) (answer api.RotateAnswer, err error) {
	err = w.Ask(ctx, Operator, http.MethodPost, path(name, "rotate"), api.RotateRequest{Leaked: leaked}, &answer)
	return answer, err
}

// Pause keeps the schedule from starting rotations until a date, as an operator.
func (w *World) Pause(ctx context.Context, name grant.Name, until time.Time) (answer api.PauseAnswer, err error) {
	err = w.Ask(ctx, Operator, http.MethodPost, path(name, "pause"), api.PauseRequest{Reason: "change freeze", Until: until}, &answer)
	return answer, err
}

// Resume ends a pause, as an operator.
func (w *World) Resume(ctx context.Context, name grant.Name) (answer api.PauseAnswer, err error) {
	err = w.Ask(ctx, Operator, http.MethodPost, path(name, "resume"), api.ResumeRequest{}, &answer)
	return answer, err
}

// Status is what the API says of a grant.
func (w *World) Status(ctx context.Context, name grant.Name) (status api.Status, err error) {
	err = w.Ask(ctx, Operator, http.MethodGet, "/grants/"+string(name), nil, &status)
	return status, err
}

// Enter lets somebody assume the role of a grant with an ID; "" is none.
func (w *World) Enter(ctx context.Context, who string, name grant.Name, id string) (*sim.Session, error) {
	return w.STS.AssumeRole(ctx, who, w.Plans[name].RoleARN, id, who[strings.LastIndexAny(who, "-/")+1:])
}

// Enters says whether Enter would work, without a call.
func (w *World) Enters(who string, name grant.Name, id string) bool {
	return w.STS.Verdict(who, w.Plans[name].RoleARN, id, "session", sim.Assume{}).Effect == trust.Allow
}

// Read is what the provider reads as its external ID: the value at a label of the grant's secret.
func (w *World) Read(ctx context.Context, name grant.Name, stage string) (versionID, id string, err error) {
	s, err := w.Secrets.Describe(ctx, w.Plans[name].SecretARN)
	if err != nil {
		return "", "", err
	}
	versionID = s.At(stage)
	if versionID == "" {
		return "", "", fmt.Errorf("no version is %s: %w", stage, grant.ErrNotFound)
	}
	v, err := w.Secrets.Version(ctx, w.Plans[name].SecretARN, versionID)
	if err != nil {
		return versionID, "", err
	}
	return versionID, externalID(v.Value), nil
}

// externalID is the ID in a secret's value, "" where there is none.
func externalID(value []byte) string {
	var v struct {
		ExternalID string `json:"externalId"`
	}
	if json.Unmarshal(value, &v) != nil {
		return ""
	}
	return v.ExternalID
}

// employ connects the check queue to reconcile, and bus and queue to notify.
func (w *World) employ() {
	w.employReconcile()
	w.employNotify()
}

func (w *World) employReconcile() {
	checks := w.Queue(CheckQueue)
	checks.Configure(6*reconcileTime, nil, 0)
	checks.Subscribe("reconcile", 1, func(ctx context.Context, batch []sim.Message) ([]string, error) {
		out, err := w.Reconciler.Queue(ctx, records(batch))
		return failures(out), err
	})
}

func (w *World) employNotify() {
	letters := w.Queue(MailQueue)
	letters.Configure(6*notifyTime, w.Queue(DeadQueue), notifyReceives)
	letters.Subscribe("notify", notifyBatch, func(ctx context.Context, batch []sim.Message) (failed []string, err error) {
		err = w.within(ctx, notifyTime, func(ctx context.Context) error {
			out, err := w.Notifier.Handle(ctx, records(batch))
			failed = failures(out)
			return err
		})
		return failed, err
	})
	var told []events.Type
	for _, t := range events.Types() {
		if t != events.TypeDeliverySucceeded && t != events.TypeDeliveryFailed && t != events.TypeOperationRequested && t != events.TypeGrantReported {
			told = append(told, t)
		}
	}
	w.Bus(BusName).Rule("notify", letters, told...)
}

func records(batch []sim.Message) (in lambdaevents.SQSEvent) {
	for _, m := range batch {
		in.Records = append(in.Records, lambdaevents.SQSMessage{
			MessageId: m.ID, ReceiptHandle: m.Receipt, Body: string(m.Body), Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.Receives), "SentTimestamp": strconv.FormatInt(m.Sent.UnixMilli(), 10),
			},
		})
	}
	return in
}

func failures(out lambdaevents.SQSEventResponse) (ids []string) {
	for _, f := range out.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// Migration is the plan of a usual grant, called migration.
func Migration() grant.Plan {
	return grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: Customer, Region: "eu-central-1",
		RoleARN:    "arn:aws:iam::" + Customer + ":role/countersign/ServiceProvider-migration",
		SecretARN:  "arn:aws:secretsmanager:eu-central-1:" + Customer + ":secret:countersign/migration-Ab12Cd",
		Prefix:     "hestio",
		Principals: []string{"arn:aws:iam::111122223333:root"}, RotateEvery: "monthly", Overlap: grant.Duration(24 * time.Hour),
		ProviderMay: grant.ProviderActs,
		Conditions:  map[string]map[string][]string{"ArnLike": {"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/Engineers-*"}}},
	}
}
