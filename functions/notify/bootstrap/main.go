// Command bootstrap is functions/notify on AWS Lambda.
package main

import (
	"crypto/rand"
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/functions/notify"
	"github.com/countersign/countersign/internal/aws/cloudwatchlogs"
	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ses"
	"github.com/countersign/countersign/internal/aws/sns"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/aws/ssm"
)

func main() {
	env, cfg, err := boot.Load()
	if err != nil {
		log.Fatal(err)
	}
	h := &notify.Handler{
		Plans: ssm.New(cfg), Secrets: secretsmanager.New(cfg), Mail: ses.New(cfg, env.MailSet), Topics: sns.New(cfg), Bus: eventbridge.New(cfg, env.Bus),
		Queue: sqs.New(cfg, env.Deliveries), Dead: sqs.New(cfg, env.Dead), Trail: cloudwatchlogs.NewTrail(cfg, env.Trail),
		Grants: env.Grants.Set(), MailFrom: env.MailFrom, Loopback: env.Loopback, StackVersion: env.StackVersion, Now: time.Now,
		Rand: rand.Reader, Log: env.Log, Meter: env.Meter,
	}
	lambda.Start(h.Handle)
}
