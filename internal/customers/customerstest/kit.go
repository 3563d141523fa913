// Package customerstest makes events of customers' accounts, and holds a store of the registry to its contract.
package customerstest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
)

// Acme is an account.
const Acme = "444455556666"

// Noon is when customers are invited.
var Noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// Role is what a grant's role is called by default.
func Role(account, grant string) string {
	return "arn:aws:iam::" + account + ":role/countersign/ServiceProvider-" + grant
}

// Secret is what a grant's secret is called.
func Secret(account, grant string) string {
	return "arn:aws:secretsmanager:eu-west-1:" + account + ":secret:countersign/" + grant + "-Ab3dEf"
}

// ConfirmURL is where a grant is confirmed.
func ConfirmURL(grant string) string {
	return "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1/grants/" + grant + "/confirm"
}

// Message is an event as the queue brings it.
type Message struct {
	Sender string // whom EventBridge vouches for
	Source string
	Type   events.Type
	Time   time.Time
	Grant  string
	Stack  string // version
	Data   map[string]any
}

// Event is one of a grant's, sent by its own account.
func Event(typ events.Type, at time.Time, account, grant string) Message {
	return Message{account, events.Source, typ, at, grant, "1.0.0", map[string]any{
		"provider": "hestio", "providerAccount": "111122223333", "account": account,
		"roleArn": Role(account, grant), "secretArn": Secret(account, grant),
	}}
}

// With is the event with another value.
func (m Message) With(key string, value any) Message {
	data := map[string]any{key: value}
	for k, v := range m.Data {
		if k != key {
			data[k] = v
		}
	}
	m.Data = data
	return m
}

// Body is the event as EventBridge puts it on a queue.
func (m Message) Body() []byte {
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": "3f2a1b0c-0003-4a5b-8c6d-7e8f90a1b2c3", "source": m.Source, "account": m.Sender, "detail-type": m.Type,
		"detail": map[string]any{
			"metadata": map[string]any{"id": fmt.Sprintf("%032x", m.Time.Unix()), "version": "1", "time": m.Time, "grant": m.Grant, "stackVersion": m.Stack},
			"data":     m.Data,
		},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// Said is the event as the registry reads it.
func (m Message) Said(t testing.TB) customers.Said {
	t.Helper()
	s, err := customers.Read(m.Body())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Invited is a customer that nobody has accepted yet.
func Invited(name, account string) customers.Entry {
	return customers.Entry{Name: name, Account: account, Prefix: "p" + strings.ReplaceAll(name, "-", ""), Kind: customers.KindCountersign, Invited: Noon}
}

// Accepted is a customer whose grant was accepted a minute after its invitation.
func Accepted(t testing.TB, name, account, grant string) customers.Entry {
	t.Helper()
	e := Invited(name, account)
	b := customers.Binding{Account: account, Prefix: e.Prefix, Grant: grant, RoleARN: Role(account, grant), SecretARN: Secret(account, grant)}
	e, err := e.Accept(customers.Customer{Proposed: &b}, "arn:aws:sts::111122223333:assumed-role/Registrar/ann", Noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return e
}
