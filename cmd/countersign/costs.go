package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/metric"
)

// What AWS lists, in US dollars, as of June 2026; free tiers are left out. These are the prices of us-east-1, and of
// eu-central-1 too. From
//
//	https://aws.amazon.com/secrets-manager/pricing/
//	https://aws.amazon.com/kms/pricing/
//	https://aws.amazon.com/cloudwatch/pricing/
//	https://aws.amazon.com/sqs/pricing/
const (
	secretPrice  = 0.40 // a month
	secretCall   = 0.05 / 10_000
	keyPrice     = 1.00 // a month; after its first two yearly rotations a dollar more each
	keyCall      = 0.03 / 10_000
	alarmPrice   = 0.10 // a month
	metricPrice  = 0.30 // a month, by the hours in which it is written
	queueRequest = 0.40 / 1e6
	pricesFrom   = "June 2026"
	pricesAt     = "aws.amazon.com/pricing"
)

// How much of it there is in a month.
const (
	hoursAMonth = 730
	// One of reconcile's looks at a quiet grant describes the secret and reads its current and previous version; the key
	// decrypts two. A test of package functions holds it.
	secretCallsALook = 3
	keyCallsALook    = 2
	// Lambda polls the queues of check and notify all the time, with five long polls of 20 s each:
	// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
	queues         = 2
	requestsAnHour = 5 * 3600 / 20
)

// costs are what a file's grants and stacks cost a month.
type costs struct {
	MonthlyUSD float64 `json:"monthlyUSD"` // all of it
	GrantsUSD  float64 `json:"grantsUSD"`  // secrets, metrics of their ages, calls
	StacksUSD  float64 `json:"stacksUSD"`  // of all stacks
	Stacks     []cost  `json:"stack"`      // what one stack has
	PricesFrom string  `json:"pricesFrom"`

	secrets, ages, stacks int
}

// cost is one thing that is paid for.
type cost struct {
	What       string  `json:"what"`
	MonthlyUSD float64 `json:"monthlyUSD"`
}

// stackCosts are what a stack costs that has no grant yet.
func stackCosts() []cost {
	return []cost{
		{"key", keyPrice},
		{fmt.Sprintf("%d alarms", metric.Alarms), cents(metric.Alarms * alarmPrice)},
		{"metric", metricPrice},
		{"queues", cents(queues * requestsAnHour * hoursAMonth * queueRequest)},
	}
}

// grantCosts are what a grant costs besides; nothing where it has no external ID.
func grantCosts(g *access.Grant, ages bool) []cost {
	if !g.ExternalID {
		return nil
	}
	out := []cost{{"secret", secretPrice}}
	if ages {
		out = append(out, cost{"metric of its age", metricPrice})
	}
	return append(out, cost{"calls", cents(hoursAMonth * (secretCallsALook*secretCall + keyCallsALook*keyCall))})
}

// costsOf adds up. Every number is rounded to cents first, so that the sums are those of what is shown.
func costsOf(a *access.Access) costs {
	c := costs{Stacks: stackCosts(), PricesFrom: pricesFrom, stacks: a.Shards}
	ages := a.MeasuresAges()
	for _, e := range a.Entries() {
		c.GrantsUSD += total(grantCosts(e.Grant, ages))
		if e.Grant.ExternalID {
			c.secrets++
		}
	}
	if ages {
		c.ages = c.secrets
	}
	c.GrantsUSD = cents(c.GrantsUSD)
	c.StacksUSD = cents(total(c.Stacks) * float64(c.stacks))
	c.MonthlyUSD = cents(c.GrantsUSD + c.StacksUSD)
	return c
}

func total(list []cost) (sum float64) {
	for _, c := range list {
		sum += c.MonthlyUSD
	}
	return cents(sum)
}

func cents(usd float64) float64 { return math.Round(usd*100) / 100 }

func dollars(usd float64) string { return fmt.Sprintf("$%.2f", usd) }

// priced lists things with their prices: "key $1.00, 8 alarms $0.80".
func priced(list []cost) string {
	var out []string
	for _, c := range list {
		out = append(out, strings.ReplaceAll(c.What+" "+dollars(c.MonthlyUSD), " ", noBreak))
	}
	return strings.Join(out, ", ")
}

// text is what it comes to, for people.
func (c costs) text() string {
	b := block{}
	b.wrapFlat(fmt.Sprintf("In all about %s a month, by AWS's list prices of %s in us-east-1 and eu-central-1, free tiers aside. Prices change: %s",
		dollars(c.MonthlyUSD), c.PricesFrom, pricesAt))
	if c.GrantsUSD > 0 {
		what := count(c.secrets, "secret")
		if c.ages > 0 {
			what += ", " + count(c.ages, "metric") + " of ages"
		} else {
			what += fmt.Sprintf(" (ages are measured of %d grants at most)", metric.MostAges)
		}
		b.row("grants", dollars(c.GrantsUSD)+": "+what+", calls")
	}
	each := priced(c.Stacks)
	if c.stacks > 1 {
		each = fmt.Sprintf("%d stacks, each %s: %s", c.stacks, dollars(total(c.Stacks)), each)
	}
	b.row("stack", dollars(c.StacksUSD)+": "+each)
	b.row("besides", "cents for functions, logs, events, and $0.10 for a thousand mails. The key costs $1.00 more after each of its first two yearly rotations")
	return b.String()
}
