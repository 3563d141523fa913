package functions_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// issued is a grant whose external IDs are the provider's.
func issued(p *grant.Plan) { p.IssuedBy, p.RotateEvery = grant.IssuedByProvider, "never" }

// handOver hands the provider's external ID over as countersign rotate --to does: started first, stored next.
func (w *world) handOver(n int, id string) string {
	w.t.Helper()
	token := fmt.Sprintf("rotate-%032d", n)
	w.start(token)
	value := fmt.Sprintf(`{"grant":%q,"roleArn":%q,"externalId":%q}`, w.plan.Grant, w.plan.RoleARN, id)
	w.must(w.Secrets.PutVersion(w.ctx, w.plan.SecretARN, token, []byte(value), grant.StagePending))
	return token
}

func TestAProvidersOwnExternalIDs(t *testing.T) {
	w := opened(t, issued, auto)
	w.Sleep(w.ctx, 48*time.Hour)
	w.handOver(1, "vendor/2026")
	w.must(w.RunRotations(w.ctx))
	if !w.enters(provider, "vendor/2026") {
		t.Error("the provider doesn't get in")
	}
	if e, _ := last[*events.ExternalIDRotated](w); e.Extended {
		t.Error("the ID before, which nobody has, is kept")
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()

	w.handOver(2, "vendor/2027")
	w.must(w.RunRotations(w.ctx))
	for _, day := range []time.Duration{0, 2, 30} {
		w.Advance(day * 24 * time.Hour)
		w.looks()
		if !w.enters(provider, "vendor/2026") || !w.enters(provider, "vendor/2027") {
			t.Errorf("after %d days", day)
		}
	}
	_, err := w.ConfirmByHand(w.ctx, "migration", "rotate-00000000000000000000000000000002", "0s")
	w.must(err)
	w.looks()
	if w.enters(provider, "vendor/2026") || !w.enters(provider, "vendor/2027") {
		t.Error("confirmed, and the ID before is in")
	}

	// A rotation that nobody hands an ID to is refused, and stores none.
	_, err = w.Rotate(w.ctx, "migration", false)
	if status, _ := w.refused(err); status != http.StatusConflict {
		t.Errorf("asked for: %d", status)
	}
	w.start("rotate-00000000000000000000000000000003")
	w.fails(w.RunRotations(w.ctx), grant.ErrNotIssued)
	if version, _ := w.labelled(grant.StagePending); version != "" && version == "rotate-00000000000000000000000000000003" {
		t.Error("it is still pending")
	}

	// It is revoked and restored like any other: behind that an operator hands the provider's ID over again.
	w.revoked()
	w.looks()
	if w.enters(provider, "vendor/2027") {
		t.Error("revoked, and it enters")
	}
	_, err = w.Restore(w.ctx, "migration", w.tags()[grant.TagRevoked], "")
	w.must(err)
	w.must(w.RunRotations(w.ctx))
	w.looks()
	if w.enters(provider, "vendor/2027") {
		t.Error("restored, and an ID from before enters")
	}
	w.Sleep(w.ctx, 48*time.Hour)
	w.looks()
	w.handOver(4, "vendor/2027")
	w.must(w.RunRotations(w.ctx))
	if !w.enters(provider, "vendor/2027") {
		t.Error("handed over again, and it doesn't enter")
	}
}

func TestWhatIsNoIssuedID(t *testing.T) {
	for _, id := range []string{"", "x", "with space", "semi;colon", "ünicode"} {
		w := opened(t, issued)
		w.Sleep(w.ctx, 48*time.Hour)
		_, before := w.labelled(grant.StageCurrent)
		w.handOver(1, id)
		if err := w.RunRotations(w.ctx); err == nil {
			t.Errorf("%q was let in", id)
		}
		if _, now := w.labelled(grant.StageCurrent); now != before {
			t.Errorf("%q is current", id)
		}
	}
	w := opened(t)
	w.Sleep(w.ctx, 48*time.Hour)
	w.handOver(1, "vendor/2026")
	w.fails(w.RunRotations(w.ctx), grant.ErrForeignValue)
}
