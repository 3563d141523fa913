package trust_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign/internal/trust"
)

// tampering is one way to change a created role's document behind Countersign's back. It changes the statements in place
// and gives them back; s is one of them.
type tampering struct {
	name string
	do   func(t *rapid.T, list []any, s map[string]any) []any
	kept bool // what was added isn't Countersign's: it is reported and left alone
}

var tamperings = []tampering{
	{"a further principal", func(t *rapid.T, list []any, s map[string]any) []any {
		if who, ok := s["Principal"].(map[string]any); ok {
			s["Principal"] = map[string]any{"AWS": append(asList(who["AWS"]), "999988887777")}
		}
		return list
	}, false},
	{"another principal", func(t *rapid.T, list []any, s map[string]any) []any {
		s["Principal"] = rapid.SampledFrom([]any{"*", map[string]any{"AWS": "*"}, map[string]any{"AWS": "999988887777"}, map[string]any{"Service": "ec2.amazonaws.com"}}).Draw(t, "principal")
		return list
	}, false},
	{"NotPrincipal", func(t *rapid.T, list []any, s map[string]any) []any {
		s["NotPrincipal"] = s["Principal"]
		delete(s, "Principal")
		return list
	}, false},
	{"another action", func(t *rapid.T, list []any, s map[string]any) []any {
		s["Action"] = rapid.SampledFrom([]any{"sts:*", "*", []any{"sts:AssumeRole", "sts:TagSession"}, "sts:TagSession"}).Draw(t, "action")
		return list
	}, false},
	{"NotAction", func(t *rapid.T, list []any, s map[string]any) []any {
		s["NotAction"] = "sts:TagSession"
		delete(s, "Action")
		return list
	}, false},
	{"the other effect", func(t *rapid.T, list []any, s map[string]any) []any {
		s["Effect"] = map[any]string{"Allow": "Deny", "Deny": "Allow"}[s["Effect"]]
		return list
	}, false},
	{"no condition", func(t *rapid.T, list []any, s map[string]any) []any { delete(s, "Condition"); return list }, false},
	{"a condition less", func(t *rapid.T, list []any, s map[string]any) []any {
		if block, ok := s["Condition"].(map[string]any); ok {
			delete(block, rapid.SampledFrom(slices.Sorted(maps.Keys(block))).Draw(t, "operator"))
		}
		return list
	}, false},
	{"a condition more", func(t *rapid.T, list []any, s map[string]any) []any {
		block, ok := s["Condition"].(map[string]any)
		if !ok {
			block = map[string]any{}
			s["Condition"] = block
		}
		block["StringLike"] = map[string]any{"sts:RoleSessionName": "x*"}
		return list
	}, false},
	{"another operator on the ID", func(t *rapid.T, list []any, s map[string]any) []any {
		if block, ok := s["Condition"].(map[string]any); ok && block["StringEquals"] != nil {
			op := rapid.SampledFrom([]string{"StringNotEquals", "StringLike", "StringEqualsIfExists", "ForAllValues:StringEquals"}).Draw(t, "operator")
			block[op] = block["StringEquals"]
			delete(block, "StringEquals")
		}
		return list
	}, false},
	{"a further ID", func(t *rapid.T, list []any, s map[string]any) []any {
		if block, ok := s["Condition"].(map[string]any); ok && block["StringEquals"] != nil {
			keys := block["StringEquals"].(map[string]any)
			keys["sts:ExternalId"] = append(asList(keys["sts:ExternalId"]), idWrong)
		}
		return list
	}, false},
	{"a later end", func(t *rapid.T, list []any, s map[string]any) []any {
		if block, ok := s["Condition"].(map[string]any); ok && block["DateLessThan"] != nil {
			block["DateLessThan"] = map[string]any{"aws:CurrentTime": "2099-01-01T00:00:00Z"}
		}
		return list
	}, false},
	{"an element more", func(t *rapid.T, list []any, s map[string]any) []any { s["Resource"] = "*"; return list }, false},
	{"one of ours less", func(t *rapid.T, list []any, s map[string]any) []any {
		return slices.DeleteFunc(list, func(o any) bool { return o.(map[string]any)["Sid"] == s["Sid"] })
	}, false},
	{"one of ours a second time", func(t *rapid.T, list []any, s map[string]any) []any {
		again := maps.Clone(s)
		again["Principal"] = "*"
		return append(list, again)
	}, false},
	{"an Allow under one of our Sids", func(t *rapid.T, list []any, _ map[string]any) []any {
		return append(list, map[string]any{
			"Sid":    rapid.SampledFrom([]string{trust.SidBorn, trust.SidPrevious, trust.SidPrevious + "2", trust.SidSourceIdentity}).Draw(t, "sid"),
			"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole",
		})
	}, false},
	{"a foreign Allow", func(t *rapid.T, list []any, _ map[string]any) []any {
		return append(list, map[string]any{"Sid": "Backdoor", "Effect": "Allow", "Principal": map[string]any{"AWS": "999988887777"}, "Action": "sts:AssumeRole"})
	}, true},
	{"a foreign Deny", func(t *rapid.T, list []any, _ map[string]any) []any {
		return append(list, map[string]any{"Effect": "Deny", "Principal": map[string]any{"AWS": "999988887777"}, "Action": "sts:AssumeRole"})
	}, true},
}

