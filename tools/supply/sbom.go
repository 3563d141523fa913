package supply

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
)

// File is a file of a release.
type File struct{ Name, SHA256 string } // in hex

// SBOM is a CycloneDX 1.5 document of a release: its archives, the modules linked into them, and the compiler. The same
// input gives the same bytes, so it holds no time of its making.
func SBOM(version string, modules []Module, archives []File) ([]byte, error) {
	doc := bom{
		Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata: metadata{Component: component{
			Type: "application", Ref: "countersign", Name: "countersign", Version: version,
			PURL: "pkg:golang/" + modulePath + "@" + version, Licences: licencesOf([]string{"MIT"}),
		}},
	}
	toolchain := "pkg:golang/std@" + strings.TrimPrefix(GoVersion(), "go")
	linked := []string{toolchain}
	doc.Components = append(doc.Components, component{
		Type: "library", Ref: toolchain, Name: "std", Version: strings.TrimPrefix(GoVersion(), "go"), PURL: toolchain, Licences: licencesOf([]string{"BSD-3-Clause"}),
	})
	for _, m := range modules {
		purl := "pkg:golang/" + m.Path + "@" + m.Version
		linked = append(linked, purl)
		c := component{Type: "library", Ref: purl, Name: m.Path, Version: m.Version, PURL: purl, Licences: licencesOf(m.Licences)}
		if m.Sum != "" {
			c.Properties = []property{{"go.sum", m.Sum}}
		}
		doc.Components = append(doc.Components, c)
	}
	top := dependency{Ref: "countersign"}
	for _, f := range archives {
		doc.Components = append(doc.Components, component{Type: "file", Ref: f.Name, Name: f.Name, Hashes: []hash{{"SHA-256", f.SHA256}}})
		doc.Dependencies = append(doc.Dependencies, dependency{f.Name, linked})
		top.On = append(top.On, f.Name)
	}
	doc.Dependencies = append(doc.Dependencies, top)
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("writing the SBOM: %w", err)
	}
	sum := sha256.Sum256(body)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8: made of what it names
	doc.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("writing the SBOM: %w", err)
	}
	return out.Bytes(), nil
}

func licencesOf(ids []string) (out []licence) {
	for _, id := range ids {
		var l licence
		l.Licence.ID = id
		out = append(out, l)
	}
	return out
}

type bom struct {
	Format       string       `json:"bomFormat"`
	Spec         string       `json:"specVersion"`
	Serial       string       `json:"serialNumber,omitempty"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licences   []licence  `json:"licenses,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type licence struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref string   `json:"ref"`
	On  []string `json:"dependsOn,omitempty"`
}
