package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/simtest"
)

// ControlPath is below which the sandbox's own commands are taken: GET it for the Facts, POST /rotate, /confirm, /revoke, /restore,
// /expire, /wait, /lag and /deploy. No path of AWS's begins so.
const ControlPath = "/_sandbox"

// Order is the body of a command.
type Order struct {
	Leaked bool   `json:"leaked,omitempty"` // rotate
	For    string `json:"for,omitempty"`    // lag, wait: a duration

	WhenUnconfirmed grant.Unconfirmed   `json:"whenUnconfirmed,omitempty"` // deploy
	ProviderMay     []grant.ProviderAct `json:"providerMay"`               // deploy; null: as it is
}

// Problem is the body of an answer that isn't 2xx.
type Problem struct {
	Error string `json:"error"`
	Next  string `json:"next,omitempty"` // what to try
}

// here are the operators' commands that stand in Countersign's own advice, as the sandbox has them.
var here = strings.NewReplacer("countersign confirm "+Grant, "countersign sandbox confirm", "countersign rotate "+Grant, "countersign sandbox rotate",
	"countersign restore "+Grant, "countersign sandbox restore")

// control takes the sandbox's own commands. It is for programs on this machine: a browser's requests, which a page of anybody's can
// send, are refused.
func (s *Server) control(w http.ResponseWriter, r *http.Request, body []byte) {
	say := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		say(http.StatusForbidden, Problem{Error: "not for browsers"})
		return
	}
	ctx, verb := context.WithoutCancel(r.Context()), strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, ControlPath), "/")
	var in Order
	if r.Method == http.MethodPost && len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			say(http.StatusBadRequest, Problem{Error: "the body can't be read"})
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
	case "POST confirm":
		err = s.Confirm(ctx)
	case "POST deploy":
		err = s.Deploy(ctx, in.WhenUnconfirmed, in.ProviderMay)
	case "POST lag", "POST wait":
		d, wrong := time.ParseDuration(in.For)
		switch {
		case wrong != nil:
			err = badOrder("%.40q is no duration, such as 30s or 2h", in.For)
		case verb == "lag":
			err = s.Lag(ctx, d)
		default:
			err = s.Wait(ctx, d)
		}
	default:
		say(http.StatusNotFound, Problem{Error: "GET " + ControlPath + "; POST rotate, confirm, revoke, restore, expire, wait, lag, deploy"})
		return
	}
	if no := (*simtest.Refused)(nil); errors.As(err, &no) {
		say(no.Status, Problem{Error: no.Problem.Error, Next: here.Replace(no.Next)})
		return
	}
	if err != nil {
		say(http.StatusConflict, Problem{Error: err.Error()})
		return
	}
	say(http.StatusOK, s.Facts(ctx))
}
