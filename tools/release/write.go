package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/countersign/countersign/infra/oneclick"
	"github.com/countersign/countersign/tools/supply"
)

// architectures are Go's names of those that Lambda has, and Lambda's.
var architectures = []struct{ goarch, lambda string }{{"arm64", "arm64"}, {"amd64", "x86_64"}}

// folder is a release's folder while it is written.
type folder struct {
	path  string
	files []supply.File
}

func (f *folder) write(name string, content []byte, mode fs.FileMode) error {
	path := filepath.Join(f.path, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	f.files = append(f.files, supply.File{Name: name, SHA256: hex.EncodeToString(sum[:])})
	return nil
}

// write makes the folder out/<version>, whole or not at all. One that is there already is a release that somebody may have: it
// stays as it is.
func (r *release) write(out string) error {
	whole := filepath.Join(out, r.version)
	if _, err := os.Stat(whole); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: take it away, or give the release another version", whole)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	part, err := os.MkdirTemp(out, ".part-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(part) }()
	f := &folder{path: part}
	for _, step := range []func(*folder) error{r.writeFunctions, r.writePage, r.writeUpload, (*folder).writeSums} {
		if err := step(f); err != nil {
			return err
		}
	}
	return errors.Join(os.Chmod(part, 0o755), os.Rename(part, whole))
}

// writeFunctions writes the archives, the templates that pin them, and what they are made of.
func (r *release) writeFunctions(f *folder) error {
	modules, err := supply.Modules(r.root, supply.Parts[0])
	if err != nil {
		return err
	}
	for _, m := range modules {
		if !supply.IsPermissive(m.Licences) {
			return fmt.Errorf("%s %s is under %s, which is not permissive", m.Path, m.Version, strings.Join(m.Licences, ", "))
		}
	}
	var archives []supply.File
	for _, arch := range architectures {
		sums := map[string]string{}
		for _, function := range functions {
			binary, err := build(r.root, function, arch.goarch)
			if err != nil {
				return err
			}
			archive, err := zipped(binary)
			if err != nil {
				return fmt.Errorf("archive of %s: %w", function, err)
			}
			if err := f.write(oneclick.Archives(arch.goarch)+function+".zip", archive, 0o644); err != nil {
				return err
			}
			archives = append(archives, f.files[len(f.files)-1])
			sum := sha256.Sum256(archive)
			sums[function] = base64.StdEncoding.EncodeToString(sum[:])
		}
		published := oneclick.Release{Version: r.version, Bucket: r.bucket, Regions: r.regions, Architecture: arch.goarch, Sums: sums}
		if err := f.write(templateName("customers", arch.lambda), oneclick.Customers(published).JSON(nil), 0o644); err != nil {
			return err
		}
		made := oneclick.Make(published)
		for _, fixed := range append([]oneclick.Fixed{nil}, r.providers...) {
			if err := f.write(templateName(fixed["ProviderName"], arch.lambda), made.JSON(fixed), 0o644); err != nil {
				return err
			}
		}
	}
	sbom, err := supply.SBOM(r.version, modules, archives)
	if err != nil {
		return err
	}
	return f.write("sbom.cdx.json", sbom, 0o644)
}

// templateName is a template's file: for customers of any provider or of one, or "customers" for a provider's own account; for
// arm64 unless its name says otherwise.
func templateName(of, architecture string) string {
	name := "countersign"
	if of != "" {
		name += "-" + of
	}
	if architecture != "arm64" {
		name += "." + architecture
	}
	return name + ".template.json"
}

// writeSums writes the manifest, as sha256sum reads it.
func (f *folder) writeSums() error {
	slices.SortFunc(f.files, func(a, b supply.File) int { return cmp.Compare(a.Name, b.Name) })
	var out strings.Builder
	for _, file := range f.files {
		fmt.Fprintf(&out, "%s  %s\n", file.SHA256, file.Name)
	}
	return f.write("SHA256SUMS", []byte(out.String()), 0o644)
}
