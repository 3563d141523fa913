package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/access"
)

func backups() access.Adoption {
	return access.Adoption{Provider: "hestio", Account: "111122223333", Grant: "backups", RoleName: "VendorBackups", RolePath: "/"}
}

const lineOfBackups = "      - name: backups\n        role: {name: VendorBackups, adopted: true}\n"

// Each file is written with a mark where the lines go in, and nothing else changes.
func TestAdoptedRolesAreWrittenBetweenWhatAPersonWrote(t *testing.T) {
	const hestio = "version: 1\nproviders:\n  - name: hestio # ours\n    account: \"111122223333\"\n    grants:\n"
	const blox = "  - name: blox\n    account: \"222233334444\"\n    grants:\n      - name: nightly\n        permissions: [ReadOnlyAccess]\n"
	const migration = "      # the big one\n      - name: migration # S3\n        permissions:\n          - ReadOnlyAccess # for now\n"
	newProvider := "  - name: hestio\n    account: \"111122223333\"\n    grants:\n" + lineOfBackups
	for name, c := range map[string]struct{ before, after string }{
		"behind the last grant":             {hestio + migration, hestio + migration + lineOfBackups},
		"before another provider":           {hestio + migration + "\n# the other one\n" + blox, hestio + migration + lineOfBackups + "\n# the other one\n" + blox},
		"behind a comment of the grant":     {hestio + migration + "          # more to come\n", hestio + migration + "          # more to come\n" + lineOfBackups},
		"a new provider":                    {"version: 1\nproviders:\n" + blox, "version: 1\nproviders:\n" + blox + newProvider},
		"before the file's other keys":      {hestio + migration + "mailFrom: a@example.com\n", hestio + migration + lineOfBackups + "mailFrom: a@example.com\n"},
		"a file without a last line feed":   {strings.TrimSuffix(hestio+migration, "\n"), hestio + migration + lineOfBackups},
		"grants at the column of their key": {hestio + "    - name: migration\n      permissions: [ReadOnlyAccess]\n", hestio + "    - name: migration\n      permissions: [ReadOnlyAccess]\n    - name: backups\n      role: {name: VendorBackups, adopted: true}\n"},
		"flow style within the grant":       {hestio + "      - {name: migration, permissions: [ReadOnlyAccess]}\n", hestio + "      - {name: migration, permissions: [ReadOnlyAccess]}\n" + lineOfBackups},
	} {
		got, err := access.Adopt("access.yaml", []byte(c.before), backups(), policies(), now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.after, string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAdoptingMakesAWholeFile(t *testing.T) {
	n := backups()
	n.RolePath, n.RotateEvery, n.PickUp = "/vendors/", "weekly", "account"
	got, err := access.Adopt("access.yaml", nil, n, policies(), now)
	if err != nil {
		t.Fatal(err)
	}
	a, err := access.Parse("access.yaml", got, policies(), now)
	if err != nil {
		t.Fatal(err)
	}
	g := a.Providers[0].Grants[0]
	if !g.Adopted || g.RoleName != "VendorBackups" || g.RolePath != "/vendors/" || g.RotateEvery != "weekly" || g.PickUp.Session || !g.PickUp.Account || len(g.Permissions) > 0 {
		t.Errorf("%+v", g)
	}
}

func TestWhatIsNotWritten(t *testing.T) {
	const flow = "version: 1\nproviders: [{name: hestio, account: \"111122223333\", grants: [{name: migration, permissions: [ReadOnlyAccess]}]}]\n"
	for name, c := range map[string]struct {
		before string
		byHand bool
	}{
		"flow style":      {flow, true},
		"carriage return": {strings.ReplaceAll(namedGrant, "\n", "\r\n"), true},
		"a broken file":   {"version: 1\nproviders: [", false},
		"a name twice":    {strings.Replace(namedGrant, "migration", "backups", 1), false},
		"a role twice":    {namedGrant + "        role: {name: VendorBackups}\n", false},
		"an anchor's copy": {"version: 1\nproviders:\n  - &h\n    name: hestio\n    account: \"111122223333\"\n    grants:\n      - name: migration\n" +
			"        permissions: [ReadOnlyAccess]\n  - *h\n", false},
	} {
		got, err := access.Adopt("access.yaml", []byte(c.before), backups(), policies(), now)
		if err == nil || got != nil {
			t.Errorf("%s: written:\n%s", name, got)
		}
		if errors.Is(err, access.ErrByHand) != c.byHand {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := backups()
	other.RoleName = "cdk-deploy"
	if _, err := access.Adopt("access.yaml", []byte(namedGrant), other, policies(), now); err == nil {
		t.Error("CDK's role is adopted")
	}
}
