//go:build e2e

package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/adopt/adopttest"
	"github.com/countersign/countersign/internal/trust"
)

// found is a role that was there before, of one of the ten shapes.
type found struct {
	adopttest.Shape
	grant, role string
	id          string // file with the provider's external ID
	before      []byte
	caller      aws.Config
	current     string
}

func (f found) arn() string { return "arn:aws:iam::" + lab.Customer + ":role/" + f.role }

// TestAdoption takes ten roles over that were there before, rotates them, and gives them back, by the command-line tool and the
// real stack. The provider enters at each step, and what isn't Countersign's in a trust policy stays byte for byte.
func TestAdoption(t *testing.T) {
	t.Parallel()
	if err := lab.Built(".."); err != nil {
		t.Fatal(err)
	}
	s := &story{Lab: startLab(t)}
	ctx := t.Context()
	s.operator = must[aws.Config](t)(s.NewUser(ctx, lab.Customer, "operator", mayAll))
	s.backend = must[aws.Config](t)(s.NewUser(ctx, lab.Provider, "backend", mayAssume))
	loader := must[aws.Config](t)(s.NewUser(ctx, lab.Provider, "loader", mayAssume))
	s.stranger = must[aws.Config](t)(s.NewUser(ctx, lab.Stranger, "stranger", mayAssume))
	if err := s.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	roles := foundRoles(t, s, loader)
	access := filepath.Join(s.Dir, "access.yaml")
	adopts := func(f found) []string {
		args := []string{"adopt", f.arn(), "-f", access, "--grant", f.grant, "--provider", "northwind", "--id", "@" + f.id, "--terraform", "no", "--yes", "--json"}
		if f.Whole {
			args = append(args, "--whole-role")
		}
		return args
	}
	for _, f := range roles {
		if out := s.countersign(t, 0, adopts(f)...); !strings.Contains(out.Stdout, `"stage": "written"`) {
			t.Fatalf("%s: %s", f.Name, out.Stdout)
		}
	}
	// An overlap short enough to watch it end.
	written := strings.ReplaceAll(string(must[[]byte](t)(os.ReadFile(access))), "adopted: true}", "adopted: true}\n        rotateEvery: never\n        overlap: "+overlap.String()+"\n        whenUnconfirmed: cut")
	if err := os.WriteFile(access, []byte(written), 0o600); err != nil || strings.Contains(written, adopttest.ID) {
		t.Fatal("access.yaml: ", err)
	}
	out := filepath.Join(s.Dir, "adopting")
	if err := s.Synth(ctx, access, out); err != nil {
		t.Fatal(err)
	}
	if err := s.Deploy(ctx, out); err != nil {
		t.Fatal(err)
	}
	for i := range roles {
		f := &roles[i]
		t.Run(f.Name, func(t *testing.T) {
			if got := s.trustOf(t, f.role); string(got) != string(f.before) {
				t.Fatalf("the deploy changed the trust policy to %s", got)
			}
			s.entersBy(t, *f, adopttest.ID, true)
			if out := s.countersign(t, 0, adopts(*f)...); !strings.Contains(out.Stdout, `"stage": "handedOver"`) {
				t.Fatal(out.Stdout)
			}
			if got := s.trustOf(t, f.role); string(got) != string(f.before) {
				t.Fatalf("the hand-over changed the trust policy to %s", got)
			}
			if s.current(t, f.grant).ExternalID != adopttest.ID {
				t.Fatal("the secret holds another external ID")
			}
			s.entersBy(t, *f, adopttest.ID, true)
			s.countersign(t, 0, "rotate", f.grant, "--reason", "to see it")
			f.current = s.current(t, f.grant).ExternalID
			if f.current == adopttest.ID {
				t.Fatal("not rotated")
			}
			s.entersBy(t, *f, f.current, true)
			s.foreignStays(t, *f)
		})
	}
	if t.Failed() {
		return
	}
	time.Sleep(overlap)
	for _, f := range roles {
		t.Run(f.Name+", given back", func(t *testing.T) {
			s.entersBy(t, f, adopttest.ID, false)
			s.countersign(t, 0, "release", f.grant, "--yes")
			s.entersBy(t, f, f.current, true)
			s.entersBy(t, f, adopttest.ID, false)
			s.foreignStays(t, f)
			got := must[*trust.Document](t)(trust.Parse(s.trustOf(t, f.role)))
			want := must[*trust.Document](t)(trust.Parse([]byte(strings.ReplaceAll(string(f.before), adopttest.ID, f.current))))
			if !got.Equal(want) {
				t.Errorf("given back is %s", got.Bytes())
			}
		})
	}
	// Without the grants the roles are as their owner has them.
	if err := s.Destroy(ctx, out); err != nil {
		t.Fatal(err)
	}
	for _, f := range roles {
		s.entersBy(t, f, f.current, true)
		left := must[*iam.ListRolePoliciesOutput](t)(iam.NewFromConfig(s.Owner(lab.Customer)).ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &f.role}))
		if !slices.Equal(left.PolicyNames, []string{"work"}) {
			t.Errorf("%s: left are the policies %v", f.Name, left.PolicyNames)
		}
	}
	for _, o := range s.Outputs() {
		for _, f := range roles {
			if strings.Contains(o.Stdout+o.Stderr, f.current) || strings.Contains(o.Args+o.Stdout+o.Stderr, adopttest.ID) {
				t.Errorf("countersign %s prints an external ID", o.Args)
			}
		}
	}
}

