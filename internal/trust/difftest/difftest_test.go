// Package difftest holds trust.Document.Evaluate against an IAM simulator that this project did not write: on generated trust
// policies and calls, both have to answer alike. It trusts neither; a difference is a bug here, or a named one of the simulator.
package difftest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/internal/trust"
)

// defaultPairs is about forty seconds' worth on two idle cores, and enough for every construct and every named difference to turn up.
const defaultPairs = 160_000

var (
	pairs = flag.Int("pairs", defaultPairs, "how many (document, request) pairs to compare")
	seed  = flag.Uint64("seed", 1, "what the pairs are generated from")
)

// modules is where make puts the simulator.
const modules = "../../../.tools/iam-simulate"

// maxUnknown is the share of pairs that Evaluate may leave open: those that NotPrincipal or a variable without a value decides.
const maxUnknown = 0.02

// simulator answers questions in the order they are put.
type simulator struct {
	in      *json.Encoder
	flush   func() error
	answers *bufio.Scanner
}

func start(t *testing.T) *simulator {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: install Node.js 20 or later, from https://nodejs.org")
	}
	if _, err := os.Stat(filepath.Join(modules, "node_modules/@cloud-copilot/iam-simulate")); err != nil {
		t.Fatalf("@cloud-copilot/iam-simulate is missing: make trust-diff installs it into .tools (%v)", err)
	}
	folder, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "simulate.mjs", folder)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // which ends it
		_ = cmd.Wait()    // or the test's context did
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("the simulator says: %s", stderr.Bytes())
		}
	})
	buffered := bufio.NewWriter(stdin)
	return &simulator{json.NewEncoder(buffered), buffered.Flush, bufio.NewScanner(stdout)}
}

// ask puts one batch of questions and reads its answers; a batch is small enough for nobody to wait on a full pipe for ever.
func (s *simulator) ask(t *testing.T, batch []pair) []trust.Effect {
	t.Helper()
	wrote := make(chan error, 1)
	go func() {
		for _, p := range batch {
			if err := s.in.Encode(map[string]any{
				"document": json.RawMessage(p.document), "principal": p.request.Principal, "action": p.request.Action, "context": p.context,
			}); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- s.flush()
	}()
	out := make([]trust.Effect, len(batch))
	for i, p := range batch {
		if !s.answers.Scan() {
			t.Fatalf("the simulator stopped after %d answers of %d: %v", i, len(batch), s.answers.Err())
		}
		var a struct {
			Answer trust.Effect
			Error  string
		}
		if err := json.Unmarshal(s.answers.Bytes(), &a); err != nil {
			t.Fatalf("reading the simulator's answer: %v", err)
		}
		if a.Error != "" {
			t.Fatalf("the simulator can't judge %s: %s", p.document, a.Error)
		}
		out[i] = a.Answer
	}
	if err := <-wrote; err != nil {
		t.Fatalf("asking the simulator: %v", err)
	}
	return out
}

func evaluate(t *testing.T, p pair) trust.Verdict {
	t.Helper()
	src := p.document
	if p.encoded {
		src = url.PathEscape(src)
	}
	d, err := trust.Parse([]byte(src))
	if err != nil {
		t.Fatalf("Parse %s: %v", p.document, err)
	}
	return d.Evaluate(p.request)
}

func TestEvaluateAnswersAsTheSimulatorDoes(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(*seed, 0))}
	s := start(t)
	counts, classified, wrong := map[trust.Effect]int{}, map[string]int{}, 0
	compared := tally{}
	for done := 0; done < *pairs; {
		batch := make([]pair, min(2000, *pairs-done))
		for i := range batch {
			batch[i] = g.pair()
		}
		for i, theirs := range s.ask(t, batch) {
			ours := evaluate(t, batch[i])
			counts[ours.Effect]++
			if ours.Effect != trust.Unknown {
				compared.add(batch[i])
			}
			if ours.Effect == trust.Unknown || ours.Effect == theirs {
				continue
			}
			if name := classify(t, batch[i], theirs); name != "" {
				classified[name]++
				continue
			}
			if wrong++; wrong <= 10 {
				request, _ := json.Marshal(batch[i].context)
				t.Errorf("%s, the simulator %s\n%s\n%s %s %s\n%q", ours.Effect, theirs, batch[i].document, batch[i].request.Principal,
					batch[i].request.Action, request, ours.Why)
			}
		}
		done += len(batch)
	}
	t.Logf("%d pairs from seed %d: %d allowed, %d denied, %d unknown and not compared; %d disagreements, and these classified: %v",
		*pairs, *seed, counts[trust.Allow], counts[trust.Deny], counts[trust.Unknown], wrong, classified)
	compared.check(t)
	for _, d := range differences {
		if *pairs >= defaultPairs && classified[d.name] == 0 {
			t.Errorf("the simulator no longer differs in %s: take it off the list", d.name)
		}
	}
	if float64(counts[trust.Unknown]) > maxUnknown*float64(*pairs) {
		t.Errorf("%d of %d are unknown, more than the share of %g", counts[trust.Unknown], *pairs, maxUnknown)
	}
	if counts[trust.Allow] < *pairs/10 || counts[trust.Deny] < *pairs/10 {
		t.Error("the pairs are too much alike: fewer than one in ten is allowed, or denied")
	}
}

func TestTheSameSeedMakesTheSamePairs(t *testing.T) {
	g, again := generator{rand.New(rand.NewPCG(*seed, 0))}, generator{rand.New(rand.NewPCG(*seed, 0))}
	for range 1000 {
		if g.pair().document != again.pair().document {
			t.Fatal("the same seed made another document")
		}
	}
}
