package boot_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/countersign/countersign/functions/internal/boot"
)

const stackARN = "arn:aws:cloudformation:eu-central-1:444455556666:stack/ServiceProviderAccess/1f2e3d4c"

func TestTheEnvironmentIsReadAndWhatIsMissingIsNamed(t *testing.T) {
	whole := map[string]string{
		"COUNTERSIGN_GRANTS": "migration,audit=Custom", "COUNTERSIGN_ACCOUNT": "444455556666", "COUNTERSIGN_BUS": "countersign",
		"COUNTERSIGN_QUEUE": "https://sqs/check", "COUNTERSIGN_DELIVERIES": "https://sqs/notify", "COUNTERSIGN_DEAD": "https://sqs/dead",
		"COUNTERSIGN_STACK": stackARN, "COUNTERSIGN_STACK_VERSION": "1.0.0",
	}
	read := func(change map[string]string) (boot.Environment, error) {
		env := maps.Clone(whole)
		maps.Copy(env, change)
		return boot.Read(func(key string) string { return env[key] })
	}
	e, err := read(nil)
	if err != nil || e.Settle != 15*time.Second || e.Loopback || e.Grants["audit"] != "Custom" || e.Grants["migration"] != "ServiceProvider-migration" || e.Stack != stackARN || e.Meter.Stack != "ServiceProviderAccess" || e.Meter.Ages {
		t.Errorf("%+v %v", e, err)
	}
	if e, err = read(map[string]string{"COUNTERSIGN_SETTLE": "1s", "COUNTERSIGN_SPREAD": "3m20s", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "COUNTERSIGN_AGES": "measured"}); err != nil || e.Settle != time.Second || e.Spread != 200*time.Second || !e.Loopback || !e.Meter.Ages {
		t.Errorf("%+v %v", e, err)
	}
	for key, value := range map[string]string{
		"COUNTERSIGN_ACCOUNT": "", "COUNTERSIGN_BUS": "", "COUNTERSIGN_QUEUE": "", "COUNTERSIGN_DELIVERIES": "", "COUNTERSIGN_DEAD": "",
		"COUNTERSIGN_STACK": "", "COUNTERSIGN_GRANTS": "BAD", "COUNTERSIGN_SETTLE": "soon", "COUNTERSIGN_SPREAD": "wide", "COUNTERSIGN_RESTORE_MARGIN": "0s",
	} {
		if _, err := read(map[string]string{key: value}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s=%q: %v", key, value, err)
		}
	}
	for _, stack := range []string{"ServiceProviderAccess", "arn:aws:cloudformation:eu-central-1:444455556666:stack/ServiceProviderAccess"} {
		if _, err := read(map[string]string{"COUNTERSIGN_STACK": stack}); err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_STACK") {
			t.Errorf("%s for an ARN: %v", stack, err)
		}
	}
	if _, err := read(map[string]string{"COUNTERSIGN_SETTLE": "-1s"}); err == nil {
		t.Error("a negative settle time")
	}
}

// TestWebhooksGoToTheMachineItselfOnlyBesideAnEmulatorOnIt: AWS's own functions have no AWS_ENDPOINT_URL, and one that leads
// elsewhere, as an interface endpoint's does, is no emulator's.
func TestWebhooksGoToTheMachineItselfOnlyBesideAnEmulatorOnIt(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:4566": true, "http://localhost:4566": true, "http://[::1]:4566/": true, "https://127.0.0.2": true,
		"": false, "localhost:4566": false, "127.0.0.1": false, "http://": false, "http://[::1": false,
		"http://10.0.0.1:4566": false, "http://169.254.169.254": false, "http://0.0.0.0:4566": false, "http://localhost.example.com": false,
		"http://127.0.0.1.example.com": false, "http://127.0.0.1@example.com": false, "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com": false,
	} {
		e, err := boot.Read(func(key string) string {
			return map[string]string{
				"AWS_ENDPOINT_URL": endpoint, "COUNTERSIGN_LOOPBACK": "allowed",
				"COUNTERSIGN_GRANTS": "migration", "COUNTERSIGN_ACCOUNT": "444455556666", "COUNTERSIGN_BUS": "countersign", "COUNTERSIGN_QUEUE": "https://sqs/check",
				"COUNTERSIGN_STACK": stackARN, "COUNTERSIGN_DELIVERIES": "https://sqs/notify", "COUNTERSIGN_DEAD": "https://sqs/dead",
			}[key]
		})
		if err != nil || e.Loopback != want {
			t.Errorf("AWS_ENDPOINT_URL=%s: %t, %v", endpoint, e.Loopback, err)
		}
	}
}

func TestSleepEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := boot.Sleep(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%s %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := boot.Sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestAProvidersEnvironmentIsReadAndWhatIsMissingIsNamed(t *testing.T) {
	whole := map[string]string{"COUNTERSIGN_TABLE": "countersign-customers", "COUNTERSIGN_TOPIC": "arn:aws:sns:…", "COUNTERSIGN_STACK": "CustomerAccess"}
	read := func(without string) (boot.Provider, error) {
		return boot.ReadProvider(func(key string) string {
			if key == without {
				return ""
			}
			return whole[key]
		})
	}
	if p, err := read(""); err != nil || p.Table != "countersign-customers" || p.Topic == "" || p.Meter.Stack != "CustomerAccess" {
		t.Errorf("%+v %v", p, err)
	}
	for key := range whole {
		if _, err := read(key); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("without %s: %v", key, err)
		}
	}
}
