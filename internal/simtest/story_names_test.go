package simtest_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/functions/rotate"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// names are what a story says instead of what differs from run to run, or must not be said: id2 for the second external ID
// that was born, scheduled-2 for the version that holds it, rv1 for the first revocation, day 3 04:10 for a time.
type names struct {
	start       time.Time
	ids         []born
	revocations []string
}

type born struct{ value, version string }

// births watches external IDs being born.
type births struct {
	rotate.Secrets
	s *story
}

// PutVersion notes what was stored, also where the answer is lost or the caller dies.
func (b births) PutVersion(ctx context.Context, arn, versionID string, value []byte, stages ...string) error {
	defer b.s.quietly(func() {
		if v, err := b.s.Secrets.Version(b.s.ctx, arn, versionID); err == nil {
			b.s.sees(versionID, idIn(v.Value))
		}
	})
	return b.Secrets.PutVersion(ctx, arn, versionID, value, stages...)
}

var idForm = regexp.MustCompile(`"externalId":"([^"]+)"`)

func idIn(value []byte) string {
	if m := idForm.FindSubmatch(value); m != nil {
		return string(m[1])
	}
	return ""
}

func (n *names) sees(versionID, id string) {
	if id != "" && !slices.Contains(n.ids, born{id, versionID}) {
		n.ids = append(n.ids, born{id, versionID})
	}
}

// value is the external ID of a name, "" for none.
func (n *names) value(name string) (string, bool) {
	for i, id := range n.ids {
		if name == fmt.Sprintf("id%d", i+1) {
			return id.value, true
		}
	}
	return map[string]string{"none": "", "wrong": "a-wrong-id"}[name], name == "none" || name == "wrong"
}

// day is a time in the story, to the minute: seconds are the functions' to choose.
func (n *names) day(at time.Time) string {
	since := at.Sub(n.start)
	if since < 0 {
		return "before day 1"
	}
	return fmt.Sprintf("day %d %s", 1+int(since/(24*time.Hour)), at.UTC().Format("15:04"))
}

// version names a version by its purpose and its external ID's number.
func (n *names) version(versionID string) string {
	purpose := string(grant.PurposeOf(versionID))
	switch head, _, _ := strings.Cut(versionID, "-"); {
	case head == "adopted":
		purpose = head
	case purpose == "":
		purpose = grant.CauseOf(versionID)
	}
	if i := slices.IndexFunc(n.ids, func(id born) bool { return id.version == versionID }); i >= 0 {
		return fmt.Sprintf("%s-%d", purpose, i+1)
	}
	return "a new " + purpose + " version"
}

// revocation names a revocation.
func (n *names) revocation(id string) string {
	if !slices.Contains(n.revocations, id) {
		n.revocations = append(n.revocations, id)
	}
	return fmt.Sprintf("rv%d", 1+slices.Index(n.revocations, id))
}

var (
	revokeIDs    = regexp.MustCompile(`rv-\d{8}T\d{6}Z-[0-9a-f]{8}`)
	restoreIDs   = regexp.MustCompile(`restore-\d{8}T\d{6}Z-[0-9a-f]{8}-[0-9a-f]{8}`)
	dates        = regexp.MustCompile(`\b\d{4}-\d\d-\d\d\b`)
	instants     = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	fingerprints = regexp.MustCompile(`#[0-9a-f]{6}\b`)
)

// told puts the names into a text.
func (n *names) told(text string) string {
	for _, id := range n.ids {
		text = strings.ReplaceAll(text, id.version, n.version(id.version))
	}
	text = restoreIDs.ReplaceAllStringFunc(text, n.version)
	text = revokeIDs.ReplaceAllStringFunc(text, n.revocation)
	text = fingerprints.ReplaceAllStringFunc(text, func(f string) string {
		for i, id := range n.ids {
			if trust.Fingerprint(id.value) == f {
				return fmt.Sprintf("id%d", i+1)
			}
		}
		return "another ID"
	})
	text = instants.ReplaceAllStringFunc(text, n.dayOf(time.RFC3339))
	return dates.ReplaceAllStringFunc(text, n.dayOf(time.DateOnly))
}

func (n *names) dayOf(layout string) func(string) string {
	return func(text string) string {
		at, err := time.Parse(layout, text)
		if err != nil {
			return text
		}
		return n.day(at)
	}
}
