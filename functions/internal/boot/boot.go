// Package boot reads what the stack tells its functions: which grants there are, and where bus and queue are. Only the
// functions' main packages use it.
//
// It trusts the environment, which only those who may update a function can write.
package boot

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// Environment is a function's.
type Environment struct {
	Grants       grant.Roles
	Account      string        // the customer's, 12 digits
	Bus          string        // name
	Queue        string        // URL of the check queue
	Deliveries   string        // URL of notify's queue
	Dead         string        // URL of its dead letters
	Trail        string        // log group of what was said on the bus; empty: nobody asks for digests
	Settle       time.Duration // how long both IDs are valid before a promotion
	Spread       time.Duration // over how long rotations write for the first time that AWS starts at the same moment
	Margin       time.Duration // of a restore; zero: the usual
	Stack        string        // ARN
	StackVersion string
	MailFrom     string // SES sender; empty: no mail
	MailSet      string // SES configuration set of its mails
	Loopback     bool   // local emulator: webhooks may go to the machine itself
	Log          *slog.Logger
	Meter        metric.Meter
}

const (
	defaultSettle = 15 * time.Second
	defaultSpread = 3 * time.Second
)

// Load reads the process's environment and AWS's configuration in it.
func Load() (Environment, aws.Config, error) {
	env, err := Read(os.Getenv)
	if err != nil {
		return Environment{}, aws.Config{}, err
	}
	cfg, err := awsconfig.Load(context.Background())
	return env, cfg, err
}

// Read reads the environment by getenv, for which os.Getenv is meant.
func Read(getenv func(string) string) (Environment, error) {
	e := Environment{
		Account: getenv("COUNTERSIGN_ACCOUNT"), Bus: getenv("COUNTERSIGN_BUS"), Queue: getenv("COUNTERSIGN_QUEUE"),
		Deliveries: getenv("COUNTERSIGN_DELIVERIES"), Dead: getenv("COUNTERSIGN_DEAD"), Trail: getenv("COUNTERSIGN_TRAIL"),
		StackVersion: getenv("COUNTERSIGN_STACK_VERSION"), MailFrom: getenv("COUNTERSIGN_MAIL_FROM"), MailSet: getenv("COUNTERSIGN_MAIL_SET"),
		Loopback: isLoopback(getenv("AWS_ENDPOINT_URL")), Settle: defaultSettle, Spread: defaultSpread,
		Log: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}
	e.Stack = getenv("COUNTERSIGN_STACK")
	e.Meter = metric.Meter{Log: e.Log, Stack: nameOf(e.Stack), Ages: getenv("COUNTERSIGN_AGES") == "measured", Now: time.Now}
	for name, value := range map[string]string{
		"ACCOUNT": e.Account, "BUS": e.Bus, "QUEUE": e.Queue, "DELIVERIES": e.Deliveries, "DEAD": e.Dead,
		"STACK": e.Meter.Stack,
	} {
		if value == "" {
			return Environment{}, fmt.Errorf("COUNTERSIGN_%s is not set as the stack sets it: deploy the stack again", name)
		}
	}
	var err error
	if e.Grants, err = grant.ParseRoles(getenv("COUNTERSIGN_GRANTS")); err != nil {
		return Environment{}, fmt.Errorf("COUNTERSIGN_GRANTS: %w", err)
	}
	for name, to := range map[string]*time.Duration{"SETTLE": &e.Settle, "SPREAD": &e.Spread} {
		text := getenv("COUNTERSIGN_" + name)
		if text == "" {
			continue
		}
		if *to, err = time.ParseDuration(text); err != nil || *to < 0 {
			return Environment{}, fmt.Errorf("COUNTERSIGN_%s: not a duration like 15s: %.40q", name, text)
		}
	}
	if margin := getenv("COUNTERSIGN_RESTORE_MARGIN"); margin != "" {
		if e.Margin, err = time.ParseDuration(margin); err != nil || e.Margin <= 0 {
			return Environment{}, fmt.Errorf("COUNTERSIGN_RESTORE_MARGIN: not a duration like 3m: %.40q", margin)
		}
	}
	return e, nil
}

// nameOf is the name of a stack by its ARN, arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/ID; "" where it isn't one.
func nameOf(stackARN string) string {
	_, rest, found := strings.Cut(stackARN, ":stack/")
	name, _, whole := strings.Cut(rest, "/")
	if !found || !whole {
		return ""
	}
	return name
}

// isLoopback says whether AWS, by its endpoint's URL, is an emulator on this machine.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
}

// Sleep waits until d has passed or the context ends: the seam Wait of a real function.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
