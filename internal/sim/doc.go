// Package sim is an AWS that fits into a test: IAM, STS, Secrets Manager with its rotation engine, SSM, SQS, EventBridge, SES,
// SNS, API Gateway and what CloudFormation does in a deploy, in memory, on a virtual clock, with all randomness from one seed.
//
// It refuses what AWS refuses and answers with package grant's sentinels, as the adapters of internal/aws do; its services
// have the adapters' methods. It decides nothing about grants, imports no function and trusts nobody: functions run against
// it as they run against AWS. docs/simulator.md says what it shows and where it differs from AWS.
//
// # Direct mode
//
// A World without a scheduler makes calls one after the other. That is enough for the test of a handler:
//
//	w := sim.New(sim.Config{})
//	err := w.Deploy(plan)                      // role, secret, parameter, as the template makes them
//	h := rotate.Handler{Roles: w.IAM, Secrets: w.Secrets, Plans: w.Parameters, Bus: w.Bus("countersign"),
//		Now: w.Now, Wait: w.Wait, Rand: w.Rand()}
//	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error { … })
//	err = w.Secrets.Rotate(ctx, plan.SecretARN, token)
//	err = w.RunRotations(ctx)                  // the four steps; w.Sleep(ctx, d) also runs retries, schedules, queues, timers
//	session, err := w.STS.AssumeRole(ctx, principal, plan.RoleARN, id.Reveal(), "name")
//	err = session.Do(ctx, "s3:ListBucket", "arn:aws:s3:::data")
//
// A function that waits until a rotation is done takes w.WaitRunning as its Wait. Principals that are roles or users must
// exist before a trust policy may name them: w.IAM.AddPrincipal. Queue and Bus make what they are asked for. Mails have the sender's own type: sim.NewMail[deliver.Mail](w).
//
// # Deploys, the API, webhooks
//
// w.Deploy is a set-up: nothing is recorded. w.Stacks makes, updates, rolls back and deletes stacks as CloudFormation does and
// calls Custom::Grant on the way:
//
//	w.Stacks.OnCustom("reconcile", reconcileHandler.CloudFormation)
//	err = w.Stacks.Create(ctx, "ServiceProviderAccess", sim.Template{Plan: plan})
//	api := w.API("countersign")                // SetPolicy, Route, then Call with a Caller
//	receiver, err := w.NewReceiver(key)        // a deliver.Doer
//
// # Calls and faults
//
// Every call of everybody goes through one entry. World.Calls lists them, by service or actor, to be counted and printed.
// World.Schedule sees each Call before it is made and gives its Outcome: it works, it fails, it works and the answer is lost,
// it is throttled, the caller dies before or after it; it may be late; a read of IAM may ask a replica that lags behind.
//
// # Processes
//
// World.Go starts an actor that stands still before each of its calls until somebody resumes it, so that a scheduler picks
// whose call comes next. RunUntil is such a scheduler, which a seed makes repeatable. Nothing runs in parallel.
package sim
