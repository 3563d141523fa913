package provider_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/provider"
)

// A Store keeps what was saved, and only one of two writers of the same revision.
func TestStores(t *testing.T) {
	id, err := provider.ParseExternalID("hestio-" + random)
	if err != nil {
		t.Fatal(err)
	}
	file := provider.OpenFile(filepath.Join(t.TempDir(), "customers.json"))
	if err := file.Accept(provider.Customer{Name: "acme", Account: "444455556666", RoleARN: mine, Grant: "migration"}, id); err != nil {
		t.Fatal(err)
	}
	var memory provider.Memory
	if err := memory.Save(t.Context(), "acme", provider.State{ID: id}); err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]provider.Store{"a file": file, "memory": &memory} {
		t.Run(name, func(t *testing.T) {
			if _, err := store.Load(t.Context(), "nobody"); !errors.Is(err, provider.ErrUnknown) {
				t.Errorf("nobody: %v", err)
			}
			first, err := store.Load(t.Context(), "acme")
			if err != nil || !first.ID.Equal(id) {
				t.Fatalf("%v %v", first, err)
			}
			next := first
			next.Previous, next.VersionID, next.Confirmed = id, strings.Repeat("a", 32), strings.Repeat("b", 32)
			next.Created, next.Checked = time.Date(2026, 2, 4, 3, 0, 0, 0, time.UTC), time.Date(2026, 2, 4, 4, 0, 0, 0, time.UTC)
			next.SecretARN, next.ConfirmURL = secret, "https://a.execute-api.eu-central-1.amazonaws.com/v1/grants/migration/confirm"
			if err := store.Save(t.Context(), "acme", next); err != nil {
				t.Fatal(err)
			}
			got, err := store.Load(t.Context(), "acme")
			if next.Revision++; err != nil || got != next {
				t.Errorf("%v\ngot  %+v\nwant %+v", err, got, next)
			}
			if err := store.Save(t.Context(), "acme", first); !errors.Is(err, provider.ErrChanged) {
				t.Errorf("an older revision: %v", err)
			}
			if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, random) {
				t.Error("a state prints an external ID")
			}
		})
	}
}

func TestAFileThatIsWrongTellsNoValue(t *testing.T) {
	for _, src := range []string{
		`{"customers":[{"name":"acme","externalId":"` + random + ` with a space"}]}`, `{"customers":[{"name":"acme","externalId":12345678901234}]}`,
		`{"customers":[{"name":"acme","secret":"` + random + `"}]}`, `{"customers":`, ``,
	} {
		path := filepath.Join(t.TempDir(), "customers.json")
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := provider.OpenFile(path).Load(context.Background(), "acme")
		if err == nil || strings.Contains(err.Error(), random) || strings.Contains(err.Error(), "12345678901234") {
			t.Errorf("%s: %v", src, err)
		}
	}
}
