package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/oneclick"
)

// example is a release for which everything but functions and templates can be written.
func example() *release {
	return &release{
		root: "../..", version: "v1.2.3", bucket: "example-countersign", regions: []string{"eu-west-1", "us-east-1"},
		providers: []oneclick.Fixed{{"ProviderName": "hestio", "ProviderAccount": "111122223333"}},
	}
}

// written is a file of the example.
func written(t *testing.T, step func(*folder) error, name string) string {
	t.Helper()
	f := &folder{path: t.TempDir()}
	if err := step(f); err != nil {
		t.Fatal(err)
	}
	src, err := os.ReadFile(filepath.Join(f.path, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(src)
}

// What the page could read but the form, or send anywhere, isn't in its script at all.
func TestThePagesScriptKnowsNothingButTheForm(t *testing.T) {
	for _, word := range []string{
		"location", "URL\\b", "URI\\b(?!Component)", "baseURI", "referrer", "opener", "parent", "top\\.", "history", "navigation", "window", "self", "globalThis", "frames", "name\\s*=",
		"cookie", "Storage", "fetch", "XMLHttp", "WebSocket", "sendBeacon", "EventSource", "postMessage", "onmessage", "onhashchange",
		"eval", "Function\\(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document\\.write", "import", "setTimeout", "srcdoc", "DOMParser",
	} {
		word = strings.ReplaceAll(word, "(?!Component)", "[^C]")
		if found := regexp.MustCompile(`\b` + word).FindString(pageScript); found != "" {
			t.Errorf("the script says %q", found)
		}
	}
}

func TestThePageLoadsNothing(t *testing.T) {
	page := written(t, example().writePage, "quick-create.html")
	for _, attribute := range []string{" src=", "<link", "@import", "url(", "<base", "<iframe", "<object", "<embed", "<img", "action=", "http-equiv=\"refresh", " on"} {
		if attribute == " on" {
			if found := regexp.MustCompile(`<[^>]* on[a-z]+=`).FindString(page); found != "" {
				t.Errorf("the page has %s", found)
			}
		} else if strings.Contains(page, attribute) {
			t.Errorf("the page has %s", attribute)
		}
	}
	for _, want := range []string{
		"default-src &#39;none&#39;; script-src &#39;" + source(pageScript), "base-uri &#39;none&#39;; form-action &#39;none&#39;",
		"<script>" + pageScript + "</script>", "<style>" + pageStyle + "</style>",
	} {
		if !strings.Contains(strings.ReplaceAll(page, "&#43;", "+"), want) {
			t.Errorf("the page doesn't have %.80s", want)
		}
	}
	if strings.Contains(page, "unsafe-") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page's policy has a hole, or a value was refused")
	}
}

// Every parameter is asked for, and a browser's own memory fills in none.
func TestThePageAsksForEveryParameter(t *testing.T) {
	page := written(t, example().writePage, "quick-create.html")
	for _, p := range oneclick.Parameters() {
		if !strings.Contains(page, `id="`+p.Name+`" data-parameter`) || !strings.Contains(page, `<label for="`+p.Name+`">`) {
			t.Errorf("%s is not asked for", p.Name)
		}
	}
	for _, file := range []string{"countersign.template.json", "countersign.x86_64.template.json", "countersign-hestio.template.json", "countersign-hestio.x86_64.template.json"} {
		if !strings.Contains(page, `value="`+file+`"`) {
			t.Errorf("%s can't be chosen", file)
		}
	}
}
