// Package infratest reads synthesised templates as an account would see them: with intrinsic functions resolved and
// everything that AWS fills in made up. It is for tests only.
package infratest

import (
	"cmp"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/internal/access"
)

// Template is one synthesised stack.
type Template struct {
	Raw       []byte // as CDK wrote it
	Resources map[string]Resource
	Outputs   map[string]Output
	Site      Site

	// Of a template with parameters: what was given for them, and what follows from that.
	Values     map[string]any `json:"-"`
	Parameters map[string]Parameter
	Conditions map[string]any
	Mappings   map[string]map[string]map[string]any
	Rules      map[string]Rule

	Republished map[string]bool `json:"-"` // versions of functions that an update makes, by logical id: each is number 2
}

// Resource is a resource of a template.
type Resource struct {
	ID                  string `json:"-"`
	Type                string
	Condition           string
	Properties          map[string]any
	DependsOn           dependsOn
	DeletionPolicy      string // empty: Delete
	UpdateReplacePolicy string // the same
	Metadata            map[string]any
}

// Output is an output of a template.
type Output struct {
	Value     any
	Condition string
}

// Site is what CloudFormation knows of the account.
type Site struct{ Partition, Account, Region string }

// Usual is an ordinary account; Widest is where ARNs are as long as AWS's get.
var (
	Usual  = Site{"aws", "444455556666", "eu-west-1"}
	Widest = Site{"aws-us-gov", "444455556666", "ap-southeast-2"}
)

type dependsOn []string

func (d *dependsOn) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*d = dependsOn{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(d))
}

