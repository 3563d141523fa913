// Command bootstrap is functions/revoke on AWS Lambda.
package main

import (
	"crypto/rand"
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/functions/revoke"
	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/outbox"
)

func main() {
	env, cfg, err := boot.Load()
	if err != nil {
		log.Fatal(err)
	}
	roles, secrets := iam.NewUrgent(cfg), secretsmanager.New(cfg)
	out := outbox.Outbox{Secrets: secrets, Roles: roles, Bus: eventbridge.New(cfg, env.Bus), StackVersion: env.StackVersion, Now: time.Now, Log: env.Log}
	h := &revoke.Handler{Grants: env.Grants, Account: env.Account, Plans: ssm.New(cfg), Roles: roles, Secrets: secrets, Outbox: out, Queue: sqs.New(cfg, env.Queue), Now: time.Now, Rand: rand.Reader, Log: env.Log, Meter: env.Meter}
	lambda.Start(h.Handle)
}
