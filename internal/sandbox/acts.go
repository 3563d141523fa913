package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// The acts of the customer and of AWS.

// Rotate rotates the external ID; leaked ends the one before at once. Another rotation begins when the one before has ended: so far
// the clock goes on. While that one is kept until somebody confirms, a rotation is refused.
func (s *Server) Rotate(ctx context.Context, leaked bool) error {
	return s.act(ctx, func() error {
		if !leaked {
			s.passOverlap(ctx)
		}
		if _, err := s.world.Rotate(ctx, Grant, leaked); err != nil {
			return err
		}
		return s.world.RunRotations(sim.As(ctx, "secretsmanager"))
	})
}

// passOverlap lets the clock go on to the end of the external ID before, if it has one: by the trust policy, or by a confirmation,
// which a deploy doesn't bring back into the trust policy.
func (s *Server) passOverlap(ctx context.Context) {
	until := s.facts(ctx).Until
	if status, err := s.world.Status(ctx, Grant); err == nil && status.Confirmation != nil && status.Confirmation.VersionID == status.VersionID {
		until = latest(until, status.Confirmation.RetireAt)
	}
	if until.After(s.world.Now()) {
		s.world.Sleep(ctx, until.Sub(s.world.Now())+time.Second)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Revoke takes the access away, live sessions included.
func (s *Server) Revoke(ctx context.Context) error {
	return s.act(ctx, func() error {
		_, err := s.world.Revoke(ctx, Grant, "sandbox revoke")
		return err
	})
}

// Restore gives it back, with a new external ID; sessions work again from three minutes later on, and so far the clock goes.
func (s *Server) Restore(ctx context.Context) error {
	return s.act(ctx, func() error {
		status, err := s.world.Status(ctx, Grant)
		if err != nil {
			return err
		}
		if _, err := s.world.Restore(ctx, Grant, status.RevokeID, "sandbox restore"); err != nil {
			return err
		}
		s.world.Sleep(ctx, 10*time.Minute)
		return nil
	})
}

// Expire lets the clock go on to where the ID before the current one ends.
func (s *Server) Expire(ctx context.Context) error {
	return s.act(ctx, func() error {
		switch f := s.facts(ctx); {
		case f.Kept:
			return fmt.Errorf("the external ID before stays until somebody confirms the current one: %s", f.Why)
		case f.Until.IsZero():
			return errors.New("no external ID has an end: rotate first")
		}
		s.passOverlap(ctx)
		return nil
	})
}

// Wait lets the clock go on.
func (s *Server) Wait(ctx context.Context, d time.Duration) error {
	return s.act(ctx, func() error {
		if d < 0 || d > 366*24*time.Hour {
			return badOrder("a wait is from 0s to 8784h, a year")
		}
		s.world.Sleep(ctx, d)
		return nil
	})
}

// Confirm confirms the current external ID by hand, as an operator of the customer's does.
func (s *Server) Confirm(ctx context.Context) error {
	return s.act(ctx, func() error {
		_, err := s.world.ConfirmByHand(ctx, Grant, s.facts(ctx).VersionID, "")
		s.world.Sleep(ctx, time.Second) // reconcile hears of it
		return err
	})
}

// Deploy deploys the grant anew with another whenUnconfirmed and another providerMay; empty and nil leave what there is.
func (s *Server) Deploy(ctx context.Context, when grant.Unconfirmed, may []grant.ProviderAct) error {
	return s.act(ctx, func() error {
		p := s.world.Plans[Grant]
		switch when {
		case "":
		case grant.UnconfirmedAuto, grant.UnconfirmedCut, grant.UnconfirmedExtend:
			p.WhenUnconfirmed = when
		default:
			return badOrder("whenUnconfirmed is auto, cut or extend, not %.20q", when)
		}
		for _, act := range may {
			if !slices.Contains(grant.ProviderActs, act) {
				return badOrder("providerMay holds confirm and rotate, not %.20q", act)
			}
		}
		if may != nil {
			p.ProviderMay = may
		}
		return s.world.Deploy(ctx, p)
	})
}

// Lag makes IAM show later changes that much later to those who enter.
func (s *Server) Lag(ctx context.Context, d time.Duration) error {
	return s.act(ctx, func() error {
		if d < 0 || d > time.Hour {
			return badOrder("a lag is from 0s to 1h")
		}
		s.lag = d
		return nil
	})
}

// badOrder refuses what can't be meant.
func badOrder(format string, args ...any) error {
	return &simtest.Refused{Status: http.StatusBadRequest, Problem: api.Problem{Error: fmt.Sprintf(format, args...)}}
}

// act does something and tells why it was refused.
func (s *Server) act(ctx context.Context, do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(ctx)
	err := do()
	s.catchUp(ctx)
	return err
}

// SetSecret puts a value into the grant's secret as its current version, as nobody in the account could: for tests of what a
// provider refuses.
func (s *Server) SetSecret(ctx context.Context, versionID string, value []byte) error {
	return s.act(ctx, func() error {
		return s.world.Secrets.PutVersion(sim.As(ctx, "intruder"), s.world.Plans[Grant].SecretARN, versionID, value)
	})
}

// SetTags puts tags on the grant's role: the same.
func (s *Server) SetTags(ctx context.Context, tags map[string]string) error {
	return s.act(ctx, func() error {
		return s.world.IAM.TagRole(sim.As(ctx, "intruder"), s.world.Plans[Grant].RoleName(), tags)
	})
}

// SetTrust puts another trust policy on the grant's role: the same.
func (s *Server) SetTrust(ctx context.Context, document []byte) error {
	return s.act(ctx, func() error {
		return s.world.IAM.SetTrust(sim.As(ctx, "intruder"), s.world.Plans[Grant].RoleName(), document)
	})
}
