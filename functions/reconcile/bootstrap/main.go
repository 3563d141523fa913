// Command bootstrap is functions/reconcile on AWS Lambda.
package main

import (
	"crypto/rand"
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/internal/aws/cloudformation"
	"github.com/countersign/countersign/internal/aws/cloudtrail"
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
	roles, secrets := iam.New(cfg), secretsmanager.New(cfg)
	out := outbox.Outbox{Secrets: secrets, Roles: roles, Bus: eventbridge.New(cfg, env.Bus), StackVersion: env.StackVersion, Now: time.Now, Log: env.Log}
	h := &reconcile.Handler{Grants: env.Grants, Plans: ssm.New(cfg), Roles: roles, Secrets: secrets, Stacks: cloudformation.New(cfg), Stack: env.Stack, Outbox: out, Writers: cloudtrail.New(cfg), Margin: env.Margin, Now: time.Now, Wait: boot.Sleep, Rand: rand.Reader, Log: env.Log, Meter: env.Meter}
	lambda.Start(h.Handle)
}
