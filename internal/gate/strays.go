package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

// Versions reads a grant's secret to its beginnings.
type Versions interface {
	// History lists versions, those without a label too.
	History(ctx context.Context, secretARN string) ([]grant.VersionInfo, error)
	// Version reads by version id; grant.ErrNotFound where the version is absent or empty.
	Version(ctx context.Context, secretARN, versionID string) (grant.Version, error)
}

// Stray is an external ID that a rotation of this grant made and that a trust policy accepts although no label says so: the
// rotation was given up, somebody moved labels, or an older document was put back.
type Stray struct {
	ID        grant.ID
	VersionID string
	Created   time.Time
}

// Strays finds the strays of a document. known are the IDs that labels speak of. Only where the document accepts others in
// our own form is the secret asked: somebody else's ID may look like ours. The ID with which a role was adopted has whatever
// form, and is looked for in the versions of that purpose alone.
func Strays(ctx context.Context, secrets Versions, p grant.Plan, doc *trust.Document, known ...grant.ID) ([]Stray, error) {
	var unknown []grant.ID
	ours := false // one of them has our own form
	for _, a := range doc.Accepted() {
		id, err := grant.ParseMadeID(a.ID)
		own := err == nil
		if !own && p.Adopted {
			id, err = grant.ParseID(a.ID)
		}
		if err == nil && !slices.Contains(known, id) {
			unknown, ours = append(unknown, id), ours || own
		}
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	history, err := secrets.History(ctx, p.SecretARN)
	if err != nil {
		return nil, fmt.Errorf("listing versions of the secret of %s: %w", p.Grant, err)
	}
	var strays []Stray
	for _, info := range history {
		if len(strays) == len(unknown) {
			break
		}
		if !ours && !grant.IsAdopted(info.ID) {
			continue
		}
		v, err := secrets.Version(ctx, p.SecretARN, info.ID)
		switch {
		case errors.Is(err, grant.ErrNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("reading version %s: %w", info.ID, err)
		}
		if id, err := p.DecodeVersion(v); err == nil && slices.Contains(unknown, id) {
			strays = append(strays, Stray{id, v.ID, v.Created})
		}
	}
	return strays, nil
}
