package functions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

func prefixed(prefix string) func(*sim.Template) {
	return func(t *sim.Template) { t.Plan.Prefix = prefix }
}

// A prefix that changes in access.yaml is that of new external IDs. Those that are in stay in, and rotations go on.
func TestAnotherPrefixIsForNewIDs(t *testing.T) {
	for name, prefix := range map[string]string{"another": "hestioacme", "none": ""} {
		t.Run(name, func(t *testing.T) {
			w := stacked(t)
			w.must(w.Stacks.Create(w.ctx, stackName, w.template()))
			_, first := w.labelled(grant.StageCurrent)
			w.rotated(token(1))
			_, old := w.labelled(grant.StageCurrent)
			w.lets(first, old)
			w.must(w.Stacks.Update(w.ctx, stackName, w.template(prefixed(prefix), renamed("other")))) // puts the birth document back
			w.lets(first, old)
			w.Sleep(w.ctx, 25*time.Hour)
			w.looks()
			w.rotated(token(2))
			_, now := w.labelled(grant.StageCurrent)
			if want := strings.TrimPrefix(prefix+"-", "-"); len(now) != len(want)+32 || !strings.HasPrefix(now, want) {
				t.Error("the new external ID has not the new prefix")
			}
			w.lets(old, now)
		})
	}
}
