//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/api"
)

// restored is the grant that is revoked and let in again.
const restored = "platform"

func (s *story) restore(t *testing.T) {
	old := s.current(t, restored).ExternalID
	before := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN(restored), old, "before"))
	s.countersign(t, 0, "revoke", restored, "--reason", "looks wrong", "--yes")
	eventually(t, 10*time.Second, "the role is closed", func() bool { return lab.Denied(s.enters(t, s.engineer, restored, old)) })

	s.countersign(t, 3, "restore", restored, "--reason", "wrong one", "--yes", "--revoke-id", "rv-20260101T000000Z-00000000")
	wantDenied(t, "the provider after a restore of another revocation", s.enters(t, s.engineer, restored, old))

	var answer struct {
		api.RestoreAnswer
		Open bool      `json:"open"`
		From time.Time `json:"from"`
	}
	decode(t, s.countersign(t, 0, "restore", restored, "--reason", "it was fine", "--yes", "--json").Stdout, &answer)
	now := s.current(t, restored)
	if !answer.Open || now.ID != answer.VersionID || now.ExternalID == old {
		t.Fatalf("answered %+v; version %s is current", answer, now.ID)
	}
	wantAllowed(t, "with the new ID", s.enters(t, s.engineer, restored, now.ExternalID))
	wantDenied(t, "with the old ID", s.enters(t, s.engineer, restored, old))
	wantDenied(t, "the session from before", listBuckets(t.Context(), before))
	time.Sleep(time.Until(answer.From) + 2*time.Second) // sessions are dated to the second
	after := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN(restored), now.ExternalID, "after"))
	wantAllowed(t, "a session from after", listBuckets(t.Context(), after))
	wantDenied(t, "the session from before, later", listBuckets(t.Context(), before))
}
