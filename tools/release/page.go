package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"

	"github.com/countersign/countersign/infra/oneclick"
)

// The page that makes quick-create links is one file. It loads nothing, its policy lets it run the one script that stands in
// it, and that script reads nothing but the form.
var (
	//go:embed page.html.tmpl
	pageText string
	//go:embed page.js
	pageScript string
	//go:embed page.css
	pageStyle string

	page = template.Must(template.New("page").Parse(pageText))
)

// field is a parameter on the page.
type field struct {
	oneclick.Parameter
	Pattern string // of the whole value, empty ones included
}

// group is a group of parameters.
type group struct {
	Name   string
	Fields []field
}

// choice is a template that a link can name.
type choice struct{ File, Words, Name, Account string }

func (r *release) writePage(f *folder) error {
	rules, err := json.Marshal(map[string]any{
		"administratorLike": oneclick.AdministratorLike(), "together": oneclick.Together, "overlaps": oneclick.Overlaps(),
		"bucket": r.bucket, "prefix": oneclick.Prefix(r.version),
	})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	var groups []group
	for _, p := range oneclick.Parameters() {
		if len(groups) == 0 || groups[len(groups)-1].Name != p.Group {
			groups = append(groups, group{Name: p.Group})
		}
		last := &groups[len(groups)-1]
		last.Fields = append(last.Fields, field{p, p.Pattern})
	}
	var choices []choice
	for _, fixed := range append([]oneclick.Fixed{nil}, r.providers...) {
		for _, arch := range architectures {
			words := "any provider"
			if name := fixed["ProviderName"]; name != "" {
				words = name + " only"
			}
			choices = append(choices, choice{templateName(fixed["ProviderName"], arch.lambda), words + ", " + arch.lambda, fixed["ProviderName"], fixed["ProviderAccount"]})
		}
	}
	var out strings.Builder
	if err := page.Execute(&out, map[string]any{
		"Version": r.version, "Regions": r.regions, "Groups": groups, "Choices": choices, "Rules": string(rules),
		"Script": template.JS(pageScript), "Style": template.CSS(pageStyle),
		"Policy": fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; base-uri 'none'; form-action 'none'", source(pageScript), source(pageStyle)),
	}); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return f.write("quick-create.html", []byte(out.String()), 0o644)
}

// source is how a Content Security Policy names an inline script or style.
func source(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
