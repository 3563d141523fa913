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

// replaceFile writes a file at once or not at all, unless somebody else changed it meanwhile.
func replaceFile(name string, before, after []byte) error {
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
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		target = name // it isn't there yet
	}
	temp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = temp.Write(after)
	err = errors.Join(err, temp.Chmod(mode), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), target)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
