package sim

import (
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// rate is a token bucket: so many calls a second, a second's worth of them at once after a pause. What is refused takes no
// token.
type rate struct {
	every time.Duration // until the next token; zero: no limit
	burst int
	spent time.Time // when the bucket is full again
}

func perSecond(n int) rate {
	if n == 0 {
		return rate{}
	}
	return rate{every: time.Second / time.Duration(n), burst: n}
}

// take takes a token, if there is one.
func (r *rate) take(now time.Time) bool {
	if r.every == 0 {
		return true
	}
	whole := time.Duration(r.burst) * r.every
	switch left := r.spent.Sub(now); {
	case left < 0:
		r.spent = now
	case left > whole: // the clock jumped back
		r.spent = now.Add(whole)
	}
	if r.spent.Add(r.every).After(now.Add(whole)) {
		return false
	}
	r.spent = r.spent.Add(r.every)
	return true
}

// throttle refuses a call that is over the account's rate. Only IAM's are limited.
func (w *World) throttle(c Call) error {
	if c.Service != "iam" {
		return nil
	}
	limit := &w.iamWrites
	if strings.HasPrefix(c.Action, "Get") || strings.HasPrefix(c.Action, "List") {
		limit = &w.iamReads
	}
	if limit.take(w.now) {
		return nil
	}
	return refuse(grant.ErrThrottled, "Throttling", "Rate exceeded")
}
