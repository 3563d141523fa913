package access

import (
	"fmt"
	"slices"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/metric"
)

// MaxAlarmTopics is how many topics CloudWatch lets an alarm tell.
const MaxAlarmTopics = 5

// AlarmTopics are the topics that a stack's alarms tell: those that alarms names, or else those that the stack's grants name
// for the operators.
func (a *Access) AlarmTopics(shard int) []string {
	if len(a.Alarms) > 0 {
		return a.Alarms
	}
	var out []string
	for _, e := range a.Shard(shard) {
		for _, topic := range e.Grant.Notify.By(grant.SNS) {
			if !slices.Contains(out, topic.Address) {
				out = append(out, topic.Address)
			}
		}
	}
	return out
}

// MeasuresAges says whether each grant has a metric of its external ID's age.
func (a *Access) MeasuresAges() bool { return len(a.Entries()) <= metric.MostAges }

// readAlarms reads whom alarms tell.
func (r *reader) readAlarms(v value) []string {
	topics := r.topics(v, "alarms")
	if len(topics) > MaxAlarmTopics {
		r.errorf(v, fmt.Sprintf("CloudWatch allows %d", MaxAlarmTopics), "one topic, to which the others subscribe", "alarms names %d topics", len(topics))
	}
	return topics
}

// checkAlarms holds the topics that stand in for alarms to what an alarm takes.
func (r *reader) checkAlarms(providers value, a *Access) {
	for shard := range a.Shards {
		if n := len(a.AlarmTopics(shard)); n > MaxAlarmTopics {
			where := providers
			where.field = "alarms"
			r.errorf(where, fmt.Sprintf("the grants of a stack name %d topics, and CloudWatch allows an alarm %d", n, MaxAlarmTopics),
				"alarms: [arn:aws:sns:…] (at the top of the file)", "say which topics the stack's alarms tell")
			return
		}
	}
}

// topics reads a list of them.
func (r *reader) topics(v value, what string) (out []string) {
	for _, item := range r.list(v, what) {
		if arn := r.topic(item); arn != "" {
			out = append(out, arn)
		}
	}
	return out
}

// topic reads the ARN of a topic that alerts can go to.
func (r *reader) topic(v value) string {
	arn, ok := r.text(v, "a topic")
	if !ok {
		return ""
	}
	m := topicForm.FindStringSubmatch(arn)
	switch {
	case m == nil:
		r.errorf(v, "", entry(v, "arn:aws:sns:eu-west-1:444455556666:ops-alerts"), "not a topic's ARN: %.120q", arn)
	case m[1] != "":
		r.errorf(v, "FIFO topics want an order that alerts don't have", "a standard topic", "an alert can't go to a FIFO topic")
	default:
		return arn
	}
	return ""
}