// Folder is a folder of functions' code with something in it that is no code.
func Folder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for _, f := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify", "enroll"} {
		if err := os.MkdirAll(filepath.Join(folder, f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, f, "bootstrap"), []byte(f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// Access reads an access.yaml given as text, with the policy files beside it.
func Access(t testing.TB, text string, files map[string]string) *infra.Access {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "access.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	loaded, err := infra.LoadAccess(file)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// Stacks adds every shard to an app, as infra/app does, and gives the app and its stacks.
func Stacks(t testing.TB, loaded *infra.Access, change ...func(*infra.ServiceProviderAccessProps)) (awscdk.App, []awscdk.Stack) {
	t.Helper()
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: new(t.TempDir()), AnalyticsReporting: new(false)})
	var stacks []awscdk.Stack
	functions := infra.FromFolder(Folder(t))
	for shard := range loaded.Shards {
		name := access.StackName("ServiceProviderAccess", shard)
		stack := awscdk.NewStack(app, &name, &awscdk.StackProps{
			SuppressTemplateIndentation: new(len(loaded.Shard(shard)) > infra.MostGrantsIndented),
		})
		props := infra.ServiceProviderAccessProps{Access: loaded, Shard: shard, Functions: functions, Version: "test"}
		for _, c := range change {
			c(&props)
		}
		infra.NewServiceProviderAccess(stack, "ServiceProviderAccess", &props)
		stacks = append(stacks, stack)
	}
	return app, stacks
}

// Synth gives the template of every shard.
func Synth(t testing.TB, loaded *infra.Access, change ...func(*infra.ServiceProviderAccessProps)) []*Template {
	t.Helper()
	app, stacks := Stacks(t, loaded, change...)
	assembly := app.Synth(nil)
	var out []*Template
	for _, stack := range stacks {
		src, err := os.ReadFile(filepath.Join(*assembly.Directory(), *stack.StackName()+".template.json"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Read(t, src))
	}
	return out
}

// Roster reads a customers.yaml given as text.
func Roster(t testing.TB, text string) *infra.Roster {
	t.Helper()
	roster, err := access.ParseRoster("customers.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return roster
}

// Provider makes the provider's stacks, as infra/app does.
func Provider(t testing.TB, roster *infra.Roster) (app awscdk.App, stack awscdk.Stack) {
	t.Helper()
	app = awscdk.NewApp(&awscdk.AppProps{Outdir: new(t.TempDir()), AnalyticsReporting: new(false)})
	stack = awscdk.NewStack(app, new("CustomerAccess"), nil)
	infra.NewCustomerAccess(stack, "CustomerAccess", &infra.CustomerAccessProps{Roster: roster, Functions: infra.FromFolder(Folder(t))})
	if roster.Instance != "" {
		infra.NewIdentityCenter(awscdk.NewStack(app, new("CustomerAccessIdentityCenter"), nil), "CustomerAccess",
			&infra.IdentityCenterProps{Roster: roster, Account: "111122223333"})
	}
	return app, stack
}

// SynthProvider gives the provider's template, and that of the permission sets where there are any.
func SynthProvider(t testing.TB, roster *infra.Roster) (own, sets *Template) {
	t.Helper()
	app, _ := Provider(t, roster)
	folder := *app.Synth(nil).Directory()
	read := func(stack string) *Template {
		src, err := os.ReadFile(filepath.Join(folder, stack+".template.json"))
		if err != nil {
			t.Fatal(err)
		}
		return Read(t, src)
	}
	if roster.Instance != "" {
		sets = read("CustomerAccessIdentityCenter")
	}
	return read("CustomerAccess"), sets
}

// Read parses a template.
func Read(t testing.TB, src []byte) *Template {
	t.Helper()
	tmpl := &Template{Raw: src, Site: Usual}
	if err := json.Unmarshal(src, tmpl); err != nil {
		t.Fatal(err)
	}
	for id, r := range tmpl.Resources {
		r.ID = id
		tmpl.Resources[id] = r
	}
	return tmpl
}

// OfType gives the resources of a type, by logical id. It fails if there are none: a test over nothing can't fail.
func (t *Template) OfType(tb testing.TB, resourceType string) []Resource {
	tb.Helper()
	var out []Resource
	for _, r := range t.Resources {
		if r.Type == resourceType {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		tb.Fatalf("the template has no %s", resourceType)
	}
	slices.SortFunc(out, func(a, b Resource) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// One gives the resource of a type whose property has this value once resolved.
func (t *Template) One(tb testing.TB, resourceType, property, value string) Resource {
	tb.Helper()
	for _, r := range t.OfType(tb, resourceType) {
		if t.Resolve(r.Properties[property]) == value {
			return r
		}
	}
	tb.Fatalf("the template has no %s with %s %q", resourceType, property, value)
	return Resource{}
}

// Text is a value resolved, as compact JSON. Strings stay as they are.
func (t *Template) Text(v any) string {
	v = t.Resolve(v)
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON
	}
	return string(b)
}

// IDs are the logical ids, sorted.
func (t *Template) IDs() []string { return slices.Sorted(maps.Keys(t.Resources)) }

// Policy is a policy document as Go values.
type Policy struct{ Statement []Statement }

// Statement is one statement, scalars written as lists of one.
type Statement struct {
	Sid, Effect                              string
	Principal                                any
	Action, NotAction, Resource, NotResource OneOrMany
	Condition                                map[string]map[string]OneOrMany
}

// OneOrMany is a list that may be written as a scalar.
type OneOrMany []string

// UnmarshalJSON reads either form.
func (o *OneOrMany) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = OneOrMany{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(o))
}

// Policy resolves and reads a policy document.
func (t *Template) Policy(tb testing.TB, doc any) Policy {
	tb.Helper()
	var p Policy
	if err := json.Unmarshal([]byte(t.Text(doc)), &p); err != nil {
		tb.Fatalf("reading a policy: %v: %s", err, t.Text(doc))
	}
	return p
}

// Find gives the statement with this Sid.
func (p Policy) Find(tb testing.TB, sid string) Statement {
	tb.Helper()
	for _, s := range p.Statement {
		if s.Sid == sid {
			return s
		}
	}
	tb.Fatalf("the policy has no statement %s", sid)
	return Statement{}
}
