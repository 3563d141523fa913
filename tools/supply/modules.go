// Package supply tells what Countersign is made of: the modules that are linked into what is shipped, under which licences, as
// a report and as an SBOM. It reads what the go command says and the licence files of the module cache, and asks no network.
package supply

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
)

// modulePath is Countersign's own module.
const modulePath = "github.com/countersign/countersign"

// Module is a module of which something is linked into what is shipped.
type Module struct {
	Path, Version string
	Sum           string // go.sum's h1: of its files
	Licences      []string
	In            []string // the names of the Parts that hold it
}

// Part is a part of what is shipped, by the packages that it is built of.
type Part struct {
	Name     string
	Packages []string
	Env      []string // of the go command, beside the machine's
}

// Parts are what is shipped. The CDK app and the constructs are used as source, so they are no part of a release's archives; their
// modules are told of all the same.
var Parts = []Part{
	{"functions", []string{"./functions/..."}, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}},
	{"countersign", []string{"./cmd/countersign"}, []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}},
	{"CDK app", []string{"./infra/app"}, []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"}},
}

// Modules are the modules of the parts by path, read in the folder of the repository.
func Modules(root string, parts ...Part) ([]Module, error) {
	found := map[string]*Module{}
	for _, part := range parts {
		list, err := modulesOf(root, part)
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			known, ok := found[m.Path]
			if !ok {
				licences, err := LicencesIn(m.Dir)
				if err != nil {
					return nil, fmt.Errorf("licence of %s: %w", m.Path, err)
				}
				known = &Module{Path: m.Path, Version: m.Version, Sum: m.Sum, Licences: licences}
				found[m.Path] = known
			}
			if !slices.Contains(known.In, part.Name) {
				known.In = append(known.In, part.Name)
			}
		}
	}
	var out []Module
	for _, m := range found {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Module) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// listed is what the go command says of a module.
type listed struct{ Path, Version, Sum, Dir string }

func modulesOf(root string, part Part) ([]listed, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Module,Standard", "-tags", "lambda.norpc"}, part.Packages...)...)
	cmd.Dir, cmd.Env = root, append(cmd.Environ(), part.Env...)
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return nil, fmt.Errorf("go list %s: %w: %s", part.Name, err, failed.Stderr)
		}
		return nil, fmt.Errorf("go list %s: %w", part.Name, err)
	}
	var list []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Standard bool
			Module   *listed
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading go list of %s: %w", part.Name, err)
		}
		if p.Module != nil && p.Module.Path != modulePath && !slices.Contains(list, *p.Module) {
			list = append(list, *p.Module)
		}
	}
}

// GoVersion is the compiler's, without which nobody builds the same bytes.
func GoVersion() string { return runtime.Version() }
