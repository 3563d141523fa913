package upgrade

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/grant"
)

// next is the same access.yaml by another version: other code, another name.
func next(t *testing.T) func(*infra.ServiceProviderAccessProps) {
	folder := infratest.Folder(t)
	for _, f := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"} {
		if err := os.WriteFile(filepath.Join(folder, f, "bootstrap"), []byte(f+", the next version"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return func(props *infra.ServiceProviderAccessProps) {
		props.Version, props.Functions = "the-next", infra.FromFolder(folder)
	}
}

// Another version changes the functions, and nothing of any grant: no Custom::Grant is called, no trust policy written.
func TestAnotherVersionChangesTheFunctionsAlone(t *testing.T) {
	was, tmpl := synth(t, before), synth(t, before, next(t))
	functions := 0
	for _, e := range difference(t, was, tmpl) {
		if e.what != "functions" || e.verb != changes {
			t.Errorf("it %s %s (%s)", e.verb, e.id, strings.Join(e.properties, ", "))
		}
		functions++
	}
	if functions != 6 {
		t.Errorf("it changes %d functions", functions)
	}
	l := deployed(t, was)
	old := l.look(migration, engineer)
	l.must(l.deploy(was, tmpl))
	l.must(l.Reconciler.Timer(l.ctx))
	if diff := cmp.Diff(old, l.look(migration, engineer)); diff != "" {
		t.Error(diff)
	}
}

// Functions come first: none reads a plan that a later version wrote, but in a rollback.
func TestFunctionsAreUpdatedBeforeAnyPlan(t *testing.T) {
	tmpl := synth(t, before)
	layout := tmpl.OfType(t, "Custom::Layout")[0]
	waits := map[string]bool{}
	for _, id := range layout.DependsOn {
		waits[id] = true
	}
	for _, f := range tmpl.OfType(t, "AWS::Lambda::Function") {
		if !waits[f.ID] && !strings.Contains(tmpl.Text(layout.Properties["ServiceToken"]), tmpl.Text(f.Properties["FunctionName"])) {
			t.Errorf("Custom::Layout doesn't wait for %s", f.ID)
		}
	}
	for _, p := range tmpl.OfType(t, "AWS::SSM::Parameter") {
		if len(p.DependsOn) == 0 || p.DependsOn[0] != layout.ID {
			t.Errorf("%s doesn't wait for Custom::Layout: %v", p.ID, p.DependsOn)
		}
	}
}

// absent is what it means that a plan doesn't have a field, as one that an older version wrote may not.
var absent = map[string]string{
	"adopted":         "the stack made the role",
	"noExternalId":    "the grant has an external ID",
	"secretArn":       "with an external ID: refused",
	"keyArn":          "events name no key",
	"confirmUrl":      "the provider isn't told where to confirm",
	"prefix":          "new external IDs have none",
	"conditions":      "whoever the provider's account lets",
	"sourceIdentity":  "no source identity",
	"quota":           "2,048 characters",
	"issuedBy":        "Countersign makes the external IDs",
	"rotateEvery":     "nothing; the schedule is Secrets Manager's",
	"overlap":         "the previous external ID ends at once",
	"whenUnconfirmed": "`cut`: the previous external ID ends at its deadline",
	"providerMay":     "the provider may ask for nothing",
	"expires":         "the grant has no end",
	"notify":          "nobody is told",
}

// Every field that a plan may lack says what that means: a new one has to mean what the versions before did.
func TestWhatAPlanMayLack(t *testing.T) {
	var table strings.Builder
	table.WriteString("| without | |\n|---|---|\n")
	seen := 0
	for f := range reflect.TypeFor[grant.Plan]().Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "" {
			continue // required: ParsePlan refuses a plan without it, or can do nothing without
		}
		seen++
		if absent[name] == "" {
			t.Errorf("what does it mean that a plan has no %s?", name)
		}
		fmt.Fprintf(&table, "| `%s` | %s |\n", name, absent[name])
	}
	if seen != len(absent) {
		t.Errorf("%d fields, %d meanings", seen, len(absent))
	}
	golden(t, upgradeDoc, "<!-- from the plan's type: go test ./infra/upgrade -update writes this table -->\n", table.String())
}
