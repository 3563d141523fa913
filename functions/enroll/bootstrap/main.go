// Command bootstrap is functions/enroll on AWS Lambda.
package main

import (
	"log"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/countersign/countersign/functions/enroll"
	"github.com/countersign/countersign/functions/internal/boot"
	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/aws/sns"
)

func main() {
	env, cfg, err := boot.LoadProvider()
	if err != nil {
		log.Fatal(err)
	}
	h := &enroll.Handler{
		Registry: dynamodb.New(cfg, env.Table), Alerts: sns.New(cfg), Topic: env.Topic, Now: time.Now, Log: env.Log, Meter: env.Meter,
	}
	lambda.Start(h.Handle)
}
