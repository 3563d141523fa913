package eventbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/grant"
)

// Rule is one subscription of a bus.
type Rule struct {
	Name    string
	ARN     string
	Enabled bool
}

// Rules lists the rules of the bus by name, without those that AWS keeps for itself, as an archive's (ListRules).
// grant.ErrNotFound where there is no such bus.
func (b *Bus) Rules(ctx context.Context) ([]Rule, error) {
	var out []Rule
	in := &eventbridge.ListRulesInput{EventBusName: &b.name}
	for {
		page, err := b.api.ListRules(ctx, in)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, r := range page.Rules {
			if aws.ToString(r.ManagedBy) == "" {
				out = append(out, Rule{aws.ToString(r.Name), aws.ToString(r.Arn), r.State == types.RuleStateEnabled})
			}
		}
		if aws.ToString(page.NextToken) == "" {
			slices.SortFunc(out, func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
			return out, nil
		}
		in.NextToken = page.NextToken
	}
}

// Replay hands what the bus's archive, which has the bus's name, took from one time to another to one rule, and to no other
// (StartReplay with FilterArns). name must be a new one: the same name again is the same replay.
func (b *Bus) Replay(ctx context.Context, name string, to Rule, from, until time.Time) error {
	stem, _, ok := strings.Cut(to.ARN, ":rule/"+b.name+"/")
	if !ok {
		return fmt.Errorf("%.200q is not the ARN of a rule of the bus %s", to.ARN, b.name)
	}
	_, err := b.api.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &name, EventSourceArn: new(stem + ":archive/" + b.name),
		EventStartTime: new(from.UTC()), EventEndTime: new(until.UTC()),
		Destination: &types.ReplayDestination{Arn: new(stem + ":event-bus/" + b.name), FilterArns: []string{to.ARN}},
	})
	// A first answer that was lost: nobody else has this name.
	if there := (*types.ResourceAlreadyExistsException)(nil); errors.As(err, &there) {
		return nil
	}
	return awserr.From(err)
}

// Replaying is how far a replay has come.
type Replaying struct {
	Ended  bool
	Failed bool      // it ended, and not well: failed or cancelled
	State  string    // AWS's word, as RUNNING
	Reason string    // AWS's words on a failure; may be empty
	LastAt time.Time // when it last handed an event on; zero: not yet
}

// Replaying looks at a replay (DescribeReplay).
func (b *Bus) Replaying(ctx context.Context, name string) (Replaying, error) {
	out, err := b.api.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &name})
	if err != nil {
		return Replaying{}, awserr.From(err)
	}
	r := Replaying{State: string(out.State), Reason: aws.ToString(out.StateReason), LastAt: aws.ToTime(out.EventLastReplayedTime)}
	switch out.State {
	case types.ReplayStateCompleted:
		r.Ended = true
	case types.ReplayStateFailed, types.ReplayStateCancelled:
		r.Ended, r.Failed = true, true
	case types.ReplayStateStarting, types.ReplayStateRunning, types.ReplayStateCancelling:
	default:
		return r, fmt.Errorf("replay %s is %.40q: %w", name, r.State, grant.ErrUnavailable)
	}
	return r, nil
}
