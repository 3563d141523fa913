package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/customers"
)

// quick are what a person waits for at the keyboard with 10,000 customers in the copy of the registry, and most the allocations that
// they may make for each of them. Reading the copy takes 15.
var (
	quick = [][]string{{"list", "customers"}, {"list", "customers", "customer-04242"}, {"__complete", "sudo", "customer-0424"}}
	most  = []float64{30, 20, 20}
)

func tenThousand(t testing.TB) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("COUNTERSIGN_CUSTOMERS", "ten-thousand")
	t.Setenv("COUNTERSIGN_VISIT", "")
	var rows []customers.Customer
	for i := range 10_000 {
		account := fmt.Sprintf("%012d", 400_000_000_000+i)
		rows = append(rows, customers.Customer{
			Name: fmt.Sprintf("customer-%05d", i), Account: account, Prefix: fmt.Sprintf("prefix%05d", i), Grant: "migration",
			RoleARN:    "arn:aws:iam::" + account + ":role/countersign/ServiceProvider-migration",
			SecretARN:  "arn:aws:secretsmanager:eu-central-1:" + account + ":secret:countersign/migration-AbCdEf",
			ConfirmURL: "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1/grants/migration/confirm", Kind: customers.KindCountersign, Teams: []string{"blue", "green"},
			State: customers.StateAccepted, Since: time.Unix(1.7e9, 0), Rotated: time.Unix(1.76e9, 0), Reported: time.Unix(1.76e9, 0), StackVersion: "1.2.3",
			AcceptedBy: "arn:aws:sts::111122223333:assumed-role/CountersignRegistrar/jdoe",
		})
	}
	c := &cli{env: func(string) string { return "" }, now: time.Now}
	c.closedBook("ten-thousand").write(rows)
}

// What it costs is counted, not timed: a machine that does other things as well is slow, and allocates as ever. make bench has the times.
func TestNobodyWaitsAtTheKeyboard(t *testing.T) {
	tenThousand(t)
	for i, args := range quick {
		var out bytes.Buffer
		each := testing.AllocsPerRun(2, func() {
			out.Reset()
			if code := run(t.Context(), args, nil, &out, &out, os.Getenv); code != exitDone || !bytes.Contains(out.Bytes(), []byte("customer-04242")) {
				t.Fatalf("%q: exit %d: %.300s", args, code, out.Bytes())
			}
		}) / 10_000
		t.Logf("%q: %d lines, %.1f allocations a customer", args, bytes.Count(out.Bytes(), []byte("\n")), each)
		if each > most[i] {
			t.Errorf("%q makes %.1f allocations a customer, at most %.0f", args, each, most[i])
		}
	}
}
