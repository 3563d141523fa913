// Command bootstrap is functions/operate on AWS Lambda.
package main

import (
	"crypto/rand"
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/functions/operate"
	"github.com/countersign/countersign/internal/aws/eventbridge"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ssm"
	"github.com/countersign/countersign/internal/outbox"
)

func main() {
	env, cfg, err := boot.Load()
	if err != nil {
		log.Fatal(err)
	}
	out := outbox.Outbox{Bus: eventbridge.New(cfg, env.Bus), StackVersion: env.StackVersion, Now: time.Now, Log: env.Log}
	h := &operate.Handler{Grants: env.Grants, Account: env.Account, Plans: ssm.New(cfg), Roles: iam.New(cfg), Secrets: secretsmanager.New(cfg), Outbox: out, Now: time.Now, Rand: rand.Reader, Log: env.Log}
	lambda.Start(h.Handle)
}
