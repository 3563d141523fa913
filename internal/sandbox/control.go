package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// ControlPath is below which the sandbox's own commands are taken: GET it for the Facts, POST /rotate, /revoke, /restore, /expire
// and /lag. No path of AWS's begins so.
const ControlPath = "/_sandbox"

// Order is the body of a command.
type Order struct {
	Leaked bool   `json:"leaked,omitempty"` // rotate
	Lag    string `json:"lag,omitempty"`    // lag: a duration
}

// control takes the sandbox's own commands. It is for programs on this machine: a browser's requests, which a page of anybody's can
// send, are refused.
func (s *Server) control(w http.ResponseWriter, r *http.Request, body []byte) {
	say := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		say(http.StatusForbidden, map[string]string{"error": "not for browsers"})
		return
	}
	ctx, verb := r.Context(), strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, ControlPath), "/")
	var in Order
	if r.Method == http.MethodPost && len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			say(http.StatusBadRequest, map[string]string{"error": "the body can't be read"})
			return
		}
	}
	var err error
	switch r.Method + " " + verb {
	case "GET ":
	case "GET calls":
		say(http.StatusOK, s.Calls())
		return
	case "POST rotate":
		err = s.Rotate(ctx, in.Leaked)
	case "POST revoke":
		err = s.Revoke(ctx)
	case "POST restore":
		err = s.Restore(ctx)
	case "POST expire":
		err = s.Expire(ctx)
	case "POST lag":
		var d time.Duration
		if d, err = time.ParseDuration(in.Lag); err == nil {
			err = s.Lag(ctx, d)
		}
	default:
		say(http.StatusNotFound, map[string]string{"error": "GET " + ControlPath + "; POST rotate, revoke, restore, expire, lag"})
		return
	}
	if err != nil {
		say(http.StatusConflict, map[string]string{"error": err.Error()})
		return
	}
	say(http.StatusOK, s.Facts(ctx))
}
