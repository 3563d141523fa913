package deliver

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/countersign/countersign/internal/grant"
)

// IDOf is by which a message on the queue knows a destination: it stays the same where others come and go, and names another one
// when the address changes.
func IDOf(d grant.Destination) string {
	return string(d.Channel) + "-" + Fingerprint(string(d.Channel), cmp.Or(d.Address, d.Secret))
}

// Fingerprint stands for what must not be shown: 16 digits of a hash.
func Fingerprint(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(sum, "%d %s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
