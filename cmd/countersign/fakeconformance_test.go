package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/sandbox/conformance"
)

// What the scripts take for the API answers as Countersign's functions do. It doesn't remember an overlap: it is told of one
// beforehand.
func TestTheFakeAccountAnswersAsTheFunctionsDo(t *testing.T) {
	f := newFakeAWS()
	server := httptest.NewServer(f)
	defer server.Close()
	locked := func(do func()) {
		f.mu.Lock()
		defer f.mu.Unlock()
		do()
	}
	conformance.Run(t, &conformance.HTTP{URL: server.URL, Region: "eu-west-1", Now: func() (version string) {
		locked(func() { version = f.token })
		return version
	}}, func(c conformance.Case) bool {
		key, value, has := strings.Cut(c.Fake, "=")
		if has {
			locked(func() { f.mode[key] = value })
		}
		return has
	})
}
