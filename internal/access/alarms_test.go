package access_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/access"
)

func TestWhomAlarmsTell(t *testing.T) {
	grants := func(topics ...string) string {
		var out strings.Builder
		out.WriteString(providerHead + "    grants:\n")
		for i, topic := range topics {
			fmt.Fprintf(&out, "      - {name: grant-%d, permissions: [ReadOnlyAccess], notify: {sns: [%q]}}\n", i, topic)
		}
		return out.String()
	}
	const a, b, c = "arn:aws:sns:eu-west-1:444455556666:a", "arn:aws:sns:eu-west-1:444455556666:b", "arn:aws:sns:eu-west-1:444455556666:c"
	six := grants(a+"1", a+"2", a+"3", a+"4", a+"5", a+"6")
	for name, c := range map[string]struct {
		src     string
		want    []string
		problem string
	}{
		"nobody":                           {src: namedGrant},
		"the grants' topics, each once":    {src: grants(b, a, b), want: []string{b, a}},
		"alarms in place of the grants'":   {src: "alarms: [" + c + "]\n" + grants(a, b), want: []string{c}},
		"six of the grants":                {src: six, problem: "say which topics the stack's alarms tell"},
		"six of the grants, and alarms":    {src: "alarms: [" + c + "]\n" + six, want: []string{c}},
		"six":                              {src: "alarms: [" + strings.Repeat(a+", ", 6) + "]\n" + namedGrant, problem: "alarms names 6 topics"},
		"no topic":                         {src: "alarms: [ops]\n" + namedGrant, problem: "not a topic's ARN"},
		"an address in place of a topic":   {src: "alarms: [ops@example.com]\n" + namedGrant, problem: "not a topic's ARN"},
		"a topic that keeps an order":      {src: "alarms: [" + a + ".fifo]\n" + namedGrant, problem: "FIFO"},
		"one topic, not written as a list": {src: "alarms: " + a + "\n" + namedGrant, problem: "alarms must be a list"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := access.Parse("access.yaml", []byte(c.src), policies(), now)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.AlarmTopics(0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
