package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// functions are the Lambda functions, by the names of their packages.
var functions = []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify", "enroll"}

// build gives a function's binary for Linux. What the machine's own settings could change is said here.
func build(root, function, goarch string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", function, err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "bootstrap")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w -buildid=", "-o", file,
		"./functions/"+function+"/bootstrap")
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch, "GOARM64=v8.0", "GOAMD64=v1",
		"GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s for %s: %w: %s", function, goarch, err, strings.TrimSpace(string(out)))
	}
	return os.ReadFile(file)
}

// zipped is the archive that Lambda takes of a binary: one file, and no time or mode of this machine's.
func zipped(binary []byte) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(binary); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
