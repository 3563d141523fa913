package simtest

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// How the AWS SDK tries a call, as internal/aws/awsconfig configures it. A test compares the two.
const (
	attempts       = 5
	longestBackoff = 5 * time.Second
	urgentAttempts = 60
	urgentBackoff  = 75 * time.Millisecond
)

// SDK is the embedded IAM behind the AWS SDK's own retries: what is throttled or finds nobody is tried again after a while.
// It waits as the SDK does, on the virtual clock and by the world's seed. All other services answer without it.
type SDK struct {
	*sim.IAM
	wait     func(ctx context.Context, d time.Duration) error
	attempts int
	backoff  func(attempt int) time.Duration
	urgent   bool
}

// roleAPI is what functions need of IAM.
type roleAPI interface {
	reconcile.Roles
	TagRole(ctx context.Context, roleName string, tags map[string]string) error
}

// standard is what functions have.
func standard(w *sim.World, seed uint64) SDK {
	random := rand.New(rand.NewPCG(seed, 1))
	return SDK{w.IAM, w.Wait, attempts, func(attempt int) time.Duration {
		if attempt > 2 { // 2 to the power of 3 seconds is over the longest
			return longestBackoff
		}
		return time.Duration(random.Int64N(int64(time.Second) << attempt))
	}, false}
}

// urgent is what takes access away.
func urgent(w *sim.World, seed uint64) SDK {
	random := rand.New(rand.NewPCG(seed, 2))
	return SDK{w.IAM, w.Wait, urgentAttempts, func(int) time.Duration {
		return urgentBackoff/3 + time.Duration(random.Int64N(int64(urgentBackoff-urgentBackoff/3)))
	}, true}
}

func (s SDK) try(ctx context.Context, call func() error) error {
	for attempt := 1; ; attempt++ {
		err := call()
		again := errors.Is(err, grant.ErrThrottled) || errors.Is(err, grant.ErrUnavailable)
		if !again || attempt == s.attempts || s.wait(ctx, s.backoff(attempt)) != nil {
			return err
		}
	}
}

// Role is GetRole.
func (s SDK) Role(ctx context.Context, roleName string) (r grant.Role, err error) {
	err = s.try(ctx, func() error { r, err = s.IAM.Role(ctx, roleName); return err })
	return r, err
}

// SetTrust is UpdateAssumeRolePolicy. What is throttled goes back to the caller, unless it takes access away.
func (s SDK) SetTrust(ctx context.Context, roleName string, document []byte) error {
	var throttled error
	err := s.try(ctx, func() error {
		err := s.IAM.SetTrust(ctx, roleName, document)
		if errors.Is(err, grant.ErrThrottled) && !s.urgent {
			throttled, err = err, nil
		}
		return err
	})
	return cmp.Or(throttled, err)
}

// InlinePolicy is GetRolePolicy.
func (s SDK) InlinePolicy(ctx context.Context, roleName, policyName string) (p []byte, err error) {
	err = s.try(ctx, func() error { p, err = s.IAM.InlinePolicy(ctx, roleName, policyName); return err })
	return p, err
}

// PutInlinePolicy is PutRolePolicy.
func (s SDK) PutInlinePolicy(ctx context.Context, roleName, policyName string, document []byte) error {
	return s.try(ctx, func() error { return s.IAM.PutInlinePolicy(ctx, roleName, policyName, document) })
}

// TagRole is TagRole.
func (s SDK) TagRole(ctx context.Context, roleName string, tags map[string]string) error {
	return s.try(ctx, func() error { return s.IAM.TagRole(ctx, roleName, tags) })
}
