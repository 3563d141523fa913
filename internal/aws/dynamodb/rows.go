package dynamodb

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/countersign/countersign/internal/customers"
)

// row is one item: texts, numbers and sets of texts.
type row map[string]types.AttributeValue

func key(kind, value string) row { return row{PartitionKey: text(kind), SortKey: text(value)} }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// set writes a text; an empty one is not there.
func (r row) set(name, value string) {
	if value != "" {
		r[name] = text(value)
	}
}

func (r row) setTime(name string, t time.Time) {
	if !t.IsZero() {
		r.set(name, t.UTC().Format(time.RFC3339))
	}
}

func (r row) text(name string) string {
	if v, ok := r[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

// reading is a row whose times are read, with the first that can't be.
type reading struct {
	row
	err error
}

func (r *reading) time(name string) time.Time {
	value := r.text(name)
	if value == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("row %s %s: %s is no time: %.40q", r.text(PartitionKey), r.text(SortKey), name, value)
	}
	return t.UTC()
}

func (r *reading) revision() int64 {
	v, _ := r.row["revision"].(*types.AttributeValueMemberN)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("row %s %s: no revision: %.40q", r.text(PartitionKey), r.text(SortKey), v.Value)
	}
	return n
}

// setBinding writes a binding under names that begin with prefix.
func (r row) setBinding(begin string, b customers.Binding) {
	r.set(begin+"Account", b.Account)
	r.set(begin+"Prefix", b.Prefix)
	r.set(begin+"Grant", b.Grant)
	r.set(begin+"RoleArn", b.RoleARN)
	r.set(begin+"SecretArn", b.SecretARN)
	r.set(begin+"ConfirmUrl", b.ConfirmURL)
}

func (r row) binding(begin string) customers.Binding {
	return customers.Binding{
		Account: r.text(begin + "Account"), Prefix: r.text(begin + "Prefix"), Grant: r.text(begin + "Grant"),
		RoleARN: r.text(begin + "RoleArn"), SecretARN: r.text(begin + "SecretArn"), ConfirmURL: r.text(begin + "ConfirmUrl"),
	}
}

func entryRow(e customers.Entry) row {
	r := key(Customer, e.Name)
	r.set("account", e.Account)
	r.set("prefix", e.Prefix)
	r.set("openedBy", string(e.Kind))
	r.set("staticSecretArn", e.StaticSecretARN)
	if len(e.Teams) > 0 {
		r["teams"] = &types.AttributeValueMemberSS{Value: e.Teams}
	}
	r.set("grant", e.Grant)
	r.set("roleArn", e.RoleARN)
	r.set("secretArn", e.SecretARN)
	r.set("confirmUrl", e.ConfirmURL)
	r.setBinding("offered", e.Offered)
	r.setTime("invited", e.Invited)
	r.setTime("accepted", e.Accepted)
	r.set("acceptedBy", e.By)
	r.setTime("decided", e.Decided)
	r["revision"] = number(e.Revision)
	return r
}

func (r row) entry() (customers.Entry, error) {
	in := &reading{row: r}
	e := customers.Entry{
		Name: r.text(SortKey), Account: r.text("account"), Prefix: r.text("prefix"), Kind: customers.Kind(r.text("openedBy")),
		StaticSecretARN: r.text("staticSecretArn"), Grant: r.text("grant"), RoleARN: r.text("roleArn"), SecretARN: r.text("secretArn"),
		ConfirmURL: r.text("confirmUrl"), Offered: r.binding("offered"), Invited: in.time("invited"), Accepted: in.time("accepted"),
		By: r.text("acceptedBy"), Decided: in.time("decided"), Revision: in.revision(),
	}
	if teams, ok := r["teams"].(*types.AttributeValueMemberSS); ok {
		e.Teams = slices.Sorted(slices.Values(teams.Value)) // a set has no order
	}
	return e, in.err
}

func heardRow(name string, h customers.Heard) row {
	r := key(Heard, name)
	r.setTime("invitation", h.Invitation)
	r.setBinding("of", h.Of)
	r.setTime("granted", h.Granted)
	r.setTime("dated", h.Dated)
	r.setTime("restored", h.Restored)
	r.setTime("ended", h.Ended)
	r.setTime("revoked", h.Revoked)
	r.set("revokedBy", h.RevokedBy)
	r.set("reason", h.Reason)
	r.setTime("rotated", h.Rotated)
	r.setTime("reported", h.Reported)
	r.set("stackVersion", h.StackVersion)
	r.setTime("expires", h.Expires)
	r.set("confirmUrl", h.ConfirmURL)
	r.setTime("confirmable", h.Confirmable)
	r.setBinding("proposed", h.Proposed)
	r.setTime("proposedAt", h.ProposedAt)
	r.setTime("rang", h.Rang)
	r["revision"] = number(h.Revision)
	return r
}

func (r row) heard() (customers.Heard, error) {
	in := &reading{row: r}
	h := customers.Heard{
		Invitation: in.time("invitation"), Of: r.binding("of"), Granted: in.time("granted"), Dated: in.time("dated"), Restored: in.time("restored"), Ended: in.time("ended"),
		Revoked: in.time("revoked"), RevokedBy: r.text("revokedBy"), Reason: r.text("reason"), Rotated: in.time("rotated"),
		Reported: in.time("reported"), StackVersion: r.text("stackVersion"), Expires: in.time("expires"),
		ConfirmURL: r.text("confirmUrl"), Confirmable: in.time("confirmable"),
		Proposed: r.binding("proposed"), ProposedAt: in.time("proposedAt"), Rang: in.time("rang"), Revision: in.revision(),
	}
	return h, in.err
}
