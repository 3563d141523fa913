package functions

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/countersign/countersign/"

// layers say which of the project's packages each package may reach, itself and internal/form aside. A name that ends in /… stands for
// all below it.
var layers = []struct {
	packages string
	may      []string
}{
	{"internal/form", nil},
	{"events", nil},
	{"internal/api", nil},
	{"internal/metric", nil},
	{"internal/foreign", nil},
	{"internal/shell", nil},
	{"internal/profiles", nil},
	{"internal/signin", nil},
	{"internal/sealed", nil},
	{"internal/screen", nil},
	{"internal/trust", nil},
	{"internal/grant", []string{"events", "internal/trust"}},
	{"internal/customers", []string{"events", "internal/trust", "internal/grant"}},
	{"internal/access", []string{"events", "internal/trust", "internal/grant", "internal/metric", "internal/customers"}},
	{"internal/gate", []string{"events", "internal/trust", "internal/grant"}},
	{"internal/adopt", []string{"events", "internal/trust", "internal/grant", "internal/gate"}},
	{"internal/outbox", []string{"events", "internal/trust", "internal/grant"}},
	{"internal/deliver", []string{"events", "internal/trust", "internal/grant"}},
	{"internal/sim", []string{"events", "internal/trust", "internal/grant", "internal/deliver"}},
	{"internal/doctor", []string{"events", "internal/trust", "internal/grant"}},
	{"internal/aws/…", []string{"events", "internal/api", "internal/trust", "internal/grant", "internal/deliver", "internal/doctor", "internal/customers", "internal/customers/customerstest", "internal/aws/…"}},
	{"functions/internal/door", []string{"events", "internal/trust", "internal/grant", "internal/api"}},
	{"functions/rotate", []string{"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/metric"}},
	{"functions/reconcile", []string{"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/metric"}},
	{"functions/revoke", []string{"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/metric", "internal/api", "functions/internal/door"}},
	{"functions/operate", []string{"events", "internal/trust", "internal/grant", "internal/gate", "internal/api", "internal/outbox", "functions/internal/door"}},
	{"functions/confirm", []string{"events", "internal/trust", "internal/grant", "internal/api", "internal/outbox", "functions/internal/door"}},
	{"functions/notify", []string{"events", "internal/trust", "internal/grant", "internal/deliver", "internal/metric"}},
	{"functions/enroll", []string{"events", "internal/trust", "internal/grant", "internal/customers", "internal/metric"}},
	{"internal/redrive", []string{"events", "internal/trust", "internal/grant", "internal/deliver"}},
	{"internal/sandbox", []string{
		"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/deliver", "internal/metric", "internal/api", "internal/sim",
		"functions/rotate", "functions/reconcile", "functions/revoke", "functions/operate", "functions/confirm", "functions/notify", "functions/internal/door",
		"internal/simtest",
	}},
	{"provider", []string{"events", "internal/trust", "internal/grant"}}, // what a provider's program links: nothing of the customer's side
	{"provider/providertest", []string{
		"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/deliver", "internal/metric", "internal/api", "internal/sim",
		"functions/rotate", "functions/reconcile", "functions/revoke", "functions/operate", "functions/confirm", "functions/notify", "functions/internal/door",
		"internal/simtest", "internal/sandbox", "provider",
	}},
	{"internal/entry", []string{"events", "internal/trust", "internal/grant", "internal/customers", "internal/foreign", "provider"}},
	{"internal/visit", []string{"events", "internal/trust", "internal/grant", "internal/customers", "internal/foreign", "provider", "internal/entry"}},
	{"internal/simtest", []string{
		"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/deliver", "internal/metric", "internal/api", "internal/sim",
		"functions/rotate", "functions/reconcile", "functions/revoke", "functions/operate", "functions/confirm", "functions/notify", "functions/internal/door",
	}},
	{"internal/demo", []string{
		"events", "internal/trust", "internal/grant", "internal/gate", "internal/outbox", "internal/deliver", "internal/metric", "internal/api", "internal/sim",
		"functions/rotate", "functions/reconcile", "functions/revoke", "functions/operate", "functions/confirm", "functions/notify", "functions/internal/door",
		"internal/simtest", "internal/access", "internal/customers",
	}},
}

// foreign are the modules that the innermost packages may reach, and those that others link into their programs or their tests.
var foreign = map[string][]string{
	"events":          nil,
	"internal/api":    nil,
	"internal/metric": nil,
	"internal/trust":  {"github.com/tailscale/hujson"},
	"internal/grant":  {"github.com/tailscale/hujson"},
	"provider":        {"github.com/tailscale/hujson", "github.com/aws/aws-sdk-go-v2/…", "github.com/aws/smithy-go…"},
	"provider/providertest": {
		"github.com/tailscale/hujson", "github.com/aws/aws-sdk-go-v2/…", "github.com/aws/smithy-go…", "github.com/aws/aws-lambda-go/…",
		"github.com/standard-webhooks/standard-webhooks/…",
	},
}

