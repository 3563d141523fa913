package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// RotationEvent is what Secrets Manager hands to a rotation function.
type RotationEvent struct {
	Step               string `json:"Step"`
	SecretID           string `json:"SecretId"` // the ARN
	ClientRequestToken string `json:"ClientRequestToken"`
	RotationToken      string `json:"RotationToken"`
}

// RotationSteps are the four steps, in order.
var RotationSteps = [...]string{"createSecret", "setSecret", "testSecret", "finishSecret"}

const (
	rotateActor = "rotate"         // by which the rotation function's calls are recorded
	engineActor = "secretsmanager" // by which the engine's invocations are recorded
)

// rotationAttempts is how often the engine tries a whole rotation. AWS says "multiple times" and no count.
const rotationAttempts = 5

// rotation is one that was started and has not ended well.
type rotation struct {
	token    string
	attempts int
	due      time.Time // of the next attempt
	taken    bool      // an attempt is under way
	gaveUp   bool
}

// OnRotate registers the rotation function of every secret that rotates.
func (m *Secrets) OnRotate(function func(context.Context, RotationEvent) error) {
	m.function = function
}

// EnableRotation gives a secret the rotation function and a schedule: the next rotation starts somewhere in a window that
// opens after every. Zero every: only on demand.
func (m *Secrets) EnableRotation(secretARN string, every, window time.Duration) error {
	s, err := m.live(secretARN)
	if err != nil {
		return err
	}
	s.rotates, s.every, s.window = true, every, window
	m.plan(s, m.w.now)
	return nil
}

// plan sets the next scheduled rotation after from.
func (m *Secrets) plan(s *secret, from time.Time) {
	s.next = time.Time{}
	if s.every > 0 {
		s.next = from.Add(s.every)
		if s.window > 0 {
			s.next = s.next.Add(time.Duration(m.w.random.Int64N(int64(s.window)))).Truncate(time.Second)
		}
	}
}

// Rotate is RotateSecret with RotateImmediately: it makes an empty version with the token as its id, labels it AWSPENDING and
// lets the engine start. The engine runs when it is asked to: see RunRotations, World.Sleep and World.Due.
func (m *Secrets) Rotate(ctx context.Context, secretARN, token string) error {
	return do(ctx, m.w, "secretsmanager", "RotateSecret", secretARN, func() error {
		if err := checkToken(token); err != nil {
			return err
		}
		s, err := m.live(secretARN)
		if err != nil {
			return err
		}
		return m.start(s, token)
	})
}

