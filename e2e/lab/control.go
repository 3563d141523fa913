package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Invocation is one run of a function.
type Invocation struct {
	Function      string
	Start, End    time.Time // End is zero while it runs
	Step, Version string    // of a rotation
}

// Invocations are all runs of functions that began so far.
func (l *Lab) Invocations(ctx context.Context) ([]Invocation, error) {
	var raw []struct {
		Function, Step, Version string
		Start, End              float64
	}
	if err := l.control(ctx, http.MethodGet, "/_countersign/invocations", &raw); err != nil {
		return nil, err
	}
	var out []Invocation
	for _, r := range raw {
		run := Invocation{Function: r.Function, Start: time.UnixMilli(int64(r.Start * 1000)), Step: r.Step, Version: r.Version}
		if r.End > 0 {
			run.End = time.UnixMilli(int64(r.End * 1000))
		}
		out = append(out, run)
	}
	return out, nil
}

// Steps are the steps that a function was called with for a version, in their order.
func (l *Lab) Steps(ctx context.Context, function, version string) ([]string, error) {
	runs, err := l.Invocations(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, run := range runs {
		if run.Function == function && run.Version == version {
			out = append(out, run.Step)
		}
	}
	return out, nil
}

// OpenNextWindow moves a secret's rotation calendar ahead to its next window. The emulator's schedule does the rest.
func (l *Lab) OpenNextWindow(ctx context.Context, secretARN string) error {
	return l.control(ctx, http.MethodPost, "/_countersign/next-window?secret="+url.QueryEscape(secretARN), nil)
}

// Hold lets every rotation wait before a step, until Release.
func (l *Lab) Hold(ctx context.Context, step string) error {
	return l.control(ctx, http.MethodPost, "/_countersign/hold?step="+step, nil)
}

// Release lets the rotations go on.
func (l *Lab) Release(ctx context.Context) error {
	return l.control(ctx, http.MethodPost, "/_countersign/release", nil)
}

// Mail is one message in the emulator's mailbox.
type Mail struct {
	Source, Subject string
	To              []string
	BodyText        string
	BodyHTML        string `json:"BodyHtml"`
}

// Mails are all messages that were sent from the customer's account.
func (l *Lab) Mails(ctx context.Context) ([]Mail, error) {
	var answer struct{ Messages map[string][]Mail }
	if err := l.control(ctx, http.MethodGet, "/_ministack/ses/messages", &answer); err != nil {
		return nil, err
	}
	return answer.Messages[Customer], nil
}

func (l *Lab) control(ctx context.Context, method, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, l.Endpoint+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// Waiting is every message of one queue, as the emulator shows them without receiving them.
func (l *Lab) Waiting(ctx context.Context, queueURL string) (string, error) {
	var answer json.RawMessage
	if err := l.control(ctx, http.MethodGet, "/_ministack/sqs/messages?QueueUrl="+url.QueryEscape(queueURL), &answer); err != nil {
		return "", err
	}
	return string(answer), nil
}
