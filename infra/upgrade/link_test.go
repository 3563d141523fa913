package upgrade

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/infra/oneclick"
)

// functions are the customer's.
var functions = []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"}

// release makes the one-click template of a version. Its archives are made up: their sums are not looked at here.
func release(version, sum string) []byte {
	sums := map[string]string{}
	for _, f := range functions {
		sums[f] = sum
	}
	return oneclick.Make(oneclick.Release{
		Version: version, Bucket: "countersign-releases", Regions: []string{infratest.Usual.Region}, Architecture: "arm64", Sums: sums,
	}).JSON(nil)
}

// The template of a release, and that of the one after it, which take some seconds each.
var (
	published = sync.OnceValue(func() []byte { return release("v1.0.0", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=") })
	following = sync.OnceValue(func() []byte { return release("v1.1.0", "LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=") })
)

// linked gives a stack from a link before and after an update, with all parameters in.
func linked(t *testing.T, src []byte, was map[string]string, next []byte, is map[string]string) (before, after *infratest.Template) {
	t.Helper()
	before, err := infratest.Read(t, src).With(was)
	if err != nil {
		t.Fatal(err)
	}
	after, err = infratest.Read(t, next).With(is)
	if err != nil {
		t.Fatal(err)
	}
	after.Republished = republished(before, after)
	settle(before)
	settle(after)
	return before, after
}

// republished are the functions' versions that an update makes: of another configuration, or described otherwise.
func republished(before, after *infratest.Template) map[string]bool {
	out := map[string]bool{}
	for id, r := range after.Resources {
		old, stays := before.Resources[id]
		if r.Type == "AWS::Lambda::Version" && (!stays || !reflect.DeepEqual(before.Resolve(old.Properties), after.Resolve(r.Properties))) {
			out[id] = true
		}
	}
	return out
}

// settle puts what the answers say into the resources.
func settle(tmpl *infratest.Template) {
	settled := map[string]infratest.Resource{}
	for id, r := range tmpl.Resources {
		if r.Properties != nil {
			r.Properties = tmpl.Resolve(r.Properties).(map[string]any)
		}
		settled[id] = r
	}
	tmpl.Resources = settled
}

// Each parameter of a stack from a link, changed on a live stack: tried as each field of access.yaml is.
func TestEachParameterOnALiveStack(t *testing.T) {
	table := linkTable{}
	for _, q := range questions {
		t.Run(q.yaml, func(t *testing.T) {
			was := with(answers, q.was)
			before, after := linked(t, published(), was, published(), with(was, q.is))
			if q.becomes == refused {
				table.add(q, map[string]string{
					"GrantName": "would make every part anew, under another name", "CreateRole": "would change Custom::Grant, Custom::Layout; make or delete the role",
				}[q.parameter])
				q.tried(t, before, after, nil)
				return
			}
			effects := difference(t, before, after)
			table.add(q, words(effects))
			q.tried(t, before, after, effects)
		})
	}
	golden(t, upgradeDoc, "<!-- from the one-click template: go test ./infra/upgrade -update writes this table -->\n", table.String())
}

// linkTable has a line for the ways of a parameter's change that come to the same.
type linkTable struct {
	lines []linkLine
}

type linkLine struct{ parameter, how, does, so string }

func (l *linkTable) add(q question, does string) {
	if last := len(l.lines) - 1; last >= 0 && l.lines[last] == (linkLine{q.parameter, l.lines[last].how, does, q.so}) {
		l.lines[last].how += ", " + q.how
		return
	}
	l.lines = append(l.lines, linkLine{q.parameter, q.how, does, q.so})
}

func (l *linkTable) String() string {
	var out strings.Builder
	out.WriteString("| parameter | CloudFormation | who gets in |\n|---|---|---|\n")
	for _, line := range l.lines {
		fmt.Fprintf(&out, "| `%s`: %s | %s | %s |\n", line.parameter, line.how, line.does, line.so)
	}
	return out.String()
}

// The next release's template, with the same answers, makes functions' versions anew and points at them what calls functions. Of
// the grant it changes nothing but which version its schedule calls.
func TestTheNextReleaseOverALink(t *testing.T) {
	before, after := linked(t, published(), answers, following(), answers)
	effects := difference(t, before, after)
	made := 0
	for _, e := range effects {
		switch {
		case e.what == "schedule" && e.verb == changes && slices.Equal(e.properties, []string{"RotationLambdaARN"}):
		case slices.Contains([]string{"functions", "API's deployment", "who invokes functions", "rules of the bus", "AWS::Lambda::Alias"}, e.what):
		case e.what == "functions' versions":
			if e.verb == makes {
				made++
			}
		default:
			t.Errorf("it %s %s (%s)", e.verb, e.id, strings.Join(e.properties, ", "))
		}
	}
	if made != len(functions) {
		t.Errorf("it makes %d versions", made)
	}
	row{yaml: "the next release", becomes: same}.tried(t, before, after, effects)
	golden(t, upgradeDoc, "<!-- from two releases' templates: go test ./infra/upgrade -update writes this line -->\n", "CloudFormation "+words(effects)+".\n")
}

// Secrets Manager may call the next version of rotate before the schedule names it.
func TestTheNextVersionMayBeCalledBeforeItIs(t *testing.T) {
	_, after := linked(t, published(), answers, following(), answers)
	schedule := after.OfType(t, "AWS::SecretsManager::RotationSchedule")[0]
	called := after.Text(schedule.Properties["RotationLambdaARN"])
	if !strings.HasSuffix(called, ":function:countersign-rotate-migration:2") {
		t.Errorf("the schedule calls %s", called)
	}
	waits := false
	for _, p := range after.OfType(t, "AWS::Lambda::Permission") {
		waits = waits || after.Text(p.Properties["FunctionName"]) == called && slices.Contains(schedule.DependsOn, p.ID)
	}
	if !waits {
		t.Errorf("it doesn't wait for the permission to: %v", schedule.DependsOn)
	}
}
