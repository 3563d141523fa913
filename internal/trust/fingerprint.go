package trust

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"sync"
)

// ownForm is the form of IDs that Countersign makes: an optional prefix issued by the provider, one hyphen, 32 alphanumerics.
var ownForm = regexp.MustCompile(`^(?:[a-z0-9]{4,32}-)?[A-Za-z0-9]{32}$`)

// runKey hides guessable IDs: their fingerprints mean something within one run only.
var runKey = sync.OnceValue(func() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails since Go 1.24
	return key
})

// Fingerprint names an external ID without telling it: "#" and six hex digits. For IDs in Countersign's own random form
// these are of their SHA-256 and the same everywhere; any other ID could be guessed from such a hash, so its fingerprint
// is keyed and changes with every run. The empty ID has the fingerprint "none".
func Fingerprint(id string) string {
	if id == "" {
		return "none"
	}
	var sum []byte
	if ownForm.MatchString(id) {
		s := sha256.Sum256([]byte(id))
		sum = s[:]
	} else {
		mac := hmac.New(sha256.New, runKey())
		mac.Write([]byte(id))
		sum = mac.Sum(nil)
	}
	return "#" + hex.EncodeToString(sum[:3])
}
