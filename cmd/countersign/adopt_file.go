package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// insertedLines are the lines that a file has more than before, which all stand together.
func insertedLines(before, after []byte) string {
	b, a := strings.Split(strings.TrimSuffix(string(before), "\n"), "\n"), strings.Split(strings.TrimSuffix(string(after), "\n"), "\n")
	from, more := 0, len(a)-len(b)
	for from < len(b) && a[from] == b[from] {
		from++
	}
	if len(before) == 0 {
		from, more = 0, len(a)
	}
	return strings.Join(a[from:from+more], "\n") + "\n"
}

// rewriteFile writes a file at once or not at all, unless somebody else changed it meanwhile.
func rewriteFile(name string, before, after []byte) error {
	now, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if !bytes.Equal(now, before) {
		return fail(exitRefused, "Run it again.", "%s changed meanwhile", name)
	}
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	return replaceFile(name, after, mode)
}
