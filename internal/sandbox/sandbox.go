package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// The account, who enters it, and its grants.
const (
	Grant     = "migration"
	Other     = "nightly" // of the same provider, with a secret of its own
	Region    = "eu-central-1"
	Principal = "arn:aws:iam::111122223333:role/Engineers-sandbox"
	stranger  = "arn:aws:iam::999900001111:user/stranger"
)

// Config says where a Server is reached. The zero value has the time of this machine.
type Config struct {
	URL  string           // without a slash at its end: http://127.0.0.1:4577
	Now  func() time.Time // nil: time.Now
	Seed uint64           // of external IDs; the same seed makes the same ones
}

// Server is the account. It is an http.Handler, safe for concurrent use.
type Server struct {
	mu       sync.Mutex
	cfg      Config
	world    *simtest.World
	ahead    time.Duration // of the account's clock before cfg.Now: functions wait in no time
	lag      time.Duration
	sessions map[string]issued // by access key
	calls    []Call
}

// issued is a session with its keys.
type issued struct {
	session       *sim.Session
	secret, token string
}

// Call is one that the server has answered.
type Call struct {
	Action  string `json:"action"`            // AssumeRole, GetSecretValue, …
	On      string `json:"on"`                // the role's ARN, the secret, the path
	Session string `json:"session,omitempty"` // AssumeRole: the name asked for
	ID      string `json:"id,omitempty"`      // AssumeRole: none, or the fingerprint of the external ID
	Answer  string `json:"answer"`            // OK, or the error's code
}

// Facts are what a provider keeps of the customer, and how things stand.
type Facts struct {
	Account    string `json:"account"`
	Grant      string `json:"grant"`
	RoleARN    string `json:"roleArn"`
	Prefix     string `json:"prefix"`
	SecretARN  string `json:"secretArn"`
	ConfirmURL string `json:"confirmUrl"`
	VersionID  string `json:"versionId"` // that is current
	// Until is when the external ID before the current one ends; zero: it has ended, or is Kept until somebody confirms.
	Until    time.Time `json:"previousUntil,omitzero"`
	Kept     bool      `json:"previousKept,omitempty"`
	Why      string    `json:"why,omitempty"` // it is kept, or ends, while nobody has confirmed
	When     string    `json:"whenUnconfirmed"`
	Revoked  bool      `json:"revoked"`
	RevokeID string    `json:"revokeId,omitempty"`
	Clock    time.Time `json:"clock"` // the account's
	Lag      string    `json:"lag"`
}

// New makes an account with two grants, open and rotated never.
func New(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, sessions: map[string]issued{}}
	s.world = simtest.New(simtest.Config{
		AWS: sim.Config{
			Seed: cfg.Seed, Start: cfg.Now().UTC(), Region: Region, Replicas: 1, Forget: true,
			Lag: func(int) time.Duration { return s.lag },
		},
		Period: time.Hour, Workers: true,
	})
	for _, name := range []string{Grant, Other} {
		if err := s.deploy(name); err != nil {
			return nil, fmt.Errorf("deploying grant %s: %w", name, err)
		}
	}
	s.catchUp(context.Background())
	return s, nil
}

func (s *Server) deploy(name string) error {
	p := simtest.Migration()
	p.Grant = grant.Name(name)
	p.RoleARN = strings.Replace(p.RoleARN, Grant, name, 1)
	p.SecretARN = strings.Replace(p.SecretARN, Grant, name, 1)
	p.KeyARN = "arn:aws:kms:" + Region + ":" + p.Account + ":key/00000000-0000-4000-8000-000000000000"
	p.ConfirmURL = s.cfg.URL + "/v1/grants/" + name + "/confirm"
	p.WhenUnconfirmed = grant.UnconfirmedAuto // as access.yaml has it
	err := s.world.Deploy(context.Background(), p,
		sim.Policy{Name: "PickUp", Document: PickUp(Region, p.Account)}, sim.Policy{Name: grant.GuardPolicy, Document: guard(p)})
	if err != nil {
		return err
	}
	return s.world.Secrets.SetPolicy(p.SecretARN, []byte(secretPolicy(p)))
}

// catchUp lets the account's clock go on to now, and what falls due meanwhile run.
func (s *Server) catchUp(ctx context.Context) {
	target := s.cfg.Now().UTC().Add(s.ahead)
	if d := target.Sub(s.world.Now()); d > 0 {
		s.world.Sleep(ctx, d)
	}
	if d := s.world.Now().Sub(target); d > 0 {
		s.ahead += d
		for _, i := range s.sessions {
			i.session.Expires = i.session.Expires.Add(d) // sessions end by this machine's clock
		}
	}
}

// Calls are what was answered so far, the first one first.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Facts tells how things stand.
func (s *Server) Facts(ctx context.Context) Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(ctx)
	return s.facts(ctx)
}

func (s *Server) facts(ctx context.Context) Facts {
	p := s.world.Plans[Grant]
	f := Facts{
		Account: p.Account, Grant: Grant, RoleARN: p.RoleARN, Prefix: p.Prefix, SecretARN: p.SecretARN, ConfirmURL: p.ConfirmURL,
		When: string(p.WhenUnconfirmed), Clock: s.world.Now(), Lag: s.lag.String(),
	}
	if status, err := s.world.Status(ctx, Grant); err == nil {
		f.VersionID, f.RevokeID, f.Revoked = status.VersionID, status.RevokeID, status.State == "closed"
		for _, id := range status.Accepted {
			f.Kept = f.Kept || id.Unconfirmed
			if !id.Until.IsZero() {
				f.Until = id.Until
			}
		}
		if status.Confirmation != nil {
			f.Why = status.Confirmation.Why
		}
	}
	return f
}

// FirstID is the external ID to begin with, as the customer would hand it over: that which is current.
func (s *Server) FirstID() (grant.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, value := s.world.Secrets.Labelled(s.world.Plans[Grant].SecretARN, grant.StageCurrent)
	return s.world.Plans[Grant].DecodeValue(value)
}

// quote is JSON.
func quote(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of maps and strings
	}
	return string(b)
}
