package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func TestHelpTextsFitIntoTheirFrame(t *testing.T) {
	root := newRootCommand(&cli{})
	seen := 0
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Long) {
			seen++
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > helpWidth {
				t.Errorf("%s: %d characters: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				look(sub)
			}
		}
	}
	look(root)
	if seen < 40 {
		t.Errorf("%d lines of help", seen)
	}
}

func TestRefillLeavesListsAlone(t *testing.T) {
	got := refill("one two three four\nfive\n\n  list  item\n  another\n\nsix", 9)
	if want := "one two\nthree\nfour five\n\n  list  item\n  another\n\nsix"; got != want {
		t.Errorf("got:\n%s", got)
	}
}

// Every command that does something is run by a script, as the program that people have: without a terminal.
func TestEveryCommandIsRunByAScript(t *testing.T) {
	var scripts strings.Builder
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txtar" {
			return err
		}
		src, err := os.ReadFile(path)
		scripts.Write(src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		if cmd.RunE != nil && !regexp.MustCompile(`\b`+regexp.QuoteMeta(cmd.CommandPath())+`\b`).MatchString(scripts.String()) {
			t.Errorf("no script runs %s", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			if sub.Name() != "completion" && sub.Name() != "help" {
				look(sub)
			}
		}
	}
	look(newRootCommand(&cli{}))
}

// What takes access away has no flag that nobody ever gave.
func TestEveryFlagOfRevokeIsGivenByAScript(t *testing.T) {
	var given strings.Builder
	scripts, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(src)) {
			if strings.Contains(line, "exec countersign revoke ") {
				given.WriteString(line)
			}
		}
	}
	flags := regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(newRevokeCommand(&cli{}).LocalNonPersistentFlags().FlagUsages(), -1)
	for _, flag := range flags {
		if !regexp.MustCompile(flag + `\b`).MatchString(given.String()) {
			t.Errorf("no script gives %s", flag)
		}
	}
	if len(flags) < 15 {
		t.Errorf("%d flags: %v", len(flags), flags)
	}
}
