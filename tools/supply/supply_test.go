package supply

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/licences.md")

const root = "../.."

func modules(t *testing.T) []Module {
	t.Helper()
	list, err := Modules(root, Parts...)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("%d modules only", len(list))
	}
	return list
}

func TestOnlyPermissiveLicencesAreShipped(t *testing.T) {
	for _, m := range modules(t) {
		if !IsPermissive(m.Licences) {
			t.Errorf("%s %s is under %v, and linked into %v", m.Path, m.Version, m.Licences, m.In)
		}
	}
}

func TestTheLicenceReport(t *testing.T) {
	const doc = root + "/docs/licences.md"
	const begin, end = "<!-- from the modules: go test ./tools/supply -update writes this -->\n", "<!-- end -->\n"
	src, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(src), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the report", doc)
	}
	want := head + begin + "\n" + Report(modules(t)) + "\n" + end + tail
	if *update {
		if err := os.WriteFile(doc, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(src)); diff != "" {
		t.Errorf("%s is old; go test ./tools/supply -update writes it\n%s", doc, diff)
	}
}

func TestLicences(t *testing.T) {
	const redistribution = "Redistribution and use in source and binary forms, with or without\nmodification, are permitted"
	for text, want := range map[string][]string{
		"Permission is hereby granted, free of\ncharge, to any person obtaining a copy": {"MIT"},
		"   Apache License\n   Version 2.0, January 2004":                               {"Apache-2.0"},
		redistribution: {"BSD-2-Clause"},
		redistribution + " Neither the name of the project": {"BSD-3-Clause"},
		"Mozilla Public License Version 2.0":                {"MPL-2.0"},
		"GNU AFFERO GENERAL PUBLIC LICENSE":                 {"AGPL-3.0"},
		"GNU GENERAL PUBLIC LICENSE Version 3":              {"GPL"},
		"All rights reserved.":                              nil,
	} {
		if got := LicencesOf(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		if permissive := len(want) > 0 && !slices.Contains([]string{"MPL-2.0", "AGPL-3.0", "GPL"}, want[0]); IsPermissive(want) != permissive {
			t.Errorf("%v: permissive %v", want, !permissive)
		}
	}
	if _, err := LicencesIn(t.TempDir()); err == nil {
		t.Error("a module without a licence passes")
	}
	unknown := t.TempDir()
	if err := os.WriteFile(filepath.Join(unknown, "LICENSE.txt"), []byte("Do as I say."), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LicencesIn(unknown); err == nil {
		t.Error("a licence that nobody knows passes")
	}
}

func TestTheSBOM(t *testing.T) {
	list := modules(t)
	archives := []File{{"functions/arm64/rotate.zip", strings.Repeat("ab", 32)}}
	first, err := SBOM("v1.2.3", list, archives)
	if err != nil {
		t.Fatal(err)
	}
	second, err := SBOM("v1.2.3", list, archives)
	if err != nil || string(first) != string(second) {
		t.Errorf("it differs from run to run: %v", err)
	}
	var doc struct {
		BomFormat, SpecVersion, SerialNumber string
		Components                           []struct {
			BOMRef string `json:"bom-ref"`
			Type   string
			Hashes []struct{ Alg, Content string }
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	if err := json.Unmarshal(first, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.BomFormat != "CycloneDX" || doc.SpecVersion != "1.5" || !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(doc.SerialNumber) {
		t.Errorf("%s %s %s", doc.BomFormat, doc.SpecVersion, doc.SerialNumber)
	}
	refs := map[string]bool{"countersign": true}
	for _, c := range doc.Components {
		if refs[c.BOMRef] {
			t.Errorf("%s stands twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
		if c.Type == "file" && (len(c.Hashes) != 1 || c.Hashes[0].Alg != "SHA-256") {
			t.Errorf("%s has hashes %v", c.BOMRef, c.Hashes)
		}
	}
	for _, d := range doc.Dependencies {
		for _, ref := range append(d.DependsOn, d.Ref) {
			if !refs[ref] {
				t.Errorf("%s is no component", ref)
			}
		}
	}
	if len(doc.Components) != len(list)+2 || len(doc.Dependencies) != 2 {
		t.Errorf("%d components, %d dependencies", len(doc.Components), len(doc.Dependencies))
	}
}

// Everything that a build or a test fetches is named by its version, and its content by a sum where the format has one.
func TestDependenciesArePinned(t *testing.T) {
	files := 0
	for _, pattern := range []string{"*/requirements.txt", "*/package.json", "*/package-lock.json"} {
		list, err := filepath.Glob(filepath.Join(root, "tools", pattern))
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v, %v", pattern, list, err)
		}
		for _, file := range list {
			files++
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range unpinned(filepath.Base(file), src) {
				t.Errorf("%s: %s", file, problem)
			}
			if strings.HasSuffix(file, "package.json") {
				if _, err := os.Stat(strings.TrimSuffix(file, ".json") + "-lock.json"); err != nil {
					t.Errorf("%s has no lock", file)
				}
			}
		}
	}
	if files < 8 {
		t.Errorf("looked at %d files", files)
	}
	if _, err := os.Stat(filepath.Join(root, "go.sum")); err != nil {
		t.Error(err)
	}
	for _, bad := range []struct{ name, src string }{
		{"requirements.txt", "boto3>=1.0\n"}, {"requirements.txt", "boto3\n"}, {"package.json", `{"dependencies":{"aws-cdk":"^2.0.0"}}`},
		{"package.json", `{"dependencies":{"aws-cdk":"latest"}}`}, {"package-lock.json", `{"packages":{"node_modules/x":{"version":"1.0.0"}}}`},
	} {
		if len(unpinned(bad.name, []byte(bad.src))) == 0 {
			t.Errorf("%s passes", bad.src)
		}
	}
}

var exact = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+.][0-9A-Za-z.-]+)?$`)

// unpinned are the dependencies in a file that could be another one tomorrow.
func unpinned(name string, src []byte) (out []string) {
	if name == "requirements.txt" {
		for line := range strings.Lines(string(src)) {
			line = strings.TrimSpace(line)
			if line != "" && !strings.HasPrefix(line, "#") && !regexp.MustCompile(`^[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][^\s]*$`).MatchString(line) {
				out = append(out, line)
			}
		}
		return out
	}
	var doc struct {
		Dependencies, DevDependencies map[string]string
		Packages                      map[string]struct {
			Version, Integrity string
			Link               bool
		}
	}
	if err := json.Unmarshal(src, &doc); err != nil {
		return []string{err.Error()}
	}
	for _, list := range []map[string]string{doc.Dependencies, doc.DevDependencies} {
		for dependency, version := range list {
			if !exact.MatchString(version) {
				out = append(out, dependency+" "+version)
			}
		}
	}
	for path, p := range doc.Packages {
		if path != "" && !p.Link && p.Integrity == "" {
			out = append(out, path+" has no sum")
		}
	}
	return out
}
