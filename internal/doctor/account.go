package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// AWS refuses a request that is signed more than five minutes away from its own clock.
const (
	skewSeen  = 30 * time.Second
	skewTaken = 5 * time.Minute
)

func (e *exam) credentials(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	who, err := e.Who(within)
	if err != nil {
		e.lost = true
		e.found("credentials", Fail, "AWS does not take them: "+err.Error(), "sign in (aws sso login), or name a profile with --profile or AWS_PROFILE; then see who you are:", "aws sts get-caller-identity")
		return
	}
	e.ok("credentials", "%s in %s", who.ARN, e.Region)
	if who.At.IsZero() {
		return
	}
	skew := e.Now().Sub(who.At)
	way := "ahead of"
	if skew < 0 {
		skew, way = -skew, "behind"
	}
	switch says := fmt.Sprintf("%s %s AWS's", skew.Round(time.Second), way); {
	case skew >= skewTaken:
		e.found("clock", Fail, says+": AWS refuses what is signed so far off", "set this machine's clock, as:", "sudo timedatectl set-ntp true")
	case skew >= skewSeen:
		e.found("clock", Warn, says+": from five minutes on AWS refuses what is signed", "set this machine's clock, as:", "sudo timedatectl set-ntp true")
	default:
		e.ok("clock", "within %s of AWS's", skewSeen)
	}
}

func (e *exam) stacks(ctx context.Context) []Stack {
	all, answered, _ := ask(ctx, e, "stack", "cloudformation:DescribeStacks", e.Stacks)
	if !answered {
		return nil
	}
	if len(all) == 0 {
		e.found("stack", Warn, "nothing is deployed in "+e.Region, "deploy with make deploy, or say where it is with --stack and --region", "")
		return nil
	}
	grants := 0
	for _, s := range all {
		grants += len(s.Grants)
	}
	says := fmt.Sprintf("%s, version %s, %s", all[0].Name, orUnknown(all[0].Version), count(grants, "grant"))
	if len(all) > 1 {
		says += fmt.Sprintf(" in %d stacks", len(all))
	}
	for _, s := range all[1:] {
		if s.Version != all[0].Version {
			e.found("stack", Warn, fmt.Sprintf("%s; but %s has version %s", says, s.Name, orUnknown(s.Version)), "deploy all stacks again", "")
			return all
		}
	}
	if e.Version != "" && all[0].Version != e.Version {
		e.found("stack", Warn, says+"; this program is version "+e.Version, "deploy again, or use the program of that version", "")
		return all
	}
	e.ok("stack", "%s", says)
	return all
}

func (e *exam) api(ctx context.Context, s Stack) {
	var why error
	n, answered, err := ask(ctx, e, "API", "execute-api:Invoke", func(ctx context.Context) (int, error) {
		n, err := e.API(ctx, s)
		if err != nil && !errors.Is(err, grant.ErrDenied) {
			why, err = err, grant.ErrNotFound
		}
		return n, err
	})
	switch {
	case !answered:
	case err != nil:
		e.found("API", Fail, s.Name+"'s does not answer: "+why.Error(), "look into the log of countersign-operate, or deploy again; until then revoke with --direct", "")
	default:
		e.ok("API", "%s answers: %s", s.Name, count(n, "grant"))
	}
}

func (e *exam) alarms(ctx context.Context, s Stack) {
	prefix, suffix := parts(s.Bus)
	all, answered, err := ask(ctx, e, "alarms", "cloudwatch:DescribeAlarms", func(ctx context.Context) ([]Alarm, error) { return e.Alarms(ctx, prefix+"-") })
	if !answered || err != nil {
		return
	}
	var ringing []string
	own, silent := 0, 0
	for _, a := range all {
		if _, n := parts(a.Name); n != suffix {
			continue // another shard's
		}
		own++
		if a.Ringing {
			ringing = append(ringing, a.Name)
		}
		if a.Tells == 0 {
			silent++
		}
	}
	switch {
	case own == 0:
		e.found("alarms", Fail, s.Name+" has none", "deploy again", "")
	case len(ringing) > 0:
		e.found("alarms", Fail, strings.Join(ringing, ", ")+" rings", "the alarm's text says what to do first, and its page under docs/runbooks", "")
	case silent > 0:
		e.found("alarms", Warn, fmt.Sprintf("none of %d rings; %d tell nobody", own, silent), "name a topic under alarms in access.yaml, and deploy", "")
	default:
		e.ok("alarms", "none of %d rings", own)
	}
}

func (e *exam) deadLetters(ctx context.Context, s Stack) {
	n, answered, err := ask(ctx, e, "dead letters", "sqs:GetQueueAttributes", func(ctx context.Context) (int, error) { return e.Undelivered(ctx, s) })
	switch {
	case !answered:
	case err != nil:
		e.found("dead letters", Fail, "their queue isn't there", "deploy again", "")
	case n > 0:
		e.found("dead letters", Fail, count(n, "message")+": somebody was not told", "see why, mend it, and send them again", "countersign deliveries")
	default:
		e.ok("dead letters", "none")
	}
}

// parts splits the name of something of a shard's into the name and the shard's number behind it: "countersign-2" is
// "countersign" and "-2".
func parts(name string) (prefix, suffix string) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 || i == len(name)-1 || strings.Trim(name[i+1:], "0123456789") != "" {
		return name, ""
	}
	return name[:i], name[i:]
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
