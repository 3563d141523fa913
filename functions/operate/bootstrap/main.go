// Command bootstrap is functions/operate on AWS Lambda.
package main

import (
	"crypto/rand"
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/functions/operate"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/aws/secretsmanager"
	"github.com/countersign/countersign/internal/aws/ssm"
)

func main() {
	env, cfg, err := boot.Load()
	if err != nil {
		log.Fatal(err)
	}
	h := &operate.Handler{Grants: env.Grants, Account: env.Account, Plans: ssm.New(cfg), Roles: iam.New(cfg), Secrets: secretsmanager.New(cfg), Now: time.Now, Rand: rand.Reader, Log: env.Log}
	lambda.Start(h.Handle)
}
