package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/apigateway"
	"github.com/countersign/countersign/internal/grant"
	"github.com/spf13/cobra"
)

// member is one of many grants that a command acts on.
type member struct {
	name    grant.Name
	account string // 12 digits, where a command goes over several; else empty
	stack   stack
	cfg     aws.Config         // with which it is reached
	client  *apigateway.Client // nil: the stack's API doesn't answer
	api.Status
}

// outcome is what became of a member.
type outcome struct {
	Account  string   `json:"account,omitempty"` // where a command goes over several, and the stack in it
	Stack    string   `json:"stack,omitempty"`
	Grant    string   `json:"grant"`
	Outcome  string   `json:"outcome"`
	Version  string   `json:"versionId,omitempty"`
	RevokeID string   `json:"revokeId,omitempty"`
	Accepted []api.ID `json:"accepted,omitempty"`
	Why      string   `json:"why,omitempty"`
	Next     string   `json:"next,omitempty"`

	code int // that the program would end with if this were the only grant; zero: exitFailed
}

// The outcomes that ask for something, and those that the code knows by name. All others are good.
const (
	outFailed  = "failed"
	outUnseen  = "not seen"  // accepted, and not there yet
	outRefused = "refused"   // nothing is wrong but the time
	outUntried = "not tried" // interrupted before its turn, or in it
	outLeft    = "left out"  // there is nothing to do: this one is good
	outDenied  = "denied"    // the Deny stands, the trust policy isn't closed
	outUnread  = "not read"  // of an account: what is there could not be seen
)

// comes says what came of a member, and why.
func (m member) comes(to, why string) outcome {
	o := outcome{Account: m.account, Grant: string(m.name), Outcome: to, Why: why}
	if m.account != "" {
		o.Stack = m.stack.name
	}
	return o
}

// failedWith is the outcome of an error.
func (m member) failedWith(err error) outcome { return m.comes("", "").failedWith(err) }

func (o outcome) failedWith(err error) outcome {
	o.Outcome, o.Why = outFailed, err.Error()
	if e, ok := errors.AsType[*exitError](remoteError(err)); ok {
		o.Why, o.Next, o.code = e.Error(), e.next, e.code
		switch e.code {
		case exitRefused:
			o.Outcome = outRefused
		case exitNotSeen:
			o.Outcome = outUnseen
		}
	}
	return o
}

// members lists the grants of the stack and its shards, of one provider or, where that is "", of all.
func (f remoteFlags) members(ctx context.Context, cfg aws.Config, provider string, list func(context.Context, stack) ([]member, error)) ([]member, error) {
	var out []member
	var known []string
	var failed error
	err := f.stacks(ctx, cfg, func(s stack) bool {
		all, err := list(ctx, s)
		if err != nil {
			failed = fmt.Errorf("listing grants of %s: %w", s.name, err)
			return false
		}
		for _, m := range all {
			known = append(known, m.Provider)
			if provider == "" || m.Provider == provider || m.Provider == "" {
				out = append(out, m)
			}
		}
		return true
	})
	if err := cmp.Or(err, failed); err != nil {
		return nil, remoteError(err)
	}
	slices.Sort(known)
	known = slices.DeleteFunc(slices.Compact(known), func(name string) bool { return name == "" })
	if provider != "" && !slices.Contains(known, provider) {
		return nil, fail(exitInput, cmp.Or(printable(strings.Join(known, ", ")), "None")+" is what has grants.", "no grant of provider %.60q in %s", provider, f.stack)
	}
	return out, nil
}

// listed asks the stack's API.
func (s stack) listed(ctx context.Context, cfg aws.Config) ([]member, error) {
	client, err := s.api(cfg)
	if err != nil {
		return nil, err
	}
	all, err := client.Grants(ctx)
	if err != nil {
		return nil, err
	}
	var out []member
	for _, status := range all.Grants {
		out = append(out, member{name: grant.Name(status.Grant), stack: s, cfg: cfg, client: client, Status: status})
	}
	return out, nil
}

// pace is how a command goes about many grants.
type pace struct {
	every time.Duration // between the starts of two grants
	width int           // at most so many at a time
}

// addRate adds --rate. IAM's budget is the account's, unpublished, and shared with whoever else writes.
func addRate(cmd *cobra.Command, rate *float64, normal float64) {
	cmd.Flags().Float64Var(rate, "rate", normal, "writes of IAM a second in an account, for many grants")
}

func checkRate(rate float64) error {
	if rate < 0.01 || rate > 1000 {
		return fail(exitInput, "5 is what an account is taken to have.", "--rate takes 0.01 to 1000 writes a second")
	}
	return nil
}

