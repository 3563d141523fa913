package simtest_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

// A story is a file of comments and commands; what the commands say stands beneath each. docs/stories.md lists them.
// `go test ./internal/simtest -run Stories -rewrite` writes the answers anew.
const stories = "testdata/stories"

// story is one world with one grant, and the names by which it is told.
type story struct {
	*simtest.World
	t    *testing.T // of the command that runs
	ctx  context.Context
	out  strings.Builder // what the command says
	log  bytes.Buffer    // of the functions, and all that was said: no external ID may stand there
	plan grant.Plan      // as deployed last

	names
	sessions map[string]*sim.Session
	troubles []*trouble
	lag      time.Duration // of IAM's data plane
	stale    bool          // IAM's reads show what its data plane shows
	kept     []byte        // a trust policy that somebody kept
	heard    int           // events told already
	asked    int           // who enters
	ran      int           // invocations told already
}

func newStory() *story {
	s := &story{ctx: context.Background(), plan: simtest.Migration(), sessions: map[string]*sim.Session{}}
	s.World = simtest.New(simtest.Config{
		Period: time.Hour, Workers: true, Log: slog.New(slog.NewJSONHandler(&s.log, nil)),
		AWS: sim.Config{Replicas: 1, Lag: func(int) time.Duration { return s.lag }, Schedule: s.decide},
	})
	s.plan.KeyARN = "arn:aws:kms:eu-central-1:" + simtest.Customer + ":key/countersign"
	s.Rotator.Secrets = births{s.Rotator.Secrets, s}
	s.start = s.Now()
	return s
}

// run runs one command, or what a block's further lines say.
func (s *story) run(d *datadriven.TestData) {
	verb, ok := verbs[d.Cmd]
	if session := s.sessions[d.Cmd]; session != nil {
		verb, ok = func(s *story, d *datadriven.TestData) { s.does(session, d) }, true
	}
	if !ok {
		d.Fatalf(s.t, "unknown command %s", d.Cmd)
	}
	verb(s, d)
	if d.Cmd != "when" {
		s.runLines(d, d.Input)
	}
}

func (s *story) runLines(d *datadriven.TestData, lines string) {
	for line := range strings.Lines(lines) {
		next := &datadriven.TestData{Pos: d.Pos}
		var err error
		if next.Cmd, next.CmdArgs, err = datadriven.ParseLine(line); err != nil {
			d.Fatalf(s.t, "%v", err)
		}
		s.run(next)
	}
}

// say adds a line to what the command says.
func (s *story) say(format string, args ...any) {
	s.out.WriteString(s.told(fmt.Sprintf(format, args...)) + "\n")
}

func TestStories(t *testing.T) {
	for _, path := range storyFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := newStory()
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				s.t = t
				s.out.Reset()
				s.run(d)
				s.log.WriteString(s.out.String())
				return s.out.String()
			})
			s.t = t
			s.ends()
		})
	}
}

// ends fails a story in which something was announced to go wrong that didn't, and one that leaked an external ID.
func (s *story) ends() {
	for _, x := range s.troubles {
		if x.hits == 0 {
			s.t.Errorf("%s never happened", x.text)
		}
	}
	said := s.log.String()
	for _, e := range s.Bus(simtest.BusName).Archive() {
		said += string(e.Detail)
		s.fits(e)
	}
	for _, letter := range s.Letters() {
		said += letter.Subject + letter.Text + letter.HTML
	}
	if len(s.ids) == 0 || s.asked < 2 {
		s.t.Error("a story in which nobody asks who enters")
	}
	for i, id := range s.ids {
		if strings.Contains(said, id.value[len(id.value)-20:]) {
			s.t.Errorf("id%d stands in a log, an event or a mail", i+1)
		}
	}
}

func storyFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(stories, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories in %s: %v", stories, err)
	}
	return paths
}

// Each story begins with its title and two to five lines that say what happened, why it matters, and what is promised;
// docs/stories.md lists it by that title.
func TestStoriesAreListed(t *testing.T) {
	index, err := os.ReadFile("../../docs/stories.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`(?m)^- \[.*\]\(.*/stories/(.*)\)`).FindAllSubmatch(index, -1)
	paths := storyFiles(t)
	if len(listed) != len(paths) {
		t.Errorf("docs/stories.md lists %d stories of %d", len(listed), len(paths))
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(src), "\n\n")
		lines := strings.Split(head, "\n")
		title := strings.TrimPrefix(lines[0], "# ")
		if line := fmt.Sprintf("- [%s](../internal/simtest/%s): ", title, path); !bytes.Contains(index, []byte("\n"+line)) {
			t.Errorf("docs/stories.md lacks %q", line)
		}
		if n := len(lines) - 2; n < 2 || n > 5 || lines[1] != "#" || strings.Count("\n"+head, "\n#") != len(lines) {
			t.Errorf("%s: begin with a title, an empty comment and 2 to 5 lines of what happened and what is promised", path)
		}
	}
}