func TestLayers(t *testing.T) {
	for _, layer := range layers {
		t.Run(layer.packages, func(t *testing.T) {
			for _, dep := range dependencies(t, "./"+strings.Replace(layer.packages, "/…", "/...", 1)) {
				inside, ours := strings.CutPrefix(dep, module)
				if ours && !covered(inside, append(layer.may, layer.packages, "internal/form")) {
					t.Errorf("%s reaches %s", layer.packages, inside)
				}
				allowed, innermost := foreign[layer.packages]
				if innermost && !ours && strings.Contains(strings.Split(dep, "/")[0], ".") && !covered(dep, allowed) {
					t.Errorf("%s reaches %s", layer.packages, dep)
				}
			}
		})
	}
}

func TestNoFunctionLinksTheSDKByItself(t *testing.T) {
	for _, f := range functionNames(t) {
		for _, dep := range dependencies(t, "./functions/"+f) {
			if strings.HasPrefix(dep, "github.com/aws/aws-sdk-go-v2") {
				t.Errorf("functions/%s reaches %s: only its bootstrap may", f, dep)
			}
		}
	}
}

func TestBootstrapsAreShort(t *testing.T) {
	for _, f := range functionNames(t) {
		src, err := os.ReadFile(filepath.Join(f, "bootstrap", "main.go"))
		if err != nil {
			t.Error(err)
			continue
		}
		if n := bytes.Count(src, []byte("\n")); n > 35 {
			t.Errorf("functions/%s/bootstrap/main.go has %d lines, at most 35", f, n)
		}
	}
}

// revealers are the functions that may ask for an external ID's value, and why.
var revealers = []string{
	"cmd/countersign/reveal.go: newRevealCommand", // a person asked to see it, on a terminal
	"internal/grant/document.go: AcceptedBy",      // compared with a trust policy
	"internal/grant/document.go: DeadlineIn",      // compared with a trust policy
	"internal/grant/id.go: Fingerprint",           // hashed
	"internal/grant/id.go: madeWith",              // compared with a prefix
	"internal/grant/plan.go: TrustWith",           // written into a trust policy
	"internal/grant/secret.go: EncodeValue",       // written into the secret
	"provider/client.go: assume",                  // handed to AWS, by the provider
	"provider/file.go: Accept",                    // written into the provider's own file
	"provider/file.go: Save",                      // the same
}

func TestWhoRevealsAnExternalID(t *testing.T) {
	var found []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules" || d.Name() == "cdk.out") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			name := "a variable"
			if f, ok := decl.(*ast.FuncDecl); ok {
				name = f.Name.Name
			}
			ast.Inspect(decl, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Reveal" { // a call, or the method as a value
					found = append(found, filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))+": "+name)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if diff := cmp.Diff(revealers, slices.Compact(found)); diff != "" {
		t.Errorf("who may reveal an ID is decided here, with the reason (-allowed +found):\n%s", diff)
	}
}

// functionNames are the folders of functions that have code of their own.
func functionNames(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "internal" {
			names = append(names, e.Name())
		}
	}
	for _, must := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify", "enroll"} {
		if !slices.Contains(names, must) {
			t.Fatalf("functions/%s is missing", must)
		}
	}
	return names
}

func dependencies(t *testing.T, pattern string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", pattern)
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pattern, err)
	}
	deps := strings.Fields(string(out))
	if len(deps) == 0 {
		t.Fatalf("%s has no packages", pattern)
	}
	return deps
}

func covered(name string, by []string) bool {
	return slices.ContainsFunc(by, func(allowed string) bool {
		prefix, below := strings.CutSuffix(allowed, "…")
		return name == allowed || below && strings.HasPrefix(name, prefix)
	})
}

// A folder that docs/structure.md doesn't explain is one that a newcomer doesn't find.
func TestTheStructureIsExplained(t *testing.T) {
	doc, err := os.ReadFile("../docs/structure.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, above := range []string{"..", "../internal"} {
		folders, err := os.ReadDir(above)
		if err != nil {
			t.Fatal(err)
		}
		explained := 0
		for _, f := range folders {
			name := strings.TrimPrefix(above+"/"+f.Name(), "../")
			if !f.IsDir() || strings.HasPrefix(f.Name(), ".") || slices.Contains([]string{"bin", "dist", "cdk.out", "internal", "cmd"}, name) {
				continue
			}
			if explained++; !strings.Contains(string(doc), "`"+name+"`") && !strings.Contains(string(doc), "`"+name+"/<") {
				t.Errorf("docs/structure.md doesn't say what %s is", name)
			}
		}
		if explained < 7 {
			t.Errorf("%d folders in %s", explained, above)
		}
	}
}
