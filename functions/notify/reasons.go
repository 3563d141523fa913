package notify

import (
	"errors"

	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

// final says that only a person can help: no attempt follows, and the message lies with the dead letters until it is sent
// again.
func final(err error) bool {
	for _, e := range []error{errNoSender, errBadAddress, deliver.ErrBadHeader, deliver.ErrBadKey, deliver.ErrBadURL, deliver.ErrForbiddenAddress} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reason says in plain words why a destination was not told. It names no address: services' own words may.
func reason(channel grant.Channel, err error) string {
	for _, e := range []error{errNoSender, errBadAddress, errNoSecret} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	if no := (*disabled)(nil); errors.As(err, &no) {
		return no.Error()
	}
	for _, e := range []error{grant.ErrNotFound, grant.ErrDenied, grant.ErrThrottled, grant.ErrQuota, grant.ErrUnavailable} {
		if errors.Is(err, e) {
			return "AWS: " + e.Error()
		}
	}
	switch {
	case errors.Is(err, deliver.ErrBadHeader):
		return "the sender or the recipient is not one line of ASCII: correct mailFrom and notify in access.yaml"
	case channel == grant.Mail:
		return "SES did not take the mail: see that the sender is verified, and the log of countersign-notify"
	case channel == grant.SNS:
		return "SNS did not take the message: see the log of countersign-notify"
	}
	return deliver.Reason(err)
}

// loggable is what the log may hold of an error: a webhook's may quote its URL, which can be a credential.
func loggable(channel grant.Channel, err error) string {
	if channel == grant.Webhook {
		return reason(channel, err)
	}
	return err.Error()
}
