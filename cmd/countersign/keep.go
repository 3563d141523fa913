package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/sealed"
)

// keptBy says where sessions are kept, or why they aren't.
func (c *cli) keptBy() (entry.Keep, string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, "", err
	}
	dir := filepath.Join(cache, "countersign", "sessions")
	switch passphrase := c.env("COUNTERSIGN_CACHE_PASSPHRASE"); {
	case c.env("COUNTERSIGN_CACHE") == "off":
		return nil, "off", nil
	case passphrase != "":
		return sealed.WithPassphrase(dir, passphrase), "files sealed with a passphrase", nil
	case runtime.GOOS == "linux" && c.env("DBUS_SESSION_BUS_ADDRESS") == "":
		return nil, "", errors.New("this session has no keyring")
	}
	box, err := sealed.WithKeyring(dir)
	if err != nil {
		return nil, "", err
	}
	return box, "files sealed with a key of the system's keyring", nil
}

// keep is where sessions are kept; where there is none, one line says so.
func (c *cli) keep(quiet bool) entry.Keep {
	kept, _, err := c.keptBy()
	if err != nil && !quiet {
		c.tell("Sessions aren't kept: %s. COUNTERSIGN_CACHE_PASSPHRASE seals a file, COUNTERSIGN_CACHE=off says nothing.\n", printable(err.Error()))
	}
	return kept
}