func (m *Secrets) start(s *secret, token string) error {
	if !s.rotates {
		return refuse(nil, "InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
	}
	if err := s.free(); err != nil {
		return err
	}
	if s.version(token) != nil {
		return nil // a repeat of a rotation that is done
	}
	s.remember(m.w.now)
	v := &version{id: token, created: m.w.now}
	s.versions = append(s.versions, v)
	s.label(v, grant.StagePending)
	s.rotation = &rotation{token: token, due: m.w.now}
	return nil
}

// free refuses while AWSPENDING stands on a version that isn't current.
func (s *secret) free() error {
	if p := s.at(grant.StagePending); p != nil && p != s.at(grant.StageCurrent) {
		return refuse(grant.ErrBusy, "InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.")
	}
	return nil
}

// RunRotations lets the engine run what is due now, and returns the errors of the attempts that failed. A failed attempt is
// tried again from the first step, later: see World.Sleep.
func (m *Secrets) RunRotations(ctx context.Context) error {
	var all error
	for _, s := range slices.Clone(m.order) {
		r := rotating{m, s}
		if at, ok := r.due(); ok && !at.After(m.w.now) {
			all = errors.Join(all, r.task().Run(ctx))
		}
	}
	return all
}

// RunRotations is Secrets.RunRotations.
func (w *World) RunRotations(ctx context.Context) error { return w.Secrets.RunRotations(ctx) }

// rotating is a secret as the engine sees it.
type rotating struct {
	m *Secrets
	s *secret
}

// due is when the attempt that is under way goes on, or the schedule begins one.
func (r rotating) due() (time.Time, bool) {
	switch one := r.s.rotation; {
	case r.s.deleted:
		return time.Time{}, false
	case one != nil && !one.gaveUp:
		return one.due, !one.taken
	}
	return r.s.next, !r.s.next.IsZero()
}

func (r rotating) task() Task {
	at, _ := r.due()
	if one := r.s.rotation; one != nil && !one.gaveUp {
		return Task{Name: engineActor, At: at, take: func() { one.taken = true }, run: func(ctx context.Context) error { return r.m.attempt(ctx, r.s, one) }}
	}
	return Task{Name: engineActor, At: at, take: func() { r.m.scheduled(r.s) }, run: func(ctx context.Context) error { return r.m.attemptOf(ctx, r.s) }}
}

// scheduled starts a rotation whose time has come. A pending version that is not current blocks it: then the schedule goes on.
func (m *Secrets) scheduled(s *secret) {
	m.plan(s, m.w.now)
	if m.start(s, m.w.uuid()) == nil {
		s.rotation.taken = true
	}
}

func (m *Secrets) attemptOf(ctx context.Context, s *secret) error {
	if s.rotation == nil || !s.rotation.taken {
		return nil
	}
	return m.attempt(ctx, s, s.rotation)
}

// attempt runs the four steps once.
func (m *Secrets) attempt(ctx context.Context, s *secret, r *rotation) error {
	r.attempts++
	err := m.fourSteps(ctx, s, r.token)
	r.taken = false
	switch {
	case err == nil:
		s.lastRotated = m.w.now
		if s.rotation == r {
			s.rotation = nil
		}
		m.plan(s, m.w.now)
	case r.attempts >= rotationAttempts:
		r.gaveUp = true
	default:
		r.due = m.w.now.Add(time.Minute << (r.attempts - 1))
	}
	return err
}

func (m *Secrets) fourSteps(ctx context.Context, s *secret, token string) error {
	for _, name := range RotationSteps {
		event := RotationEvent{Step: name, SecretID: s.arn, ClientRequestToken: token, RotationToken: m.w.uuid()}
		if err := m.InvokeStep(ctx, event); err != nil {
			return err
		}
		v := s.version(token)
		switch {
		case name == RotationSteps[0] && (v == nil || v.value == nil):
			return refuse(nil, "RotationFailed", "Pending secret version %s was not created by the rotation function.", token)
		case name == RotationSteps[3] && s.at(grant.StageCurrent) != v:
			return refuse(nil, "RotationFailed", "Secret version %s was not promoted by the rotation function.", token)
		}
	}
	return nil
}

// InvokeStep hands one event to the rotation function, as the engine does: a call of the engine's own, which can be lost or
// crash like any other. Tests use it for steps that come late, twice or out of order.
func (m *Secrets) InvokeStep(ctx context.Context, event RotationEvent) error {
	return do(As(ctx, engineActor), m.w, "lambda", "Invoke", rotateActor+" "+event.Step, func() error {
		if m.function == nil {
			return refuse(nil, "ResourceNotFoundException", "no rotation function: register one with OnRotate")
		}
		return m.w.Invoke(ctx, rotateActor, func(ctx context.Context) error { return m.function(ctx, event) })
	})
}

// Rotation is what the engine has under way for a secret.
type Rotation struct {
	Token    string
	Attempts int       // so far
	Due      time.Time // of the next attempt
	GaveUp   bool      // no further attempt; AWSPENDING stays where it is
}

// Rotation tells what the engine has under way for a secret, or gave up.
func (m *Secrets) Rotation(secretARN string) (Rotation, bool) {
	s, err := m.find(secretARN)
	if err != nil || s.rotation == nil {
		return Rotation{}, false
	}
	r := s.rotation
	return Rotation{r.token, r.attempts, r.due, r.gaveUp}, true
}