// every is the time that so many writes are worth.
func every(rate float64, writes int) time.Duration {
	return time.Duration(float64(writes) / rate * float64(time.Second))
}

// onEach does something with each member, some at a time, and prints what comes of it. Once ctx ends it starts none.
func (c *cli) onEach(ctx context.Context, members []member, p pace, m *meter, act func(context.Context, member) outcome) []outcome {
	out := make([]outcome, len(members))
	type result struct {
		n int
		outcome
	}
	results := make(chan result)
	started, running := 0, 0
	next := make(chan struct{}, 1)
	next <- struct{}{}
	for started < len(members) || running > 0 {
		var turn <-chan struct{}
		if started < len(members) && running < p.width {
			turn = next
		}
		select {
		case <-turn:
			if ctx.Err() != nil {
				for ; started < len(members); started++ {
					out[started] = members[started].comes(outUntried, "")
				}
				continue
			}
			n := started
			started, running = started+1, running+1
			go func() { results <- result{n, act(ctx, members[n])} }()
			go func() {
				_ = c.wait(ctx, p.every)
				next <- struct{}{}
			}()
		case r := <-results:
			running--
			out[r.n] = r.outcome
			m.done(r.outcome)
		}
	}
	return out
}

// outcomeTable is one line a grant, and below it what has to be done.
func outcomeTable(all []outcome, now time.Time) string {
	rows := [][]string{{"GRANT", "OUTCOME", "NOW"}}
	many := slices.ContainsFunc(all, func(o outcome) bool { return o.Account != "" })
	if many {
		rows[0] = append([]string{"ACCOUNT"}, rows[0]...)
	}
	b := block{}
	for _, o := range all {
		detail := o.RevokeID
		switch text := strings.TrimSpace(sentence(o.Why) + " " + capital(sentence(o.Next))); {
		case o.Outcome == outLeft:
			detail = o.Why
		case len(o.Accepted) > 0:
			detail = acceptedText(o.Accepted, now)
		case text != "":
			b.head(printable(strings.TrimSpace(o.Account+" "+o.Grant)), printable(text))
		}
		row := []string{cmp.Or(printable(o.Grant), "-"), printable(o.Outcome), printable(cmp.Or(detail, "-"))}
		if many {
			row = append([]string{o.Account}, row...)
		}
		rows = append(rows, row)
	}
	return table(rows) + b.String()
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// verdict is the error that a command on many grants ends with, nil if all is well. again is the command that goes on.
func verdict(all []outcome, verb, again string) error {
	left, interrupted, code := worst(all)
	if left == 0 {
		return nil
	}
	return fail(code, "What is done stays done. To go on: "+again, "%s%d of %d grants are not %s", interrupted, left, len(all), verb)
}

// worst counts the outcomes that ask for something, and gives the exit code of the worst. interrupted begins a sentence.
func worst(all []outcome) (left int, interrupted string, code int) {
	codes := map[int]bool{}
	for _, o := range all {
		switch o.Outcome {
		case outRefused, outUnseen:
			codes[o.exit()] = true
		case outUntried, outDenied:
			codes[o.exit()], interrupted = true, "interrupted: "
		case outFailed, outUnread:
			codes[o.exit()], codes[exitFailed] = true, codes[exitFailed] || o.exit() != exitDenied
		default:
			continue
		}
		left++
	}
	for _, c := range []int{exitRefused, exitNotSeen, exitDenied, exitFailed} { // the worst one last
		if codes[c] {
			code = c
		}
	}
	return left, interrupted, code
}

func (o outcome) exit() int {
	switch o.Outcome {
	case outRefused:
		return exitRefused
	case outUnseen:
		return exitNotSeen
	}
	return cmp.Or(o.code, exitFailed)
}

// commandLine is a command with its arguments as a shell takes them.
func commandLine(words ...string) string {
	var out []string
	for _, word := range words {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(shellPlain, r) }) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

const shellPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@+"

// where are the flags that say which stack it is, as they were given.
func (f remoteFlags) where() (words []string) {
	if f.stack != defaultStack {
		words = append(words, "--stack", f.stack)
	}
	if f.profile != "" {
		words = append(words, "--profile", f.profile)
	}
	if f.region != "" {
		words = append(words, "--region", f.region)
	}
	return words
}

// printOutcomes writes the table, or v as JSON.
func (c *cli) printOutcomes(all []outcome, v any) error {
	if c.json {
		return writeJSON(c.stdout, v)
	}
	_, err := fmt.Fprint(c.stdout, outcomeTable(all, c.now()))
	return err
}
