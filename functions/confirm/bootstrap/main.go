// Command bootstrap is functions/confirm on AWS Lambda.
package main

import (
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/confirm"
	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/internal/aws/eventbridge"
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
	out := outbox.Outbox{Bus: eventbridge.New(cfg, env.Bus), StackVersion: env.StackVersion, Now: time.Now, Log: env.Log}
	h := &confirm.Handler{Grants: env.Grants, Account: env.Account, Plans: ssm.New(cfg), Secrets: secretsmanager.New(cfg), Queue: sqs.New(cfg, env.Queue), Outbox: out, Now: time.Now, Log: env.Log}
	lambda.Start(h.Handle)
}
