package simtest

import (
	"context"
	"log/slog"
	"time"

	"github.com/countersign/countersign/functions/confirm"
	"github.com/countersign/countersign/functions/notify"
	"github.com/countersign/countersign/functions/operate"
	"github.com/countersign/countersign/functions/reconcile"
	"github.com/countersign/countersign/functions/revoke"
	"github.com/countersign/countersign/functions/rotate"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
	"github.com/countersign/countersign/internal/sim"
)

// The people around a grant, unless a story names others.
const (
	Customer = "444455556666"                                     // the account
	Provider = "arn:aws:iam::111122223333:role/Engineers-jdoe"    // whom plans let in
	Stranger = "arn:aws:iam::999900001111:role/Engineers-eve"     // whom no plan knows
	Operator = "arn:aws:sts::444455556666:assumed-role/Admin/ann" // of the customer
	Sender   = "countersign@example.com"                          // of mails
	Settle   = 15 * time.Second                                   // as the stack configures it
	Spread   = 3 * time.Second                                    // as the stack configures it for six grants or fewer
)

// What the stack calls its parts, and how long its functions may run.
const (
	StackName  = "ServiceProviderAccess"
	BusName    = "countersign"
	CheckQueue = "countersign-check"
	MailQueue  = "countersign-notify"
	DeadQueue  = "countersign-notify-dead"

	rotateTime    = 5 * time.Minute
	reconcileTime = 14 * time.Minute
	apiTime       = 25 * time.Second
	notifyTime    = 2 * time.Minute

	notifyBatch    = 5
	notifyReceives = 20 // before a message goes to the dead letters
)

// WeeklyMessage is what the stack's schedule puts on notify's queue.
const WeeklyMessage = `{"digest":"weekly"}`

