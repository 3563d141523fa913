package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// Countersign's API: API Gateway is embedded, the functions behind it are Countersign's own.

// routes are the API's.
var routes = regexp.MustCompile(`^(?:GET /v1(/grants(?:/[^/]+)?)|POST /v1(/grants/[^/]+/(?:revoke|restore|rotate|pause|resume|test|confirm)))$`)

// api answers a request to the API.
func (s *Server) api(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	status, answer, err := s.request(ctx, r, body)
	if err != nil { // API Gateway's own answer
		why := refused(err)
		said, _ := json.Marshal(map[string]string{"message": why.message})
		status, answer = why.status, string(said)
	} else if status >= 300 {
		err = &refusal{status, http.StatusText(status), ""}
	}
	s.note(Call{Action: action(r), On: r.URL.Path}, err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

// action is what Calls call a request.
func action(r *http.Request) string {
	switch m := regexp.MustCompile(`/(confirm|rotate)$`).FindStringSubmatch(r.URL.Path); {
	case m == nil:
		return r.Method
	case m[1] == "confirm":
		return "Confirm"
	}
	return "Rotate"
}

// request asks IAM as API Gateway does, hands a request to its function, and lets what that began run to its end.
func (s *Server) request(ctx context.Context, r *http.Request, body []byte) (status int, answer string, err error) {
	who, err := s.caller(r, body, "execute-api")
	if err != nil {
		return 0, "", err
	}
	m := routes.FindStringSubmatch(r.Method + " " + r.URL.EscapedPath())
	if m == nil {
		return 0, "", &refusal{http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token"}
	}
	path := m[1] + m[2]
	if who.Session != nil {
		who.ARN = who.Session.ARN
		err = s.world.MayInvoke(sim.As(ctx, "provider"), who.Session, r.Method, path)
	} else if who.ARN != simtest.Operator {
		err = &refusal{http.StatusForbidden, "AccessDenied", "another account"}
	}
	if err != nil && refused(err).code == "AccessDenied" {
		err = &refusal{http.StatusForbidden, "AccessDenied", "User: " + who.ARN + " is not authorized to perform: execute-api:Invoke on " + r.Method + " " + path}
	}
	if err != nil {
		return 0, "", err
	}
	status, answer, err = s.world.Send(ctx, who.ARN, r.Method, path, string(body))
	if err != nil {
		return 0, "", &refusal{http.StatusBadGateway, "InternalServerError", "Internal server error"}
	}
	s.world.Sleep(ctx, time.Second)
	return status, answer, nil
}
