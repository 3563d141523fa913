package entry

import (
	"encoding/json"
	"time"

	"github.com/countersign/countersign/internal/customers"
)

// enough is how long a kept session must still last.
const enough = 10 * time.Minute

// kept is a session of the same person, for the same reason, in the role that is accepted now. The registry was read before: of a
// customer that may not be entered nothing is given, and what was kept is dropped.
func (w *Way) kept(c customers.Customer, base Base, session string) (Opened, bool) {
	if w.Keep == nil {
		return Opened{}, false
	}
	src, ok := w.Keep.Get(c.Name)
	if !ok {
		return Opened{}, false
	}
	var o Opened
	if json.Unmarshal(src, &o) != nil || o.Customer != c.Name || o.RoleARN != c.RoleARN || o.Account != c.Account || o.From != base || o.Session != session ||
		o.Expires.Sub(w.Now()) < enough || o.Since.Before(c.Since) {
		w.drop(c.Name)
		return Opened{}, false
	}
	o.Credentials.CanExpire, o.Credentials.Expires = true, o.Expires
	return o, true
}

// keep keeps a session. A machine that can't is slower.
func (w *Way) keep(o Opened) {
	if w.Keep == nil {
		return
	}
	if out, err := json.Marshal(o); err == nil {
		_ = w.Keep.Put(o.Customer, out)
	}
}

func (w *Way) drop(name string) {
	if w.Keep != nil {
		_ = w.Keep.Drop(name)
	}
}
