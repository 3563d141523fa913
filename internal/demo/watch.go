package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/trust"
)

// mood is what the watch expects of Hestio.
type mood int

const (
	unwatched mood = iota
	open           // gets in with the ID that it holds
	changing       // may or may not: an ID is being cut off, a deploy is under way
	closed         // nobody gets in, with whatever ID or session
)

// watch asks at every AWS call who gets in.
type watch struct {
	mood     mood
	unlocked bool // somebody has edited the trust policy by hand: what it says to a caller without an ID isn't ours

	seen     int      // calls in this scene
	wrong    []string // what was found
	promoted int      // rotations that moved the label
	offline  bool     // every function of ours is switched off
	refused  int      // calls that they tried meanwhile
	crashing bool     // the next rotation dies right behind its first write of the trust policy
	crashes  int
	lockouts []time.Time // calls at which Hestio, with the ID that it holds, didn't get in; only while changing
}

// ours are Countersign's functions.
var ours = map[string]bool{"rotate": true, "reconcile": true, "revoke": true, "operate": true, "confirm": true, "notify": true}

// see is asked before each AWS call of anybody.
func (y *Year) see(c sim.Call) sim.Outcome {
	y.look()
	switch {
	case y.offline && ours[c.Actor]:
		y.refused++
		return sim.Outcome{Fault: sim.Fail}
	case y.crashing && c.Actor == "rotate" && c.Action == "UpdateAssumeRolePolicy":
		y.crashing = false
		y.crashes++
		return sim.Outcome{Fault: sim.CrashAfter}
	case c.Actor == "rotate" && c.Action == "UpdateSecretVersionStage":
		y.promoted++
	}
	return sim.Outcome{}
}

// look asks who gets in now.
func (y *Year) look() {
	if y.mood == unwatched {
		return
	}
	y.seen++
	if y.gets(stranger, y.current()) {
		y.blame("a stranger gets in with %s", idName(y.current()))
	}
	if !y.unlocked && y.gets(hestio, "") {
		y.blame("Hestio gets in without an ID")
	}
	switch y.mood {
	case open:
		if !y.gets(hestio, y.holds) {
			y.blame("Hestio does not get in with %s", idName(y.holds))
		}
	case changing:
		if !y.gets(hestio, y.holds) {
			y.lockouts = append(y.lockouts, y.World.Now())
		}
	case closed:
		for _, id := range y.ids {
			if y.gets(hestio, id) {
				y.blame("Hestio gets in with %s", idName(id))
			}
		}
	}
	for _, s := range y.sessions {
		if s.Allowed("s3:ListBucket", bucket, 0) {
			y.blame("%s's session of %s lives", s.Name, s.Issued.Format(time.RFC3339))
		}
	}
}

func (y *Year) gets(who, id string) bool {
	return y.World.STS.Verdict(who, y.plan.RoleARN, id, "session", sim.Assume{}).Effect == trust.Allow
}

func (y *Year) blame(format string, args ...any) {
	if len(y.wrong) < 3 {
		y.wrong = append(y.wrong, y.World.Now().Format(time.RFC3339)+": "+fmt.Sprintf(format, args...))
	}
}

// reset begins the watch of a scene.
func (y *Year) reset() { y.seen, y.wrong, y.refused, y.lockouts = 0, nil, 0, nil }

// relieve ends the watch of a scene: one check for all its calls.
func (y *Year) relieve() {
	if y.seen == 0 {
		return
	}
	y.report.Calls += y.seen
	y.check(fmt.Sprintf("as it should be at each of %d AWS calls", y.seen), len(y.wrong) == 0, strings.Join(y.wrong, "; "))
}
