package provider

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"
)

// Statement stands in every receipt.
const Statement = "The provider's own statement. Nobody else has checked it."

// MaxReceipt is the most bytes that a receipt takes.
const MaxReceipt = 8 << 10

// ReceiptSchema is the JSON Schema of a receipt. It is closed: no other field stands in one.
//
//go:embed receipt.schema.json
var ReceiptSchema []byte

// Receipt is what Verify found. It holds no external ID.
type Receipt struct {
	Form      string    `json:"form"` // countersign-receipt/1
	Statement string    `json:"statement"`
	Account   string    `json:"account"`
	RoleARN   string    `json:"roleArn"`
	Grant     string    `json:"grant,omitempty"`     // absent for a role with a fixed external ID
	VersionID string    `json:"versionId,omitempty"` // of the current external ID
	By        string    `json:"by,omitempty"`        // ARN of who tried
	At        time.Time `json:"at"`                  // UTC, to the second
	Seconds   int       `json:"secondsWaited"`       // until AWS took the current ID
	Checks    []Check   `json:"checks"`
	Confirmed bool      `json:"confirmed"`
	RetireAt  time.Time `json:"retireAt,omitzero"` // when the ID before ends, as the customer's side answered
}

// CheckName is what was tried.
type CheckName string

// What Verify tries.
const (
	CheckNone     CheckName = "no external ID"
	CheckRandom   CheckName = "a random external ID"
	CheckCurrent  CheckName = "the current external ID"
	CheckRetired  CheckName = "the external ID before"
	CheckFixed    CheckName = "the fixed external ID"
	CheckConfirms CheckName = "the external ID before, in a session that confirms"
)

// Check is one thing that was tried.
type Check struct {
	Name  CheckName `json:"name"`
	Opens bool      `json:"opens"` // AWS let it in
	Good  bool      `json:"good"`  // as it should be
}

func newReceipt(c Customer, now time.Time) Receipt {
	return Receipt{
		Form: "countersign-receipt/1", Statement: Statement, Account: c.Account, RoleARN: c.RoleARN, Grant: c.Grant,
		At: now.UTC().Truncate(time.Second), Checks: []Check{},
	}
}

func (r *Receipt) note(name CheckName, opens, good bool) {
	r.Checks = append(r.Checks, Check{name, opens, good})
}

// JSON is the receipt as a line, at most MaxReceipt bytes.
func (r Receipt) JSON() ([]byte, error) {
	out, err := json.Marshal(r)
	if err != nil || len(out) > MaxReceipt {
		return nil, fmt.Errorf("writing a receipt of %d bytes: %w", len(out), err)
	}
	return append(out, '\n'), nil
}
