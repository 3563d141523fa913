//go:build e2e

package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/e2e/lab"
)

// overlap is the time in which both IDs of the grant "nightly" are accepted: long enough for a look at both.
const overlap = 8 * time.Second

const mayAssume = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`

// story is one deployment and the people around it.
type story struct {
	*lab.Lab
	around *lab.Surroundings
	api    string // base URL of the stack's REST API, without a slash at the end

	operator aws.Config // user of the customer's account, listed under operators
	clerk    aws.Config // user of the customer's account who may do nothing here
	backend  aws.Config // user of the provider's account who may do nothing but sts:AssumeRole
	engineer aws.Config // session of the provider's role Engineers-jdoe
	outsider aws.Config // user of the provider's account who matches no pattern
	stranger aws.Config // user of a third account

	live aws.Config // session of the granted role from before its revoke

	first, second string     // folders of the two synthesised versions
	changed       chan built // the second, once it is there
}

// built is a synthesised version, or why there is none.
type built struct {
	folder string
	err    error
}

// TestCountersign is the whole way of a stack, told once: deployed, rotated, revoked, deployed again, destroyed.
func TestCountersign(t *testing.T) {
	t.Parallel()
	if err := lab.Built(".."); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s := &story{Lab: startLab(t)}
	s.prepare(t)
	t.Logf("prepared after %.1f s", time.Since(began).Seconds())

	s.chapter(t, "a fresh stack is closed until its first external ID is in", s.deployFresh)
	t.Run("while it is open", func(t *testing.T) {
		s.part(t, "who enters and who does not", s.whoEnters)
		s.part(t, "a grant without an external ID", s.withoutExternalID)
		s.part(t, "rotate-secret runs the function's four steps and everybody is told", s.rotateSecret)
		s.part(t, "the provider reads its ID from its own account", s.pickUp)
		s.part(t, "a leaked ID ends at once", s.leaked)
		s.part(t, "a provider that may only assume roles follows two rotations and confirms", s.follows)
		s.part(t, "a provider that never confirms is not locked out", s.sleeps)
		s.part(t, "the command-line tool shows the grants", s.shows)
		s.part(t, "a plan tells what a deploy would change", s.plans)
	})
	s.chapter(t, "the overlap ends by IAM's own clock, with no function running", s.overlapEnds)
	s.chapter(t, "a pause holds the schedule back", s.pauseHolds)
	s.chapter(t, "a scheduled rotation fires by itself", s.scheduleFires)
	s.chapter(t, "a revoke ends a live session at its next call", s.revoke)
	s.chapter(t, "a rotation while revoked opens nothing", s.rotateWhileRevoked)
	s.chapter(t, "deploying again opens nothing and keeps the current ID", s.deployAgain)
	s.chapter(t, "deploying a changed role opens nothing and keeps the current ID", s.deployChanged)
	s.chapter(t, "a restore brings a new external ID, and no session from before", s.restore)
	ids := s.everyID(t)
	s.chapter(t, "no external ID stands anywhere it should not", func(t *testing.T) { s.search(t, ids) })
	s.chapter(t, "destroying while revoked leaves nothing that grants access", s.destroy)
	s.chapter(t, "nor afterwards in what is left", func(t *testing.T) { s.searchLeft(t, ids) })
	t.Logf("the story took %.1f s", time.Since(began).Seconds())
}

// chapter runs one part after the other; the story ends where one fails, because the next would build on it.
func (s *story) chapter(t *testing.T, name string, run func(*testing.T)) {
	began := time.Now()
	if !t.Run(name, run) {
		t.FailNow()
	}
	t.Logf("%5.1f s  %s", time.Since(began).Seconds(), name)
}

// part runs beside the others of its group.
func (s *story) part(t *testing.T, name string, run func(*testing.T)) {
	t.Run(name, func(t *testing.T) { t.Parallel(); run(t) })
}

// prepare makes the people, the surroundings and both templates.
func (s *story) prepare(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	s.around = must[*lab.Surroundings](t)(s.Prepare(ctx, nil))
	t.Cleanup(s.around.Receiver.Close)

	synth := func(name, maxSession string) (string, error) {
		access, err := s.WriteAccess(s.around, name+".yaml", maxSession, overlap)
		if err != nil {
			return "", err
		}
		out := filepath.Join(s.Dir, name)
		return out, s.Synth(ctx, access, out)
	}
	var work sync.WaitGroup
	var notBuilt, notBootstrapped error
	work.Go(func() { s.first, notBuilt = synth("first", "1h") })
	work.Go(func() { notBootstrapped = s.Bootstrap(ctx) })
	user := func(account, name, policy string) aws.Config {
		return must[aws.Config](t)(s.NewUser(ctx, account, name, policy))
	}
	s.operator = user(lab.Customer, "operator", mayAll)
	s.clerk = user(lab.Customer, "clerk", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	s.backend = user(lab.Provider, "backend", mayAssume)
	s.outsider = user(lab.Provider, "visitor", mayAssume)
	s.stranger = user(lab.Stranger, "stranger", mayAssume)
	engineers := must[string](t)(s.NewRole(ctx, lab.Provider, "Engineers-jdoe", mayAll))
	s.engineer = must[aws.Config](t)(s.Enter(ctx, user(lab.Provider, "jdoe", mayAssume), engineers, "", "jdoe"))
	work.Wait()
	if err := errors.Join(notBuilt, notBootstrapped); err != nil {
		t.Fatal(err)
	}
	s.changed = make(chan built, 1) // not needed before the story is half told
	go func() {
		out, err := synth("changed", "2h")
		s.changed <- built{out, err}
	}()
}

// deployFresh deploys, and lets the first rotation wait before the step that opens: the role stands, its first ID lies in
// the secret, and nobody enters yet.
func (s *story) deployFresh(t *testing.T) {
	const grant = "migration"
	if err := s.Hold(t.Context(), "setSecret"); err != nil {
		t.Fatal(err)
	}
	deployed := make(chan error, 1)
	go func() { deployed <- s.Deploy(t.Context(), s.first) }()
	var first string
	for first == "" {
		select {
		case err := <-deployed:
			t.Fatalf("the deploy ended before the first ID was in: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		if versions := must[[]lab.Version](t)(s.Versions(t.Context(), grant)); len(versions) > 0 {
			v, _ := lab.Labelled(versions, "AWSPENDING")
			first = v.ExternalID
		}
	}
	if doc := must[string](t)(s.Trust(t.Context(), grant)); !strings.Contains(doc, "CountersignBorn") {
		t.Errorf("not the birth document: %s", doc)
	}
	for what, id := range map[string]string{"without an ID": "", "with a wrong ID": strings.ToLower(first), "with the ID that will be the first": first} {
		wantDenied(t, what, s.enters(t, s.engineer, grant, id))
	}
	if err := s.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-deployed; err != nil {
		t.Fatal(err)
	}
	wantAllowed(t, "with the first ID, once it is in", s.enters(t, s.engineer, grant, first))
	outputs := must[map[string]string](t)(s.StackOutputs(t.Context()))
	if s.api = strings.TrimSuffix(outputs["ApiUrl"], "/"); s.api == "" {
		t.Fatalf("no output ApiUrl in %v", outputs)
	}
}

// current is the ID that a grant's secret calls current.
func (s *story) current(t *testing.T, grant string) lab.Version {
	t.Helper()
	v, ok := lab.Labelled(must[[]lab.Version](t)(s.Versions(t.Context(), grant)), "AWSCURRENT")
	if !ok {
		t.Fatalf("%s has no current external ID", grant)
	}
	return v
}

// enters tries to enter a grant's role.
func (s *story) enters(t *testing.T, who aws.Config, grant, id string) error {
	t.Helper()
	_, err := s.Enter(t.Context(), who, lab.RoleARN(grant), id, "jdoe")
	return err
}

// countersign runs the command-line tool as the operator, with the exit code that is wanted.
func (s *story) countersign(t *testing.T, code int, args ...string) lab.Output {
	t.Helper()
	out := must[lab.Output](t)(s.Countersign(t.Context(), s.operator, args...))
	if out.Code != code {
		t.Fatalf("countersign %s: exit %d, want %d\n%s%s", out.Args, out.Code, code, out.Stdout, out.Stderr)
	}
	return out
}
