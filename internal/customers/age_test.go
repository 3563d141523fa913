package customers_test

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/customers"
)

func TestWhoseStackIsOutdated(t *testing.T) {
	for _, tc := range []struct {
		has, than string
		want      bool
	}{
		{"1.2.3", "1.2.3", false}, {"1.2.3", "1.2.4", true}, {"1.10.0", "1.9.0", false}, {"1.9.0", "1.10.0", true}, {"v1.2.3-4-gabc", "1.2.3", false},
		{"dev", "1.2.3", true}, {"dev", "dev", false}, {"", "1.2.3", false}, {"1.2.3", "", false}, {"2.0.0", "1.9.9", false},
	} {
		if got := (customers.Customer{StackVersion: tc.has}).Outdated(tc.than); got != tc.want {
			t.Errorf("%q against %q: %v", tc.has, tc.than, got)
		}
	}
	all := []customers.Customer{{StackVersion: "1.9.0"}, {StackVersion: "dev"}, {StackVersion: "1.10.0"}, {}}
	if got := customers.Newest(all); got != "1.10.0" {
		t.Errorf("newest: %q", got)
	}
}

func TestWhoIsSilent(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	c := customers.Customer{State: customers.StateAccepted, Grant: "migration", Accepted: now.Add(-100 * day), Reported: now.Add(-50 * day)}
	for name, tc := range map[string]struct {
		change func(*customers.Customer)
		want   bool
	}{
		"for 50 days":                {func(*customers.Customer) {}, true},
		"heard lately":               {func(c *customers.Customer) { c.Reported = now.Add(-44 * day) }, false},
		"accepted lately":            {func(c *customers.Customer) { c.Reported, c.Accepted = time.Time{}, now.Add(-day) }, false},
		"never heard":                {func(c *customers.Customer) { c.Reported = time.Time{} }, true},
		"revoked: nobody expects it": {func(c *customers.Customer) { c.State = customers.StateRevoked }, false},
		"without Countersign":        {func(c *customers.Customer) { c.Grant = "" }, false},
	} {
		one := c
		tc.change(&one)
		if got := one.Stale(now, 45*day); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
