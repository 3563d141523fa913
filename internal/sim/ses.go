package sim

import (
	"context"

	"github.com/countersign/countersign/internal/grant"
)

// SES is what AWS SES says of an account's mail in the Region.
type SES struct {
	w *World

	Production  bool   // out of the sandbox
	Paused      bool   // by the account itself
	Enforcement string // HEALTHY, PROBATION, or SHUTDOWN: paused by AWS
	DailyQuota  float64
	Identities  map[string]MailIdentity // by address or domain
}

// MailAccount is GetAccount's answer.
type MailAccount struct {
	Production, Sending   bool
	Enforcement           string
	DailyQuota, SentToday float64
}

// MailIdentity is GetEmailIdentity's answer.
type MailIdentity struct {
	Verified       bool
	Status         string // of the verification
	Signing        bool
	DKIM           string // SUCCESS, PENDING, FAILED, …
	MailFrom       string // custom MAIL FROM domain
	MailFromStatus string
}

// Account is GetAccount.
func (s *SES) Account(ctx context.Context) (a MailAccount, err error) {
	err = do(ctx, s.w, "ses", "GetAccount", "", func() error {
		a = MailAccount{
			Production: s.Production, Sending: !s.Paused && s.Enforcement != "SHUTDOWN", Enforcement: s.Enforcement,
			DailyQuota: s.DailyQuota, SentToday: float64(len(s.w.letters)),
		}
		return nil
	})
	return a, err
}

// Identity is GetEmailIdentity.
func (s *SES) Identity(ctx context.Context, name string) (i MailIdentity, err error) {
	err = do(ctx, s.w, "ses", "GetEmailIdentity", name, func() error {
		found, ok := s.Identities[name]
		if !ok {
			return refuse(grant.ErrNotFound, "NotFoundException", "Email identity %s does not exist.", name)
		}
		i = found
		return nil
	})
	return i, err
}
