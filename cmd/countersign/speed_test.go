package main

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/customers"
)

// quick are what a person waits for at the keyboard with 10,000 customers in the copy of the registry. 100 ms is what it may take in
// all; the program's own start takes up to 30 of them.
var quick = [][]string{{"list", "customers"}, {"list", "customers", "customer-04242"}, {"__complete", "sudo", "customer-0424"}}

const most = 70 * time.Millisecond

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

// The best of some runs counts: what else the machine does is not the program's.
func TestNobodyWaitsAtTheKeyboard(t *testing.T) {
	tenThousand(t)
	for _, args := range quick {
		best, lines := time.Hour, 0
		for range 20 {
			var out bytes.Buffer
			began := time.Now()
			code := run(t.Context(), args, nil, &out, &out, os.Getenv)
			best = min(best, time.Since(began))
			if lines = bytes.Count(out.Bytes(), []byte("\n")); code != exitDone || !bytes.Contains(out.Bytes(), []byte("customer-04242")) {
				t.Fatalf("%q: exit %d: %.300s", args, code, out.Bytes())
			}
		}
		t.Logf("%q: %d lines in %s", args, lines, best.Round(time.Millisecond))
		if best > most {
			t.Errorf("%q takes %s, at most %s", args, best.Round(time.Millisecond), most)
		}
	}
}
