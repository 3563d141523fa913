package main

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/countersign/countersign/internal/aws/awstest"
)

// serveReplay is a bus with three rules of its own and the archive's, and a replay that runs when it is looked at first.
func (f *fakeAWS) serveReplay(w http.ResponseWriter, operation string, body []byte) {
	if f.mode["replay"] == "denied" {
		awstest.JSONError(http.StatusBadRequest, "AccessDeniedException", "User is not authorized to perform: events:"+operation)(w)
		return
	}
	switch operation {
	case "ListRules":
		const rule = `{"Name":"NAME","Arn":"arn:aws:events:eu-west-1:444455556666:rule/countersign/NAME","State":"STATE"MORE}`
		var rules []string
		for _, r := range [][]string{
			{"countersign-forward-hestio", "ENABLED", ""}, {"countersign-notify", "ENABLED", ""}, {"countersign-trail", "DISABLED", ""},
			{"Events-Archive-countersign", "ENABLED", `,"ManagedBy":"prod.vhs.events.aws.internal"`},
		} {
			rules = append(rules, strings.NewReplacer("NAME", r[0], "STATE", r[1], "MORE", r[2]).Replace(rule))
		}
		awstest.JSON(`{"Rules":[` + strings.Join(rules, ",") + `]}`)(w)
	case "StartReplay":
		var in struct {
			ReplayName  string
			Destination struct{ FilterArns []string }
		}
		_ = json.Unmarshal(body, &in)
		f.replay, f.looks = in.ReplayName, 0
		f.calls[len(f.calls)-1] += " to " + strings.Join(in.Destination.FilterArns, ",")
		awstest.JSON(`{"State":"STARTING"}`)(w)
	case "DescribeReplay":
		f.looks++
		state := "COMPLETED"
		switch {
		case f.mode["replay"] == "fails":
			state = `FAILED","StateReason":"the \u001b[2Jarchive is gone`
		case f.looks == 1 || f.mode["replay"] == "hangs":
			state = "RUNNING"
		}
		awstest.JSON(`{"ReplayName":"` + f.replay + `","State":"` + state + `"}`)(w)
	}
}
