package simtest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

const gateway = "arn:aws:execute-api:eu-central-1:" + Customer + ":a1b2c3d4e5/v1/"

// ownCalls stands for the API's resource policy, which lets granted roles call this. A Deny on the role goes before it.
func ownCalls(name grant.Name) sim.Policy {
	return sim.Policy{Name: "calls", Document: fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":["%s","%s"]}]}`,
		gateway+"POST"+path(name, "confirm"), gateway+"POST"+path(name, "rotate"))}
}

// EnterTo lets the provider assume the role of a grant in a session that can confirm a version.
func (w *World) EnterTo(ctx context.Context, name grant.Name, versionID, id string) (*sim.Session, error) {
	return w.STS.AssumeRole(ctx, Provider, w.Plans[name].RoleARN, id, grant.ConfirmSession(versionID))
}

// MayInvoke asks IAM, as API Gateway does, whether a session may send a request to the API.
func (w *World) MayInvoke(ctx context.Context, s *sim.Session, method, path string) error {
	return s.Do(ctx, "execute-api:Invoke", gateway+method+path)
}

// ask sends a request to the API from a session of the provider's.
func (w *World) ask(ctx context.Context, s *sim.Session, path string, body, answer any) error {
	if err := w.MayInvoke(ctx, s, http.MethodPost, path); err != nil {
		return err
	}
	return w.Ask(ctx, s.ARN, http.MethodPost, path, body, answer)
}

// Confirm says from a session of the provider's that a version is in use. retireIn may be empty.
func (w *World) Confirm(ctx context.Context, s *sim.Session, name grant.Name, versionID, retireIn string) (answer api.ConfirmAnswer, err error) {
	err = w.ask(ctx, s, path(name, "confirm"), api.ConfirmRequest{VersionID: versionID, RetireIn: retireIn}, &answer)
	return answer, err
}

// ConfirmByHand says as an operator that a version is in use.
func (w *World) ConfirmByHand(ctx context.Context, name grant.Name, versionID, retireIn string) (answer api.ConfirmAnswer, err error) {
	err = w.Ask(ctx, Operator, http.MethodPost, path(name, "confirm"), api.ConfirmRequest{VersionID: versionID, RetireIn: retireIn}, &answer)
	return answer, err
}

// AskForRotation asks for a rotation from a session of the provider's.
func (w *World) AskForRotation(ctx context.Context, s *sim.Session, name grant.Name) (answer api.RotateAnswer, err error) {
	err = w.ask(ctx, s, path(name, "rotate"), api.RotateRequest{}, &answer)
	return answer, err
}
