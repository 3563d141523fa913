package infra_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra/infratest"
)

// sesEvents are events as SES puts them on the default bus, beside what notify's own tests expect to be handed of each.
const sesEvents = "../functions/notify/testdata/ses"

// Each of SES's events on our mails comes to notify by exactly one rule, and nothing comes along but tags and words of SES's: no
// address, no subject.
func TestWhatSESSaysIsHandedToNotify(t *testing.T) {
	tmpl := rich(t)
	files, err := filepath.Glob(sesEvents + "/*.handed.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		event, want := readJSON(t, strings.Replace(file, ".handed", "", 1)), readJSON(t, file)
		matched := 0
		for _, rule := range tmpl.OfType(t, "AWS::Events::Rule") {
			if rule.Properties["EventPattern"] == nil || !matchesPattern(tmpl.Resolve(rule.Properties["EventPattern"]), event) {
				continue
			}
			matched++
			if bus := rule.Properties["EventBusName"]; bus != nil {
				t.Errorf("%s listens on %v, and SES publishes to the default bus only", rule.ID, bus)
			}
			target := tmpl.Resolve(rule.Properties["Targets"]).([]any)[0].(map[string]any)
			if target["Arn"] != "arn:aws:sqs:eu-west-1:444455556666:countersign-notify" || target["DeadLetterConfig"] != nil {
				t.Errorf("%s goes to %v", rule.ID, target)
			}
			if diff := cmp.Diff(want, transformed(t, target["InputTransformer"].(map[string]any), event)); diff != "" {
				t.Errorf("%s hands on of %s (-want +got):\n%s", rule.ID, file, diff)
			}
		}
		if matched != 1 {
			t.Errorf("%s: %d rules", file, matched)
		}
	}
}

// Mail of others in the account, by their own configuration set or by none, is nothing to us.
func TestTheMailOfOthersIsNotHandedToNotify(t *testing.T) {
	tmpl := rich(t)
	for name, change := range map[string]func(event, tags map[string]any){
		"another set":     func(_, tags map[string]any) { tags["ses:configuration-set"] = []any{"marketing"} },
		"another shard's": func(_, tags map[string]any) { tags["ses:configuration-set"] = []any{"countersign-2"} },
		"no set":          func(_, tags map[string]any) { delete(tags, "ses:configuration-set") },
		"another account": func(event, _ map[string]any) { event["account"] = "111122223333" },
		"another source":  func(event, _ map[string]any) { event["source"] = "countersign.ses" },
		"a delivery":      func(event, _ map[string]any) { event["detail-type"] = "Email Delivered" },
	} {
		event := readJSON(t, sesEvents+"/bounce.json").(map[string]any)
		change(event, event["detail"].(map[string]any)["mail"].(map[string]any)["tags"].(map[string]any))
		for _, rule := range tmpl.OfType(t, "AWS::Events::Rule") {
			if rule.Properties["EventPattern"] != nil && matchesPattern(tmpl.Resolve(rule.Properties["EventPattern"]), event) {
				t.Errorf("%s: handed on by %s", name, rule.ID)
			}
		}
	}
}

func TestTheConfigurationSetPublishesWhatGoesWrong(t *testing.T) {
	tmpl := rich(t)
	set := tmpl.One(t, "AWS::SES::ConfigurationSet", "Name", "countersign")
	destination := tmpl.OfType(t, "AWS::SES::ConfigurationSetEventDestination")[0]
	want := `{"Enabled":true,"EventBridgeDestination":{"EventBusArn":"arn:aws:events:eu-west-1:444455556666:event-bus/default"},` +
		`"MatchingEventTypes":["bounce","complaint","reject","renderingFailure"],"Name":"events"}`
	if got := tmpl.Text(destination.Properties["EventDestination"]); got != want {
		t.Errorf("published: %s", got)
	}
	if of := tmpl.Text(destination.Properties["ConfigurationSetName"]); of != "countersign" {
		t.Errorf("of %s", of)
	}
	for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
		want := "null"
		if f.Properties["FunctionName"] == "countersign-notify" {
			want = "countersign"
		}
		if got := tmpl.Text(f.Properties["Environment"].(map[string]any)["Variables"].(map[string]any)["COUNTERSIGN_MAIL_SET"]); got != want {
			t.Errorf("%s sends by %s, want %s (%s)", f.ID, got, want, set.ID)
		}
	}
}

// Nothing of SES is made or permitted where nobody is told by mail.
func TestWhereNoMailIsSentThereIsNothingOfSES(t *testing.T) {
	for name, src := range map[string]string{
		"no sender":  strings.Replace(infratest.Rich, "mailFrom: countersign@example.com\n", "", 1),
		"no address": strings.Replace(infratest.Rich, "          mail: [ops@example.com, {to: security@example.net, for: operators, on: [revoke, digest]}]\n", "", 1),
	} {
		tmpl := infratest.Synth(t, infratest.Access(t, src, infratest.UploadPolicy))[0]
		for id, r := range tmpl.Resources {
			if strings.HasPrefix(r.Type, "AWS::SES::") || strings.Contains(id, "Bounces") || strings.Contains(id, "Complaints") {
				t.Errorf("%s: %s, a %s", name, id, r.Type)
			}
		}
		for _, s := range statementsOf(t, tmpl, "notify") {
			for _, action := range s.Action {
				if strings.HasPrefix(action, "ses:") {
					t.Errorf("%s: notify may %s", name, action)
				}
			}
		}
	}
}

func readJSON(t *testing.T, file string) (v any) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// matchesPattern is EventBridge's: an object matches member by member, a list holds alternatives, and a list in the event matches if
// one of its values does. Of the filters only anything-but is known.
func matchesPattern(pattern, event any) bool {
	switch p := pattern.(type) {
	case map[string]any:
		object, ok := event.(map[string]any)
		for key, inner := range p {
			if !ok || !matchesPattern(inner, object[key]) {
				return false
			}
		}
		return true
	case []any:
		values, isList := event.([]any)
		if !isList {
			values = []any{event}
		}
		for _, value := range values {
			for _, alternative := range p {
				if filter, ok := alternative.(map[string]any); ok {
					if value != nil && !matchesPattern(filter["anything-but"], value) {
						return true
					}
				} else if alternative == value {
					return true
				}
			}
		}
	}
	return false
}

// transformed is what EventBridge makes of an event for a target: each variable outside of quotes becomes the JSON of its value.
func transformed(t *testing.T, transformer map[string]any, event any) (v any) {
	t.Helper()
	out := transformer["InputTemplate"].(string)
	for name, path := range transformer["InputPathsMap"].(map[string]any) {
		value, err := json.Marshal(at(event, strings.TrimPrefix(path.(string), "$.")))
		if err != nil || string(value) == "null" {
			t.Fatalf("%s leads nowhere: %v", path, err)
		}
		out = strings.ReplaceAll(out, "<"+name+">", string(value))
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return v
}

// at follows a path of EventBridge's: names with dots between, and indices.
func at(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		name, index, indexed := strings.Cut(strings.TrimSuffix(step, "]"), "[")
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		if v = object[name]; indexed {
			list, ok := v.([]any)
			n, err := strconv.Atoi(index)
			if !ok || err != nil || n >= len(list) {
				return nil
			}
			v = list[n]
		}
	}
	return v
}
