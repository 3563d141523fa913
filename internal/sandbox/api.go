package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// api answers POST /v1/grants/{grant}/confirm, the one request of the API that is a provider's.
func (s *Server) api(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	status, answer, err := http.StatusAccepted, any(nil), error(nil)
	parts := strings.Split(r.URL.EscapedPath(), "/")
	p, known := grant.Plan{}, false
	if len(parts) == 5 && parts[2] == "grants" && parts[4] == "confirm" && r.Method == http.MethodPost {
		p, known = s.world.Plans[grant.Name(parts[3])]
	}
	who, signed := s.caller(r, body, "execute-api")
	switch {
	case signed != nil:
		err = signed
	case !known || who.Session == nil || who.Session.Do(sim.As(ctx, "provider"), "execute-api:Invoke", endpoint(p)) != nil:
		err = &refusal{http.StatusForbidden, "AccessDenied", "User is not authorized to access this resource"}
	default:
		answer, err = s.confirm(sim.As(ctx, "confirm"), p, who.Session, body)
	}
	s.note(Call{Action: "Confirm", On: r.URL.Path}, err)
	if no := (*refusal)(nil); errors.As(err, &no) {
		status, answer = no.status, map[string]string{"error": no.message}
		if no.code == "AccessDenied" || signed != nil {
			answer = map[string]string{"message": no.message} // as API Gateway itself says it
		}
	} else if err != nil {
		status, answer = http.StatusInternalServerError, map[string]string{"error": err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// confirm takes a confirmation: of the current version, from the session that its ID opened.
func (s *Server) confirm(ctx context.Context, p grant.Plan, session *sim.Session, body []byte) (any, error) {
	var in struct{ VersionID, RetireIn string }
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, &refusal{http.StatusBadRequest, "BadRequest", "the body can't be read as a confirmation"}
	}
	retire := 15 * time.Minute
	if in.RetireIn != "" {
		d, err := time.ParseDuration(in.RetireIn)
		if err != nil || d < 0 {
			return nil, &refusal{http.StatusBadRequest, "BadRequest", "retireIn is a duration such as 15m or 0s"}
		}
		retire = d
	}
	current, value := s.world.Secrets.Labelled(p.SecretARN, grant.StageCurrent)
	switch {
	case session.Name != "confirm-"+in.VersionID:
		return nil, &refusal{http.StatusForbidden, "Forbidden", fmt.Sprintf("confirm from a session named confirm-%.64s: this one proves nothing", in.VersionID)}
	case in.VersionID != current:
		return nil, &refusal{http.StatusConflict, "Conflict", "version " + in.VersionID + " is not the current one"}
	case s.confirmed[p.Grant] == current:
		return nil, &refusal{http.StatusConflict, "Conflict", "version " + current + " is confirmed already"}
	}
	at := s.world.Now().Add(retire).UTC().Truncate(time.Second)
	if err := s.retire(ctx, p, value, &at); err != nil {
		return nil, err
	}
	s.confirmed[p.Grant] = current
	return map[string]any{"grant": p.Grant, "versionId": current, "retireAt": at}, nil
}

// retire brings the deadline of the ID before forward to a moment; never back.
func (s *Server) retire(ctx context.Context, p grant.Plan, current []byte, at *time.Time) error {
	id, err := p.DecodeValue(current)
	if err != nil {
		return err
	}
	_, before := s.world.Secrets.Labelled(p.SecretARN, grant.StagePrevious)
	previous, err := p.DecodeValue(before)
	if err != nil {
		return nil // there is none
	}
	doc := s.world.IAM.Shown(p.RoleName(), 0)
	until, dated := previous.DeadlineIn(doc)
	switch {
	case !dated:
		return nil // it has ended
	case until.Before(*at):
		*at = until
	}
	after, _, err := trust.Apply(doc, p.TrustWith(grant.IDs{Current: id, Previous: previous, Until: *at}))
	if err != nil {
		return err
	}
	return s.world.IAM.SetTrust(ctx, p.RoleName(), after.Bytes())
}
