package simtest

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/sim"
)

// The waits are compared by their range: 2,000 of each leave no tenth of it out.
func TestCallsAreTriedAsTheSDKTriesThem(t *testing.T) {
	w := sim.New(sim.Config{})
	throttled := &smithy.GenericAPIError{Code: "Throttling"}
	for name, c := range map[string]struct {
		here  SDK
		there aws.Retryer
	}{
		"standard": {standard(w, 1), awsconfig.Retryer()},
		"urgent":   {urgent(w, 1), awsconfig.Urgent(aws.Config{}).Retryer()},
	} {
		if c.here.attempts != c.there.MaxAttempts() {
			t.Errorf("%s: %d attempts, the SDK has %d", name, c.here.attempts, c.there.MaxAttempts())
		}
		for attempt := 1; attempt < c.here.attempts && attempt < 10; attempt++ {
			var here, there [2]time.Duration // shortest and longest
			for n := range 2000 {
				h := c.here.backoff(attempt)
				s, err := c.there.RetryDelay(attempt, throttled)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					here, there = [2]time.Duration{h, h}, [2]time.Duration{s, s}
				}
				here = [2]time.Duration{min(here[0], h), max(here[1], h)}
				there = [2]time.Duration{min(there[0], s), max(there[1], s)}
			}
			for i := range here {
				if near := max(here[1], there[1]) / 10; (here[i] - there[i]).Abs() > near {
					t.Errorf("%s: the wait after attempt %d is %v, the SDK's %v", name, attempt, here, there)
				}
			}
		}
	}
}
