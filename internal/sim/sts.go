package sim

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// STS is AWS STS: who enters a role, and who somebody is.
type STS struct{ w *World }

// Session is what AssumeRole gives. It holds no copy of any policy: each call is evaluated anew.
type Session struct {
	RoleARN        string
	Name           string
	ARN            string // of the assumed role: the path is dropped
	Principal      string // who assumed the role
	SourceIdentity string
	Issued         time.Time // UTC, to the second
	Expires        time.Time

	w *World
}

// Assume is what AssumeRole can take beside who, whereto, with what and under which name.
type Assume struct {
	Duration       time.Duration       // zero: 1 h
	SourceIdentity string              // needs sts:SetSourceIdentity in the trust policy
	From           *Session            // role chaining: the session that assumes; principalARN is then ignored
	Keys           map[string][]string // further condition keys: aws:PrincipalOrgID, aws:PrincipalTag/…
	Replica        int                 // of IAM, see Outcome; zero: the first
}

// sessionNameForm says whether a text has the form of a session's name, or of a source identity.
func sessionNameForm(s string) bool {
	return len(s) >= 2 && len(s) <= 64 && madeOf(s, "_+=,.@-")
}

// madeOf says whether a text is of ASCII letters, digits and the characters of more.
func madeOf(s, more string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return notAlphanumeric(r) && !strings.ContainsRune(more, r) })
}

// replica is the IAM replica that STS and sessions ask: the one that the call was sent to, else the first.
func (w *World) replica(asked int) int {
	if asked > 0 {
		return asked
	}
	return min(1, w.cfg.Replicas)
}