func asList(v any) []any {
	if list, ok := v.([]any); ok {
		return slices.Clone(list)
	}
	return []any{v}
}

// TestTamperingWithACreatedRoleIsReported: whatever was changed behind Countersign's back is reported and, where it is
// Countersign's, mended. What Apply writes lets in nobody outside the plan.
func TestTamperingWithACreatedRoleIsReported(t *testing.T) {
	for _, done := range tamperings {
		t.Run(done.name, func(t *testing.T) {
			met := 0
			rapid.Check(t, func(t *rapid.T) {
				if reported(t, aPlanOfTheCast(t), done) {
					met++
				}
			})
			if met == 0 {
				t.Error("no document could be changed so")
			}
		})
	}
}

// reported says false where the plan's document has nothing that could be tampered with so.
func reported(t *rapid.T, p trust.Plan, done tampering) bool {
	born, err := trust.Parse([]byte(trust.BornDocument))
	if err != nil {
		t.Fatal(err)
	}
	clean, _, err := trust.Apply(born, p)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(clean.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	list := doc["Statement"].([]any)
	doc["Statement"] = done.do(t, list, list[rapid.IntRange(0, len(list)-1).Draw(t, "which")].(map[string]any))
	src, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	tampered, err := trust.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	if tampered.Equal(clean) {
		return false
	}
	after, diff, err := trust.Apply(tampered, p)
	switch {
	case err != nil:
		t.Fatalf("%v\n%s", err, src)
	case diff.Empty() && len(diff.Drift) == 0:
		t.Fatalf("it isn't reported:\n%s", src)
	case done.kept && len(diff.Drift) == 0:
		t.Fatalf("it is no drift:\n%s", src)
	case done.kept:
		return true
	case !after.Equal(clean):
		t.Fatalf("it isn't mended:\n%s\nwant\n%s", after.Bytes(), clean.Bytes())
	}
	for r := range everyCall {
		// A later end alone can be an earlier plan's, so it is a line of the difference and no drift.
		wider := tampered.Evaluate(r).Effect != trust.Deny && clean.Evaluate(r).Effect == trust.Deny
		if wider && done.name != "a later end" && len(diff.Drift) == 0 {
			t.Fatalf("it lets in more and is no drift: %q\n%s", diff.Lines, src)
		}
	}
	for _, caller := range others(t) {
		for _, id := range []string{"", idOld, idNew, idWrong} {
			if v := after.Evaluate(call(caller, id, noon)); v.Effect != trust.Deny {
				t.Fatalf("%s with %s: %s", caller, trust.Fingerprint(id), strings.Join(v.Why, "; "))
			}
		}
	}
	return true
}
