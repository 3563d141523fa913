// Package terraformtest runs Terraform or OpenTofu without a network, with the stub provider of this repository in the place of
// AWS's and Scalr's. It is for tests only.
//
// Which program runs is said by the variable TERRAFORM; else it is terraform, else tofu.
package terraformtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Root is the folder terraform of the repository.
var Root = sync.OnceValue(func() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
})

// Module is the folder of a module.
func Module(name string) string { return filepath.Join(Root(), "modules", name) }

// program is what runs. There is no way around it: without one nothing of this is tested.
var program = sync.OnceValues(func() (string, error) {
	for _, name := range []string{os.Getenv("TERRAFORM"), "terraform", "tofu"} {
		if path, err := exec.LookPath(cmp.Or(name, "-")); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("neither terraform nor tofu is there: make tofu builds OpenTofu into .tools, TERRAFORM names another")
})

// mirror builds the stub, and lays it where Terraform and OpenTofu look for the providers that it stands in for. It gives the
// settings that say so. Several processes may do so at once.
var mirror = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(filepath.Dir(Root()), ".cache", "terraform")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(folder, "part-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(part) }()
	binary := filepath.Join(part, "stub")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join(Root(), "internal", "stubprovider")
	build.Env = append(build.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the stub provider: %w: %s", err, out)
	}
	for _, registry := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		for _, provider := range []string{"hashicorp/aws", "scalr/scalr"} {
			version := filepath.Join(folder, registry, provider, Version, runtime.GOOS+"_"+runtime.GOARCH)
			file := filepath.Join(version, "terraform-provider-"+filepath.Base(provider)+"_v"+Version)
			link := filepath.Join(part, registry+filepath.Base(provider))
			if err := errors.Join(os.MkdirAll(version, 0o755), os.Link(binary, link), os.Rename(link, file)); err != nil {
				return "", err
			}
		}
	}
	settings := fmt.Sprintf("disable_checkpoint = true\nprovider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", folder)
	file := filepath.Join(part, "cli.tfrc")
	return filepath.Join(folder, "cli.tfrc"), errors.Join(os.WriteFile(file, []byte(settings), 0o644), os.Rename(file, filepath.Join(folder, "cli.tfrc")))
})

// look has the go command know of the files that Terraform will read: it runs a test again when one has changed.
var look = sync.OnceValue(func() error {
	return filepath.WalkDir(Root(), func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	})
})

// Version is the stub's: no real provider has it.
const Version = "99.0.0"

// Dir is a configuration in a folder of its own.
type Dir struct {
	t    testing.TB
	Path string
	// Account is what the account says on a refresh, as the stub reads it; nil: what Terraform wrote.
	Account map[string]map[string]map[string]string
	// Env are variables beside those of this process, as NAME=VALUE.
	Env []string
}

// New makes a configuration of these files, and initialises it.
func New(t testing.TB, files map[string]string) *Dir {
	t.Helper()
	d := &Dir{t: t, Path: t.TempDir()}
	for name, content := range files {
		d.Write(name, content)
	}
	d.Must("init", "-input=false", "-no-color")
	return d
}

// In is a configuration that stands in a folder already.
func In(t testing.TB, folder string) *Dir {
	t.Helper()
	d := &Dir{t: t, Path: folder}
	d.Must("init", "-input=false", "-no-color")
	return d
}

// Write writes a file of the configuration.
func (d *Dir) Write(name, content string) {
	d.t.Helper()
	path := filepath.Join(d.Path, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		d.t.Fatal(err)
	}
}

// Run runs a command and gives what it printed.
func (d *Dir) Run(args ...string) (string, error) {
	d.t.Helper()
	bin, err := program()
	if err != nil {
		d.t.Fatal(err)
	}
	config, err := mirror()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := look(); err != nil {
		d.t.Fatal(err)
	}
	cmd := exec.CommandContext(d.t.Context(), bin, args...)
	cmd.Dir = d.Path
	cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_IN_AUTOMATION=1", "STUB_ACCOUNT=")
	cmd.Env = append(cmd.Env, d.Env...)
	if d.Account != nil {
		src, err := json.Marshal(d.Account)
		if err != nil {
			d.t.Fatal(err)
		}
		d.Write("account.json", string(src))
		cmd.Env = append(cmd.Env, "STUB_ACCOUNT="+filepath.Join(d.Path, "account.json"))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// Must is Run of what has to work.
func (d *Dir) Must(args ...string) string {
	d.t.Helper()
	out, err := d.Run(args...)
	if err != nil {
		d.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Plan makes a plan, as a person would, and reads it.
func (d *Dir) Plan() Plan {
	d.t.Helper()
	d.Must("plan", "-input=false", "-no-color", "-out=customer.plan")
	return d.Read("customer.plan")
}

// Apply applies the last plan.
func (d *Dir) Apply() { d.t.Helper(); d.Must("apply", "-input=false", "-no-color", "customer.plan") }

// Read reads a plan's file.
func (d *Dir) Read(file string) Plan {
	d.t.Helper()
	var p Plan
	raw := d.Must("show", "-json", file)
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		d.t.Fatalf("%v: %s", err, raw)
	}
	p.Raw = raw
	return p
}

// Plan is a plan as Terraform tells it.
type Plan struct {
	Raw     string           `json:"-"`
	Changes []ResourceChange `json:"resource_changes"`
}

// ResourceChange is what becomes of a resource.
type ResourceChange struct {
	Address, Type string
	Index         any
	Change        struct {
		Actions []string
		After   map[string]any
		Unknown map[string]any `json:"after_unknown"`
	}
}

// Of are the changes of a type of resource.
func (p Plan) Of(kind string) (out []ResourceChange) {
	for _, c := range p.Changes {
		if c.Type == kind {
			out = append(out, c)
		}
	}
	return out
}

// Changing are the addresses of what is not left as it is.
func (p Plan) Changing() (out []string) {
	for _, c := range p.Changes {
		if actions := strings.Join(c.Change.Actions, " "); actions != "no-op" && actions != "read" {
			out = append(out, c.Address+" "+actions)
		}
	}
	return out
}
