package lab

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

const planted = "hestio-Zk3vQ9LmX2bT7cRy5nWd8sHj4pGf6aUe"

func TestSearcherFindsAnIDInEveryDisguise(t *testing.T) {
	s, err := NewSearcher([]string{strings.Repeat("a", 32), planted})
	if err != nil {
		t.Fatal(err)
	}
	random := planted[len("hestio-"):]
	for name, text := range map[string]string{
		"raw":                         `{"externalId":"` + planted + `"}`,
		"a piece of 12":               "…" + random[9:21] + "…",
		"hex":                         hex.EncodeToString([]byte("x" + planted)),
		"upper-case hex":              strings.ToUpper(hex.EncodeToString([]byte(planted))),
		"URL-encoded, every byte":     percent(planted),
		"URL-encoded, lower case":     strings.ToLower(percent(planted)),
		"base64":                      base64.StdEncoding.EncodeToString([]byte(planted)),
		"base64, one byte later":      base64.StdEncoding.EncodeToString([]byte("x" + planted)),
		"base64, two bytes later":     base64.StdEncoding.EncodeToString([]byte("xy" + planted)),
		"base64 without padding":      base64.RawURLEncoding.EncodeToString([]byte(`{"id":"` + planted + `"}`)),
		"basic authentication header": "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+planted)),
	} {
		if s.Find(text) == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestSearcherFindsNothingElse(t *testing.T) {
	s, err := NewSearcher([]string{planted})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"the prefix":          "hestio-hestio-hestio-",
		"eleven characters":   planted[len(planted)-11:],
		"another ID":          "hestio-Ak3vQ9LmX2bU7cRy5nWe8sHj4pGg6aUe",
		"the fingerprint":     "#b81e02",
		"nothing":             "",
		"a long innocent one": strings.Repeat("arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration ", 1000),
	} {
		if found := s.Find(text); found != nil {
			t.Errorf("%s: found %v", name, found)
		}
	}
}

func TestSearcherRefusesWhatItCouldNotFind(t *testing.T) {
	if _, err := NewSearcher([]string{"short"}); err == nil {
		t.Error("took an ID that is shorter than a piece")
	}
}
