// Package sealed keeps sessions' credentials on this machine for as long as they last: in files sealed with a key that lies in the
// system's keyring, or that comes from a passphrase.
//
// It decides how a file is sealed, and never writes one that isn't. It trusts the keyring. What can't be opened is as if it weren't there.
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/zalando/go-keyring"
)

// rounds are those of PBKDF2 with HMAC-SHA-256, as OWASP's cheat sheet on storage advises.
const rounds = 600_000

const (
	saltSize = 16
	keySize  = 32

	service = "countersign" // in the keyring
	account = "sessions"
)

// Box is a folder of sealed files.
type Box struct {
	dir string
	key func(salt []byte) ([]byte, error) // for a file's salt
}

// WithPassphrase is a Box whose key comes from a passphrase.
func WithPassphrase(dir, passphrase string) *Box {
	known := map[string][]byte{}
	return &Box{dir, func(salt []byte) ([]byte, error) {
		if key, ok := known[string(salt)]; ok {
			return key, nil
		}
		key, err := pbkdf2.Key(sha256.New, passphrase, salt, rounds, keySize)
		known[string(salt)] = key
		return key, err
	}}
}

// WithKeyring is a Box whose key lies in the system's keyring, where it is put if there is none.
func WithKeyring(dir string) (*Box, error) {
	value, err := keyring.Get(service, account)
	if errors.Is(err, keyring.ErrNotFound) {
		fresh := make([]byte, keySize)
		_, _ = rand.Read(fresh) // never fails
		value = base64.StdEncoding.EncodeToString(fresh)
		err = keyring.Set(service, account, value)
	}
	if err != nil {
		return nil, fmt.Errorf("the system's keyring: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("the system's keyring holds another key of %s's than ours", service)
	}
	return &Box{dir, func([]byte) ([]byte, error) { return key, nil }}, nil
}

func (b *Box) path(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(b.dir, hex.EncodeToString(sum[:16]))
}

// Get opens what was put under a name; false where there is nothing that this key opens.
func (b *Box) Get(name string) ([]byte, bool) {
	src, err := os.ReadFile(b.path(name))
	if err != nil || len(src) < saltSize {
		return nil, false
	}
	gcm, err := b.cipher(src[:saltSize])
	if err != nil || len(src) < saltSize+gcm.NonceSize() {
		return nil, false
	}
	nonce := src[saltSize : saltSize+gcm.NonceSize()]
	content, err := gcm.Open(nil, nonce, src[saltSize+len(nonce):], []byte(name))
	return content, err == nil
}

// Put seals content under a name, in place of what was there.
func (b *Box) Put(name string, content []byte) error {
	salt := make([]byte, saltSize)
	if old, err := os.ReadFile(b.path(name)); err == nil && len(old) >= saltSize {
		copy(salt, old)
	} else {
		_, _ = rand.Read(salt)
	}
	gcm, err := b.cipher(salt)
	if err != nil {
		return err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce)
	out := gcm.Seal(append(salt, nonce...), nonce, content, []byte(name))
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	tmp, err := os.CreateTemp(b.dir, ".new-*")
	if err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	_, err = tmp.Write(out)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), b.path(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("sealing: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}

// Drop removes what lies under a name.
func (b *Box) Drop(name string) error {
	if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (b *Box) cipher(salt []byte) (cipher.AEAD, error) {
	key, err := b.key(salt)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
