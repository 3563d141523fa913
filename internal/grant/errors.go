package grant

import "errors"

// What AWS answered, in words that decide. Adapters map the services' error codes to these, wrapped with the act, and
// the simulator returns the same ones.
var (
	ErrNotFound     = errors.New("not found")            // no such role, policy, secret, version or parameter
	ErrThrottled    = errors.New("throttled")            // the service asks to slow down; the SDK's own retries are spent
	ErrDenied       = errors.New("access denied")        // our own permissions don't reach
	ErrMalformed    = errors.New("malformed document")   // IAM refused the policy, a deleted principal included
	ErrUnmodifiable = errors.New("unmodifiable role")    // service-linked or Identity Center's: final
	ErrQuota        = errors.New("over quota")           // a limit of the service
	ErrConflict     = errors.New("conflicting change")   // concurrent change, or a version that exists with other data
	ErrUnavailable  = errors.New("service unavailable")  // 5xx, timeouts, a lost answer: the call may have worked
	ErrBusy         = errors.New("rotation in progress") // RotateSecret while a pending version isn't current
)

// What we decided.
var (
	ErrClosed        = errors.New("grant is closed")
	ErrDrift         = errors.New("trust policy drifted")
	ErrOverlapOpen   = errors.New("previous external ID is still accepted")
	ErrUnconfirmed   = errors.New("previous external ID is accepted until the provider confirms the current one")
	ErrNotAdopted    = errors.New("the adopted role's external ID is not handed over")
	ErrNotIssued     = errors.New("the provider's external ID was not handed over")
	ErrNotConfigured = errors.New("grant is not configured")
	ErrBackwards     = errors.New("staging labels run backwards in time")
	ErrNotYetVisible = errors.New("accepted but not yet visible") // retry: the write is done, reading it back isn't
	ErrForeignValue  = errors.New("secret value is not in our form")
	ErrOtherRole     = errors.New("secret value names another role") // with ErrForeignValue: the plan's role was replaced
	ErrBadToken      = errors.New("rotation token is no pending version")
	ErrPaused        = errors.New("scheduled rotations are paused") // as an operator wants it: nobody has to look
	ErrReleased      = errors.New("the role was given back")        // the same: nothing of it is ours any more
)