// foundRoles makes a role of each shape.
func foundRoles(t *testing.T, s *story, loader aws.Config) (out []found) {
	t.Helper()
	id := filepath.Join(s.Dir, "id.txt")
	if err := os.WriteFile(id, []byte(adopttest.ID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := iam.NewFromConfig(s.Owner(lab.Customer))
	for _, shape := range must[[]adopttest.Shape](t)(adopttest.Shapes("..")) {
		f := found{Shape: shape, grant: shape.Name, role: "Northwind-" + shape.Name, id: id, caller: s.backend}
		if shape.Enters != "" {
			f.caller = loader
		}
		must[*iam.CreateRoleOutput](t)(client.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &f.role, AssumeRolePolicyDocument: new(string(shape.Document))}))
		must[*iam.PutRolePolicyOutput](t)(client.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &f.role, PolicyName: new("work"), PolicyDocument: new(mayAll)}))
		f.before = s.trustOf(t, f.role)
		out = append(out, f)
	}
	return out
}

// trustOf is a role's trust policy as IAM shows it.
func (s *story) trustOf(t *testing.T, role string) []byte {
	t.Helper()
	got := must[*iam.GetRoleOutput](t)(iam.NewFromConfig(s.Owner(lab.Customer)).GetRole(t.Context(), &iam.GetRoleInput{RoleName: &role}))
	return []byte(must[string](t)(url.PathUnescape(*got.Role.AssumeRolePolicyDocument)))
}

// foreignStays asserts that what isn't Countersign's in a trust policy is what it was, byte for byte.
func (s *story) foreignStays(t *testing.T, f found) {
	t.Helper()
	before := must[[]string](t)(adopttest.Foreign(f.before, adopttest.ID))
	after := must[[]string](t)(adopttest.Foreign(s.trustOf(t, f.role), adopttest.ID, f.current))
	if !slices.Equal(before, after) {
		t.Errorf("%s: foreign statements were\n%s\nand are\n%s", f.Name, strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}

// entersBy asserts whether the provider enters with an ID; without one, and as a stranger, nobody does.
func (s *story) entersBy(t *testing.T, f found, id string, in bool) {
	t.Helper()
	enters := func(who aws.Config, id string) error {
		_, err := s.Enter(t.Context(), who, f.arn(), id, "jdoe")
		return err
	}
	if in {
		wantAllowed(t, f.Name, enters(f.caller, id))
	} else {
		wantDenied(t, f.Name, enters(f.caller, id))
	}
	wantDenied(t, f.Name+", without an ID", enters(f.caller, ""))
	wantDenied(t, f.Name+", a stranger", enters(s.stranger, id))
}
