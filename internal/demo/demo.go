// Package demo plays a year of a grant's life: Countersign's own functions on the embedded AWS, in virtual time. It asks at
// every turn, and in between at every AWS call, who gets in and who doesn't, and says whether that is as promised.
//
// What it tells is what was evaluated: each ✓ and ✗ is a verdict of the role's trust policy or of a session's call, each
// number of seconds was measured on the virtual clock. It trusts package sim to be AWS. It prints no external ID.
package demo

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

//go:embed access.yaml
var accessYAML []byte

// Seed is the year that is told unless somebody asks for another one.
const Seed = 1

// Latency is the virtual time that every AWS call takes.
const Latency = 80 * time.Millisecond

// Report is what became of the year.
type Report struct {
	Seed    uint64  `json:"seed"`
	Scenes  []Scene `json:"scenes"`
	Calls   int     `json:"calls"` // of AWS, at each of which the watch was kept
	Checks  int     `json:"checks"`
	Failed  int     `json:"failed"`
	Seconds float64 `json:"seconds"` // by a real clock
}

// Scene is one turn of the story.
type Scene struct {
	Name   string  `json:"name"`
	Lines  []Line  `json:"lines"`
	Checks []Check `json:"checks"`
}

// Line is what a scene says, with the virtual time of it.
type Line struct {
	At   time.Time `json:"at"`
	Text Text      `json:"text"`
}

// Check is one promise that was held against what happened.
type Check struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Got  string `json:"got,omitempty"` // the verdict's explanation, or the figure
}

// Year is the story with everything in it. Make it by New and play it once.
type Year struct {
	World *simtest.World

	entry  access.Entry
	plan   grant.Plan
	log    logbook
	report Report
	scene  *Scene

	ids       []string       // every external ID that ever was, the current one last
	holds     string         // the one that Hestio uses
	confirmed string         // the version that it confirmed last
	sessions  []*sim.Session // those that must be dead while the grant is closed, and stay dead
	revokeID  string         // of the revocation that stands
	watch
}

// New makes a year that hasn't begun.
func New(seed uint64) (*Year, error) {
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	file, err := access.Parse("access.yaml", accessYAML, nil, start)
	if err != nil {
		return nil, fmt.Errorf("reading the demo's access.yaml: %w", err)
	}
	y := &Year{entry: file.Entries()[0], report: Report{Seed: seed}}
	y.plan = y.entry.Plan(access.Site{
		Partition: "aws", Account: simtest.Customer, Region: "eu-central-1",
		SecretARN: "arn:aws:secretsmanager:eu-central-1:" + simtest.Customer + ":secret:countersign/migration-Ab12Cd",
	})
	y.World = simtest.New(simtest.Config{
		AWS: sim.Config{Seed: seed, Start: start, Latency: Latency, Schedule: y.see},
		Log: slog.New(slog.NewJSONHandler(&y.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Period: time.Hour, Workers: true,
	})
	return y, nil
}

// scenes are the year, in order.
var scenes = []struct {
	name string
	play func(*Year, context.Context) error
}{
	{"BORN", (*Year).born},
	{"GRANTED", (*Year).granted},
	{"ROTATED", (*Year).rotated},
	{"ASLEEP", (*Year).asleep},
	{"OUTSIDERS", (*Year).outsiders},
	{"WAITS", (*Year).waits},
	{"EDITED", (*Year).edited},
	{"TOLD", (*Year).woken},
	{"CONFIRMED", (*Year).confirmedEarly},
	{"DEPLOYED", (*Year).redeployed},
	{"CRASHED", (*Year).crashed},
	{"DEADLINE", (*Year).deadline},
	{"LEAKED", (*Year).leaked},
	{"REVOKED", (*Year).revoked},
	{"ROTATED", (*Year).rotatedWhileRevoked},
	{"FORGED", (*Year).forged},
	{"RESTORED", (*Year).restored},
	{"EXPIRED", (*Year).expired},
	{"SEARCHED", (*Year).searched},
}

// Play plays the year. A scene that can't be played to its end is a failed check, and the next one is played.
func (y *Year) Play(ctx context.Context) Report { return y.playTo(ctx, scenes[len(scenes)-1].name) }

// playTo plays the year up to a scene.
func (y *Year) playTo(ctx context.Context, last string) Report {
	start := time.Now()
	for _, s := range scenes {
		y.scene = &Scene{Name: s.name}
		y.reset()
		if err := s.play(y, ctx); err != nil {
			y.check("the scene is played to its end", false, err.Error())
		}
		y.relieve()
		if len(y.scene.Lines) == 0 {
			y.say("not played to its end")
		}
		y.report.Scenes = append(y.report.Scenes, *y.scene)
		if s.name == last {
			break
		}
	}
	for _, s := range y.report.Scenes {
		for _, c := range s.Checks {
			y.report.Checks++
			if !c.OK {
				y.report.Failed++
			}
		}
	}
	y.report.Seconds = time.Since(start).Seconds()
	return y.report
}

// say adds a line to the scene.
func (y *Year) say(format string, args ...any) {
	y.scene.Lines = append(y.scene.Lines, Line{y.World.Now(), Text(fmt.Sprintf(format, args...))})
}

// check holds a promise against what happened.
func (y *Year) check(what string, ok bool, got string) {
	y.scene.Checks = append(y.scene.Checks, Check{what, ok, got})
}
