package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// mutant is one planted bug.
type mutant struct {
	name   string // of the patch, without its ending
	bug    string // in words
	expect []*regexp.Regexp
	files  []*gitdiff.File
}

// readFolder reads every patch of a folder, in the order of their names.
func readFolder(dir string) (list []mutant, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m, err := readPatch(src)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		m.name = strings.TrimSuffix(filepath.Base(path), ".patch")
		list = append(list, m)
	}
	return list, nil
}

// readPatch reads a patch: what it says of itself and the changes.
func readPatch(src []byte) (m mutant, err error) {
	files, head, err := gitdiff.Parse(bytes.NewReader(src))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(head) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !ok {
			return m, fmt.Errorf("%q stands before the diff; only lines that begin with \"# \" may", strings.TrimSpace(line))
		}
		pattern, ok := strings.CutPrefix(text, "expect: ")
		switch {
		case ok && m.bug != "":
			re, err := regexp.Compile(pattern)
			if err != nil {
				return m, err
			}
			m.expect = append(m.expect, re)
		case ok:
			return m, errors.New("the first line must say which bug this is")
		case m.bug == "":
			m.bug = text
		default:
			m.bug += " " + text
		}
	}
	switch {
	case m.bug == "":
		return m, errors.New("the first line must say which bug this is: # Deny loses its precedence")
	case len(files) == 0:
		return m, errors.New("it holds no diff")
	}
	for _, f := range files {
		if f.OldName == f.NewName { // git's prefix, which stays where the line "diff --git" is missing
			f.NewName = strings.TrimPrefix(f.NewName, "b/")
			f.OldName = f.NewName
		}
		switch {
		case f.IsBinary || f.IsNew || f.IsDelete || f.OldName != f.NewName || len(f.TextFragments) == 0:
			return m, fmt.Errorf("%s: only lines of files that stay may change", f.NewName)
		case !filepath.IsLocal(f.NewName):
			return m, fmt.Errorf("%s: not a path below the working directory", f.NewName)
		case strings.HasSuffix(f.NewName, "_test.go"):
			return m, fmt.Errorf("%s: a mutant changes no test", f.NewName)
		}
	}
	m.files = files
	return m, nil
}

// apply gives the files that the mutant changes, as they are with the bug. Each hunk must fit exactly and in one place
// only; its line numbers don't count, so that it still applies after edits elsewhere, and never applies somewhere else.
func (m mutant) apply(read func(path string) ([]byte, error)) (map[string][]byte, error) {
	after := map[string][]byte{}
	for _, f := range m.files {
		src, err := read(f.NewName)
		if err != nil {
			return nil, err
		}
		text := "\n" + string(src)
		for _, h := range f.TextFragments {
			before, now := "\n", "\n"
			for _, line := range h.Lines {
				if line.Old() {
					before += line.Line
				}
				if line.New() {
					now += line.Line
				}
			}
			if n := strings.Count(text, before); n != 1 {
				return nil, fmt.Errorf("%s: the lines of the hunk at %d stand there %d times, and must stand once", f.NewName, h.OldPosition, n)
			}
			text = strings.Replace(text, before, now, 1)
		}
		after[f.NewName] = []byte(text[1:])
	}
	return after, nil
}