// The provider's webhook endpoint, where a plan has one: SignFor makes the secret that signs for it.
const (
	Endpoint   = "https://hooks.hestio.example/countersign"
	SigningKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// Config is how a World starts. The zero value is a quiet one in which nothing runs by itself but the rotation engine.
type Config struct {
	AWS sim.Config

	Log     *slog.Logger  // of the functions; nil: nowhere
	Digests bool          // every seven days it is time for them
	Period  time.Duration // how often reconcile looks at every grant; zero: only when asked
	SDK     bool          // the functions' calls of IAM are tried again as the AWS SDK does, see SDK
	Workers bool          // the check queue and the bus have their consumers: reconcile and notify run when there is something
}

// World is a customer's account with what Countersign deploys there. Its verbs do what people and AWS do to it; each takes
// a context of package sim, so that it can be one of several actors. It is not safe for concurrent use.
type World struct {
	*sim.World

	Rotator    *rotate.Handler
	Reconciler *reconcile.Handler
	Revoker    *revoke.Handler
	Operations *operate.Handler
	Confirming *confirm.Handler
	Notifier   *notify.Handler
	Receiver   *sim.Receiver // of all webhooks

	Plans  map[grant.Name]grant.Plan // as deployed last
	Grants grant.Roles               // what the functions find in their environment

	templates []sim.Template // of the stack, as its grants were made

	requests int                                       // of CloudFormation
	looking  func(deploy bool, act func() error) error // around reconciliations of all that there is
}

// New makes a World without grants.
func New(cfg Config) *World {
	if cfg.AWS.Account == "" {
		cfg.AWS.Account = Customer
	}
	if cfg.AWS.Timeout == 0 {
		cfg.AWS.Timeout = reconcileTime
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	w := &World{World: sim.New(cfg.AWS), Plans: map[grant.Name]grant.Plan{}, Grants: grant.Roles{}}
	w.looking = func(_ bool, act func() error) error { return act() }
	const version = "1.0.0"
	var roles, revokers roleAPI = w.IAM, w.IAM
	if cfg.SDK {
		roles, revokers = standard(w.World, cfg.AWS.Seed), urgent(w.World, cfg.AWS.Seed)
	}
	out := outbox.Outbox{Secrets: w.Secrets, Roles: roles, Bus: w.Bus(BusName), StackVersion: version, Now: w.Now, Log: log}
	w.Rotator = &rotate.Handler{
		Plans: w.Parameters, Roles: roles, Secrets: w.Secrets, Outbox: out, Settle: Settle, Spread: Spread,
		Now: w.Now, Wait: w.Wait, Rand: w.Rand(), Log: log,
	}
	w.Reconciler = &reconcile.Handler{
		Grants: w.Grants, Plans: w.Parameters, Roles: roles, Secrets: w.Secrets, Stacks: w.Stacks, Stack: w.Stacks.ARN(StackName), Outbox: out, Writers: w.IAM,
		Now: w.Now, Wait: w.WaitRunning, Rand: w.Rand(), Log: log,
	}
	w.Stacks.OnCustom("reconcile", w.Reconciler.CloudFormation)
	w.Revoker = &revoke.Handler{
		Grants: w.Grants, Account: w.Account(), Plans: w.Parameters, Roles: revokers, Secrets: w.Secrets, Outbox: out, Queue: w.Queue(CheckQueue),
		Now: w.Now, Rand: w.Rand(), Log: log,
	}
	w.Operations = &operate.Handler{
		Grants: w.Grants, Account: w.Account(), Plans: w.Parameters, Roles: roles, Secrets: w.Secrets, Outbox: out,
		Now: w.Now, Rand: w.Rand(), Log: log,
	}
	w.Confirming = &confirm.Handler{
		Grants: w.Grants, Account: w.Account(), Plans: w.Parameters, Secrets: w.Secrets, Queue: w.Queue(CheckQueue), Outbox: out,
		Now: w.Now, Log: log,
	}
	w.Receiver = must(w.NewReceiver(SigningKey))
	w.Notifier = &notify.Handler{
		Plans: w.Parameters, Secrets: w.Secrets, Mail: sim.NewMail[deliver.Mail](w.World), Topics: w.Topics, Bus: w.Bus(BusName), Trail: w.Bus(BusName),
		Queue: w.Queue(MailQueue), Dead: w.Queue(DeadQueue), HTTP: w.Receiver,
		Grants: map[grant.Name]bool{}, MailFrom: Sender, StackVersion: version, Now: w.Now, Rand: w.Rand(), Log: log,
	}
	w.Secrets.OnRotate(func(ctx context.Context, e sim.RotationEvent) error {
		return w.within(ctx, rotateTime, func(ctx context.Context) error {
			return w.Rotator.Handle(ctx, rotate.Event{Step: e.Step, SecretID: e.SecretID, ClientRequestToken: e.ClientRequestToken, RotationToken: e.RotationToken})
		})
	})
	if cfg.Period > 0 {
		w.Every("reconcile", cfg.Period, func(ctx context.Context) error {
			return w.looking(false, func() error { return w.Reconciler.Timer(ctx) })
		})
	}
	if cfg.Digests {
		w.Every("digest", 7*24*time.Hour, func(ctx context.Context) error { return w.Queue(MailQueue).Send(ctx, []byte(WeeklyMessage), 0) })
	}
	if cfg.Workers {
		w.employ()
	}
	return w
}

// must is for what can't fail: a constant.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// SignFor makes the secret that signs for a webhook, and gives the destination for a plan's Notify.
func (w *World) SignFor(name, url string) (grant.Destination, error) {
	arn, err := w.Secrets.Create(name, "", []byte(SigningKey), nil)
	return grant.Destination{Channel: grant.Webhook, Address: url, Secret: arn}, err
}

// within gives a function less time than Invoke does.
func (w *World) within(ctx context.Context, d time.Duration, run func(context.Context) error) error {
	ctx, cancel := w.WithTimeout(ctx, d)
	defer cancel()
	return run(ctx)
}
