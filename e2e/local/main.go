// Command local deploys the real stack to a local emulator and leaves it running, to try the command-line tool on.
// `make local` runs it. Ctrl-C ends everything; nothing is kept, and nothing reaches AWS.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/countersign/countersign/e2e/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log.New(os.Stdout, "", 0)); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "local:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out *log.Logger) error {
	if err := lab.Built("."); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "countersign-local-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := lab.Start(ctx, ".", dir)
	if err != nil {
		return err
	}
	defer l.Stop()
	out.Printf("An emulator of AWS listens on %s", l.Endpoint)
	around, err := l.Prepare(ctx, func(d lab.Delivery) { showWebhook(out, d) })
	if err != nil {
		return err
	}
	defer around.Receiver.Close()
	access, err := l.WriteAccess(around, "access.yaml", "1h", time.Hour)
	if err != nil {
		return err
	}
	out.Print("Deploying the stack: 20 to 60 s")
	stack := filepath.Join(dir, "stack")
	for _, step := range []func() error{
		func() error { return l.Bootstrap(ctx) },
		func() error { return l.Synth(ctx, access, stack) },
		func() error { return l.Deploy(ctx, stack) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := explain(ctx, out, l, access); err != nil {
		return err
	}
	<-ctx.Done()
	out.Print("\nEnded. Nothing is left.")
	return nil
}

func explain(ctx context.Context, out *log.Logger, l *lab.Lab, access string) error {
	operator, err := l.NewUser(ctx, lab.Customer, "operator", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	if err != nil {
		return err
	}
	keys, err := operator.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	secret, err := l.Secret(ctx, "migration")
	if err != nil {
		return err
	}
	out.Printf(`
Deployed. In another terminal, in this folder:

  export AWS_ENDPOINT_URL=%[1]s AWS_REGION=%[2]s
  export AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s
  unset AWS_PROFILE AWS_SESSION_TOKEN

  bin/countersign explain --file %[5]s
  bin/countersign grants
  bin/countersign show migration
  bin/countersign rotate nightly --reason "to see it"
  bin/countersign rotate telemetry --reason "to see it"
  bin/countersign confirm telemetry --reason "seen in CloudTrail"
  bin/countersign revoke migration --reason "project ended"

  curl -s %[1]s/_ministack/ses/messages              the mails
  curl -s -X POST '%[1]s/_countersign/next-window?secret=%[6]s'
                                                     let the schedule of "migration" fire now

Webhooks show up below. The emulator's log: %[7]s
Ctrl-C ends it.

`, l.Endpoint, lab.Region, keys.AccessKeyID, keys.SecretAccessKey, access, secret, l.EmulatorLog())
	return nil
}

func showWebhook(out *log.Logger, d lab.Delivery) {
	verdict := "signature right"
	if d.Verified != nil {
		verdict = "NOT VERIFIED: " + d.Verified.Error()
	}
	out.Printf("%s webhook, %s: %s", time.Now().Format(time.TimeOnly), verdict, d.Body)
}
