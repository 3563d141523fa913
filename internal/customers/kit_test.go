package customers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/customers"
)

const acme = "444455556666"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// role and secret are what a grant of an account is called by default.
func role(account, grant string) string {
	return "arn:aws:iam::" + account + ":role/countersign/ServiceProvider-" + grant
}

func secret(account, grant string) string {
	return "arn:aws:secretsmanager:eu-west-1:" + account + ":secret:countersign/" + grant + "-Ab3dEf"
}

func confirmURL(grant string) string {
	return "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1/grants/" + grant + "/confirm"
}

// message is an event as the queue brings it.
type message struct {
	sender string // whom EventBridge vouches for
	source string
	typ    events.Type
	time   time.Time
	grant  string
	stack  string
	data   map[string]any
}

// event is one of a grant's, sent by its own account.
func event(typ events.Type, at time.Time, account, grant string) message {
	return message{account, events.Source, typ, at, grant, "1.0.0", map[string]any{
		"provider": "hestio", "providerAccount": "111122223333", "account": account,
		"roleArn": role(account, grant), "secretArn": secret(account, grant),
	}}
}

func (m message) with(key string, value any) message {
	data := map[string]any{key: value}
	for k, v := range m.data {
		if k != key {
			data[k] = v
		}
	}
	m.data = data
	return m
}

func (m message) body() []byte {
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": "3f2a1b0c-0003-4a5b-8c6d-7e8f90a1b2c3", "source": m.source, "account": m.sender, "detail-type": m.typ,
		"detail": map[string]any{
			"metadata": map[string]any{"id": fmt.Sprintf("%032x", m.time.Unix()), "version": "1", "time": m.time, "grant": m.grant, "stackVersion": m.stack},
			"data":     m.data,
		},
	})
	if err != nil {
		panic(err)
	}
	return body
}

func (m message) said(t testing.TB) customers.Said {
	t.Helper()
	s, err := customers.Read(m.body())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func invited(name, account string) customers.Entry {
	return customers.Entry{Name: name, Account: account, Prefix: "p" + strings.ReplaceAll(name, "-", ""), Kind: customers.KindCountersign, Invited: noon}
}

// accepted is a customer whose grant was accepted a minute after its invitation.
func accepted(t testing.TB, name, account, grant string) customers.Entry {
	t.Helper()
	e := invited(name, account)
	b := customers.Binding{Account: account, Prefix: e.Prefix, Grant: grant, RoleARN: role(account, grant), SecretARN: secret(account, grant)}
	e, err := e.Accept(b, "arn:aws:sts::111122223333:assumed-role/Registrar/ann", noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return e
}
