package sealed_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/zalando/go-keyring"

	"github.com/countersign/countersign/internal/sealed"
)

const secret = "ASIAEXAMPLE and its key"

func files(t *testing.T, dir string) (found []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatWasPutIsFoundWithTheSamePassphraseOnly(t *testing.T) {
	dir := t.TempDir()
	box := sealed.WithPassphrase(dir, "correct horse")
	if _, ok := box.Get("acme"); ok {
		t.Error("found where nothing is")
	}
	for _, content := range []string{"before", secret} {
		if err := box.Put("acme", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := sealed.WithPassphrase(dir, "correct horse").Get("acme"); !ok || string(got) != secret {
		t.Errorf("%q, %v", got, ok)
	}
	if _, ok := sealed.WithPassphrase(dir, "another").Get("acme"); ok {
		t.Error("another passphrase opens it")
	}
	if err := box.Drop("acme"); err != nil || len(files(t, dir)) != 0 {
		t.Errorf("%v, left %q", err, files(t, dir))
	}
	if err := box.Drop("acme"); err != nil {
		t.Errorf("dropped twice: %v", err)
	}
}

// A file shows nothing, is its owner's, and a byte that changed or another name makes it nothing.
func TestAFileIsSealed(t *testing.T) {
	dir := t.TempDir()
	box := sealed.WithPassphrase(dir, "correct horse")
	if err := box.Put("acme", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	path := files(t, dir)[0]
	src, err := os.ReadFile(path)
	if err != nil || bytes.Contains(src, []byte("ASIA")) || bytes.Contains([]byte(path), []byte("acme")) {
		t.Errorf("%v: %s %q", err, path, src)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, at := range []int{0, 20, len(src) - 1} {
		bad := bytes.Clone(src)
		bad[at] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := box.Get("acme"); ok {
			t.Errorf("opens with byte %d changed", at)
		}
	}
	if err := box.Put("umbrella", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	for _, other := range files(t, dir) {
		if other != path {
			if err := os.Rename(other, path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, ok := box.Get("acme"); ok {
		t.Error("another customer's file opens under this one's name")
	}
}

func TestTheKeyOfTheKeyringIsMadeOnce(t *testing.T) {
	keyring.MockInit()
	dir := t.TempDir()
	for range 2 {
		box, err := sealed.WithKeyring(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := box.Get("acme"); ok && string(got) != secret {
			t.Errorf("%q", got)
		}
		if err := box.Put("acme", []byte(secret)); err != nil {
			t.Fatal(err)
		}
	}
	box, err := sealed.WithKeyring(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := box.Get("acme"); !ok || string(got) != secret {
		t.Errorf("%q, %v", got, ok)
	}
	keyring.MockInitWithError(os.ErrPermission)
	if _, err := sealed.WithKeyring(dir); err == nil {
		t.Error("a keyring that can't be read gives a key")
	}
}
