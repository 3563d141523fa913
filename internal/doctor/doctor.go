// Package doctor looks whether Countersign can do its work in an account, and above all whether its mails can arrive, and says what to
// try next.
//
// It decides what is well, what may matter and what is wrong. It asks AWS and the DNS, each check by itself, and changes nothing. It
// trusts what they answer; it believes of an answer that it can't get only that it can't get it.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// Verdict is how a check came out.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warn    Verdict = "warn"    // works, or might; look at it
	Fail    Verdict = "fail"    // does not work
	Unknown Verdict = "unknown" // could not be asked
)

// Finding is what one check found.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Says    string  `json:"says"`
	Fix     string  `json:"fix,omitempty"` // the next step to try; each failure has one
	Command string  `json:"command,omitempty"`
}

// Identity is whom the credentials belong to.
type Identity struct {
	Account, ARN string
	At           time.Time // by AWS's clock; zero: it did not say
}

// Stack is one deployed stack, by its outputs.
type Stack struct {
	Name    string
	Version string   // of Countersign; empty: older than doctor
	Bus     string   // its name, which that of all its parts begins with
	Grants  []string // names
	API     string   // its URL
	// DeadLetters is the URL of their queue; empty: the stack is older, or not whole.
	DeadLetters string
	MailFrom    string // sender; empty: it sends no mail
	MailSet     string // SES configuration set; empty: none
}

// MailAccount is what SES says of the account in a Region.
type MailAccount struct {
	Production  bool   // out of the sandbox
	Sending     bool   // not paused
	Enforcement string // HEALTHY, PROBATION or SHUTDOWN
	DailyQuota  float64
	SentToday   float64
}

// MailIdentity is an address or a domain that SES knows.
type MailIdentity struct {
	Verified     bool
	Status       string // of the verification, AWS's word
	Signing      bool   // by DKIM
	DKIM         string // its state, AWS's word
	MailFrom     string // custom MAIL FROM domain; empty: amazonses.com
	MailFromWord string // its state, AWS's word
}

// MailSet is a configuration set.
type MailSet struct {
	Sending bool
	Events  []string // that it publishes to EventBridge, in AWS's words: BOUNCE, COMPLAINT, …
}

// Alarm is one alarm of CloudWatch.
type Alarm struct {
	Name    string
	Ringing bool
	Tells   int // how many it tells
}

// AWS is the account in a Region, asked with the operator's credentials. Errors are grant's: ErrNotFound, ErrDenied, ErrThrottled,
// ErrUnavailable.
type AWS struct {
	Who         func(ctx context.Context) (Identity, error)                      // sts:GetCallerIdentity
	Stacks      func(ctx context.Context) ([]Stack, error)                       // cloudformation:DescribeStacks; none: nothing is deployed
	API         func(ctx context.Context, stack Stack) (grants int, err error)   // execute-api:Invoke, GET /grants
	Mail        func(ctx context.Context) (MailAccount, error)                   // ses:GetAccount
	Sender      func(ctx context.Context, identity string) (MailIdentity, error) // ses:GetEmailIdentity
	Set         func(ctx context.Context, name string) (MailSet, error)          // ses:GetConfigurationSet, ses:GetConfigurationSetEventDestinations
	Alarms      func(ctx context.Context, prefix string) ([]Alarm, error)        // cloudwatch:DescribeAlarms
	Undelivered func(ctx context.Context, stack Stack) (int, error)              // sqs:GetQueueAttributes of the dead letters
}

// Resolver asks the DNS, as net.Resolver does.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Recipient is one who is told by mail.
type Recipient struct {
	Grant   string
	Name    string // as events name it: "mail 1"
	Address string
}

// Patient is what is looked at.
type Patient struct {
	AWS
	Region     string
	Version    string // of the program that asks; empty: any will do
	MailFrom   string // sender by access.yaml; that of a deployed stack counts more
	Recipients []Recipient
	DNS        Resolver
	Now        func() time.Time
}

// patience is how long one question may take.
const patience = 15 * time.Second

// exam is one look at a patient.
type exam struct {
	*Patient
	findings []Finding
	denied   []string // what the credentials don't allow
	lost     bool     // there are no credentials: AWS is not asked any further

	sandboxed bool // SES is
}

// Examine makes all checks, and gives what each found, in a fixed order.
func (p *Patient) Examine(ctx context.Context) []Finding {
	e := &exam{Patient: p}
	e.credentials(ctx)
	stacks := e.stacks(ctx)
	e.mail(ctx, stacks)
	for _, s := range stacks {
		e.api(ctx, s)
		e.alarms(ctx, s)
		e.deadLetters(ctx, s)
	}
	e.permissions()
	return e.findings
}

// Failed counts the failures.
func Failed(all []Finding) (n int) {
	for _, f := range all {
		if f.Verdict == Fail {
			n++
		}
	}
	return n
}

func (e *exam) found(check string, v Verdict, says, fix, command string) {
	e.findings = append(e.findings, Finding{check, v, says, fix, command})
}

func (e *exam) ok(check, format string, args ...any) {
	e.found(check, OK, fmt.Sprintf(format, args...), "", "")
}

// ask calls AWS once, within its time. It gives false where there is no answer, and says so.
func ask[T any](ctx context.Context, e *exam, check, action string, call func(context.Context) (T, error)) (answer T, answered bool, err error) {
	if e.lost {
		return answer, false, nil
	}
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err = call(within)
	switch {
	case err == nil:
		return answer, true, nil
	case errors.Is(err, grant.ErrNotFound):
		return answer, true, err
	case errors.Is(err, grant.ErrDenied):
		e.denied = append(e.denied, action)
		e.found(check, Unknown, "your credentials may not ask: "+action, "", "")
	default:
		e.found(check, Unknown, "no answer: "+err.Error(), "", "")
	}
	return answer, false, nil
}

// permissions says what the credentials lack for a whole look.
func (e *exam) permissions() {
	switch {
	case e.lost:
	case len(e.denied) == 0:
		e.ok("permissions", "everything could be asked")
	default:
		e.found("permissions", Warn, fmt.Sprintf("%d of the questions were denied", len(e.denied)), "allow yourself "+list(e.denied)+"; all of them only read", "")
	}
}