// AssumeRole enters a role. principalARN is who asks; its own permission to ask is taken for granted, but for From. An empty
// externalID is none. Refusals by a trust policy are grant.ErrDenied, as are roles that don't exist.
func (s *STS) AssumeRole(ctx context.Context, principalARN, roleARN, externalID, sessionName string, options ...Assume) (*Session, error) {
	return step(ctx, s.w, "sts", "AssumeRole", roleARN, func() (*Session, error) {
		var o Assume
		if len(options) > 0 {
			o = options[0]
		}
		if o.From != nil {
			principalARN = o.From.ARN
			o.Keys = chained(o.From, o.Keys)
		}
		if s.w.asked > 0 {
			o.Replica = s.w.asked
		}
		if err := checkAssume(externalID, sessionName, o); err != nil {
			return nil, err
		}
		denied := func() error {
			return refuse(grant.ErrDenied, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", principalARN, roleARN)
		}
		if o.From != nil && o.From.evaluate("sts:AssumeRole", roleARN, nil, s.w.replica(o.Replica)) != nil {
			return nil, denied()
		}
		switch s.effect(principalARN, roleARN, externalID, sessionName, o) {
		case trust.Allow:
		case trust.Deny:
			return nil, denied()
		default:
			v := s.Verdict(principalARN, roleARN, externalID, sessionName, o)
			return nil, refuse(grant.ErrDenied, "Undecided", "nobody here can tell what AWS would say to this trust policy: %s", strings.Join(v.Why, "; "))
		}
		r := s.role(roleARN)
		duration := o.Duration
		if duration == 0 {
			duration = time.Hour
		}
		if duration > r.maxSession {
			return nil, refuse(nil, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
		}
		issued := s.w.now.Truncate(time.Second)
		return &Session{
			RoleARN: r.arn, Name: sessionName, Principal: principalARN, SourceIdentity: o.SourceIdentity,
			ARN:    fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", accountOf(r.arn), r.name, sessionName),
			Issued: issued, Expires: issued.Add(duration), w: s.w,
		}, nil
	})
}

// chained adds the condition keys of a session that assumes: its role's ARN has a path that its own ARN lacks.
func chained(from *Session, keys map[string][]string) map[string][]string {
	out := map[string][]string{"aws:PrincipalArn": {from.RoleARN}}
	maps.Copy(out, keys)
	return out
}

func checkAssume(externalID, sessionName string, o Assume) error {
	switch {
	case externalID != "" && (len(externalID) < 2 || len(externalID) > 1224 || !madeOf(externalID, "_+=,.@:/-")):
		return refuse(nil, "ValidationError", "an external ID has 2 to 1,224 letters, digits and _+=,.@:/-")
	case !sessionNameForm(sessionName):
		return refuse(nil, "ValidationError", "a role session name has 2 to 64 letters, digits and _+=,.@-")
	case o.SourceIdentity != "" && !sessionNameForm(o.SourceIdentity):
		return refuse(nil, "ValidationError", "a source identity has 2 to 64 letters, digits and _+=,.@-")
	case o.Duration != 0 && (o.Duration < 15*time.Minute || o.Duration > 12*time.Hour):
		return refuse(nil, "ValidationError", "a session lasts 15 minutes to 12 hours")
	case o.From != nil && o.Duration > time.Hour:
		return refuse(nil, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	return nil
}

// Verdict is what a role's trust policy, as the replica shows it, says to an AssumeRole. It is no call: invariants ask it
// after each step. A role that doesn't exist denies. Unknown means that package trust can't tell what AWS would say.
func (s *STS) Verdict(principalARN, roleARN, externalID, sessionName string, o Assume) trust.Verdict {
	return s.judge((*trust.Document).Evaluate, principalARN, roleARN, externalID, sessionName, o)
}

// effect is Verdict without the explanation, which takes longer than the rest.
func (s *STS) effect(principalARN, roleARN, externalID, sessionName string, o Assume) trust.Effect {
	effect := func(d *trust.Document, r trust.Request) trust.Verdict { return trust.Verdict{Effect: d.Effect(r)} }
	return s.judge(effect, principalARN, roleARN, externalID, sessionName, o).Effect
}

func (s *STS) judge(ask func(*trust.Document, trust.Request) trust.Verdict, principalARN, roleARN, externalID, sessionName string, o Assume) trust.Verdict {
	r := s.role(roleARN)
	if r == nil {
		return trust.Verdict{Effect: trust.Deny, Why: []string{"no such role"}}
	}
	d, err := s.w.IAM.document(r.trust.at(s.w, s.w.replica(o.Replica)))
	if err != nil {
		return trust.Verdict{Effect: trust.Unknown, Why: []string{err.Error()}}
	}
	keys := map[string][]string{"sts:RoleSessionName": {sessionName}}
	maps.Copy(keys, o.Keys)
	if o.SourceIdentity != "" {
		keys["sts:SourceIdentity"] = []string{o.SourceIdentity}
		v := ask(d, trust.Request{Principal: principalARN, Action: "sts:SetSourceIdentity", At: s.w.now, Context: keys})
		if v.Effect != trust.Allow {
			return v
		}
	}
	if externalID != "" {
		keys["sts:ExternalId"] = []string{externalID}
	}
	return ask(d, trust.Request{Principal: principalARN, At: s.w.now, Context: keys})
}

// role finds a role by its whole ARN, path included.
func (s *STS) role(arn string) *role {
	r := s.w.IAM.roles[strings.ToLower(arn[strings.LastIndexByte(arn, '/')+1:])]
	if r == nil || r.arn != arn {
		return nil
	}
	return r
}

// Caller is GetCallerIdentity with the actor's own credentials; see AsPrincipal.
func (s *STS) Caller(ctx context.Context) (account, arn string, err error) {
	who := s.w.actor(ctx)
	_, err = step(ctx, s.w, "sts", "GetCallerIdentity", who.arn, func() (struct{}, error) { return struct{}{}, nil })
	if err != nil {
		return "", "", err
	}
	return accountOf(who.arn), who.arn, nil
}

// Do makes a call with the session, such as Do(ctx, "s3:GetObject", "arn:aws:s3:::bucket/key"). It is evaluated against what
// stands on the role now. grant.ErrDenied where it is refused; sts:GetCallerIdentity is never refused to a live session.
// Keys are further condition keys of the request.
func (s *Session) Do(ctx context.Context, action, resource string, keys ...map[string][]string) error {
	service, name, _ := strings.Cut(action, ":")
	return do(ctx, s.w, service, name, resource, func() error {
		err := s.evaluate(action, resource, keys, s.w.replica(s.w.asked))
		if r := s.w.STS.role(s.RoleARN); r != nil && err == nil {
			r.lastUsed = s.w.now
		}
		return err
	})
}

// Allowed says whether Do would work, as the replica shows it (0: the first). It is no call.
func (s *Session) Allowed(action, resource string, replica int, keys ...map[string][]string) bool {
	return s.evaluate(action, resource, keys, s.w.replica(replica)) == nil
}

func (s *Session) evaluate(action, resource string, keys []map[string][]string, replica int) error {
	if !s.w.now.Before(s.Expires) {
		return refuse(grant.ErrDenied, "ExpiredToken", "The security token included in the request is expired")
	}
	if strings.EqualFold(action, "sts:GetCallerIdentity") {
		return nil
	}
	r := s.w.STS.role(s.RoleARN)
	if r == nil {
		return refuse(grant.ErrDenied, "InvalidClientTokenId", "The security token included in the request is invalid")
	}
	q := request{action: action, resource: resource, at: s.w.now, session: s, role: r}
	for _, more := range keys {
		if q.keys == nil {
			q.keys = map[string][]string{}
		}
		for key, values := range more {
			q.keys[strings.ToLower(key)] = values
		}
	}
	if ok, why := s.w.IAM.permits(&q, replica); !ok {
		return refuse(grant.ErrDenied, "AccessDenied", "User: %s is not authorized to perform: %s on resource: %s with %s", s.ARN, action, resource, why)
	}
	return nil
}
