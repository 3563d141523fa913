package simtest

import (
	"errors"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// workers is how many a provider's fleet has.
const workers = 40

// fleet is a provider's backend as docs/for-saas.md has it: a database with the ID, one process that follows rotations in
// session and confirms, and workers who enter with what they last read of the database. Now and then the database comes back
// from a backup.
//
// A worker that is refused reads the database again and tries once more. Then it must get in, where I1 is asked.
func (a *acting) fleet() error {
	_, row, err := a.Read(a.ctx, a.plan.Grant, grant.StageCurrent)
	if err != nil || row == "" {
		return nil
	}
	backup, stored := row, time.Time{}
	cached := make([]string, workers)
	for i := range cached {
		cached[i] = row
	}
	for a.rest(3*time.Minute, 20*time.Minute) {
		d := a.draw()
		if d.chance(0.05) {
			row = backup // from last night
		}
		if fresh, ok := a.follow(row, d); ok {
			row, stored = fresh, a.Now()
		}
		if d.nth(1).chance(0.1) {
			backup = row
		}
		for i := range 3 {
			worker := &cached[d.nth(10+i).below(workers)]
			if _, err := a.Enter(a.ctx, Provider, a.plan.Grant, *worker); errors.Is(err, grant.ErrDenied) {
				*worker = row
				_, err = a.Enter(a.ctx, Provider, a.plan.Grant, *worker)
				if errors.Is(err, grant.ErrDenied) {
					a.watch.lockedOut(row)
				}
			}
		}
	}
	_ = stored
	return nil
}

// follow reads the secret in a session with the ID that the provider has, enters with the new one, and confirms. With an ID
// that gets in nowhere it reads as another principal of its own account.
func (a *acting) follow(row string, d dice) (fresh string, ok bool) {
	if _, err := a.Enter(a.ctx, Provider, a.plan.Grant, row); err != nil && d.nth(2).chance(0.5) {
		return "", false // tries later
	}
	version, id, err := a.Read(a.ctx, a.plan.Grant, grant.StageCurrent)
	if err != nil || id == "" || id == row && d.nth(3).chance(0.7) {
		return "", false
	}
	s, err := a.EnterTo(a.ctx, a.plan.Grant, version, id)
	if err != nil {
		return "", false
	}
	if d.nth(4).chance(0.1) {
		return id, true // stored, and died before it confirmed
	}
	retire := pick(d.nth(5), []string{"", "0s", "30m", "48h"})
	_ = a.insist(3, func() error {
		return a.patient(a.Confirm(a.ctx, s, a.plan.Grant, version, retire))
	})
	if d.nth(6).chance(0.1) {
		_ = a.patient(a.AskForRotation(a.ctx, s, a.plan.Grant))
	}
	return id, true
}

// sleeper works for the provider with the first ID that it ever got, and has never heard of rotations. An old session of its
// asks to confirm, which shows nothing.
func (a *acting) sleeper() error {
	_, id, err := a.Read(a.ctx, a.plan.Grant, grant.StageCurrent)
	if err != nil || id == "" {
		return nil
	}
	var session *sim.Session
	for a.rest(10*time.Minute, 50*time.Minute) {
		s, err := a.Enter(a.ctx, Provider, a.plan.Grant, id)
		switch {
		case err == nil:
			session = s
		case errors.Is(err, grant.ErrDenied):
			a.watch.lockedOut(id)
		}
		if d := a.draw(); session != nil && d.chance(0.2) {
			version, _ := a.Secrets.Labelled(a.plan.SecretARN, grant.StageCurrent)
			if _, err := a.Confirm(a.ctx, session, a.plan.Grant, version, "0s"); err == nil {
				_ = a.watch.violated("I12", "a session that isn't named after version %s confirmed it", version)
			}
		}
	}
	return nil
}

// lockedOut is told of a provider that IAM refused with the ID that is to stay until somebody confirms.
func (w *watch) lockedOut(id string) {
	if id != w.owed || w.hand || w.forging() || w.expired() || w.closed() || w.Now().Before(w.lapses[1]) || w.views[0] == nil {
		return
	}
	w.view()
	if !w.views[0].lets(id, w.Now()) {
		_ = w.violated("I1", "a provider that never confirmed is locked out")
	}
}

// confirmByHand says as an operator that the provider uses the current ID.
func (a *acting) confirmByHand() {
	status, err := a.Status(a.ctx, a.plan.Grant)
	if err != nil || status.VersionID == "" {
		return
	}
	d := a.draw()
	_ = a.insist(2, func() error {
		return a.patient(a.ConfirmByHand(a.ctx, a.plan.Grant, status.VersionID, pick(d, []string{"", "0s", "1h"})))
	})
}
