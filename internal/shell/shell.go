// Package shell starts a person's own shell so that its prompt says where they are and nothing that their startup files set leads
// to another account: bash, zsh, fish and PowerShell, with their own files read first. Other shells get a prompt that stands.
//
// It decides arguments and files, and starts nothing. It trusts the paths and names that it is given not to be foreign text.
package shell

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Kind is a shell that is known.
type Kind string

// The kinds.
const (
	Bash       Kind = "bash"
	Zsh        Kind = "zsh"
	Fish       Kind = "fish"
	PowerShell Kind = "powershell"
	Other      Kind = "other"
)

// Of is the kind of a shell's program.
func Of(path string) Kind {
	name := strings.TrimSuffix(strings.ToLower(path[strings.LastIndexAny(path, `/\`)+1:]), ".exe")
	switch name = strings.TrimPrefix(name, "-"); name {
	case "bash", "zsh", "fish":
		return Kind(name)
	case "pwsh", "powershell":
		return PowerShell
	}
	return Other
}

// Plan is what a shell needs to say where it is.
type Plan struct {
	Prompt    []string // the program that prints the prompt's line, with its arguments
	Variables []string // to be set again behind the person's own files, as NAME=value
	Keep      []string // variables of AWS's that stay; all others go. One that ends in an underscore stands for all that begin so
	Standing  string   // the prompt of a shell that isn't known
}

// Start is how to start it: arguments, variables and files in a private directory.
type Start struct {
	Args  []string
	Env   []string
	Files map[string]string
}

// In says how to start a shell whose files lie in dir. zdotdir is the person's ZDOTDIR, which may be empty.
func (p Plan) In(kind Kind, dir, zdotdir string) (Start, error) {
	for _, text := range append(append([]string{dir}, p.Prompt...), p.Variables...) {
		if strings.ContainsAny(text, "\n\r\x00") {
			return Start{}, fmt.Errorf("%q can't stand in a shell's file", text)
		}
	}
	switch kind {
	case Bash:
		return Start{Args: []string{"--rcfile", filepath.Join(dir, "bashrc"), "-i"}, Files: map[string]string{"bashrc": p.bash()}}, nil
	case Zsh:
		env := []string{"ZDOTDIR=" + filepath.Join(dir, "zsh")}
		if zdotdir != "" {
			env = append(env, "COUNTERSIGN_ZDOTDIR="+zdotdir)
		}
		return Start{Args: []string{"-i"}, Env: env, Files: map[string]string{"zsh/.zshenv": zshenv, "zsh/.zshrc": p.zsh()}}, nil
	case Fish:
		return Start{Args: []string{"-i", "-C", "source " + quoteFish(filepath.Join(dir, "init.fish"))}, Files: map[string]string{"init.fish": p.fish()}}, nil
	case PowerShell:
		return Start{
			Args:  []string{"-NoLogo", "-NoExit", "-Command", ". " + quotePowerShell(filepath.Join(dir, "init.ps1"))},
			Files: map[string]string{"init.ps1": p.powershell()},
		}, nil
	}
	return Start{Args: []string{"-i"}, Env: []string{"PS1=[" + p.Standing + "] $ "}}, nil
}

func quoteShell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
func quotePowerShell(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// words quotes a command.
func words(command []string, quote func(string) string) string {
	out := make([]string, len(command))
	for i, w := range command {
		out[i] = quote(w)
	}
	return strings.Join(out, " ")
}

// keep is a shell's pattern of the variables that stay.
func (p Plan) keep(between string) string {
	out := make([]string, len(p.Keep))
	for i, k := range p.Keep {
		if out[i] = k; strings.HasSuffix(k, "_") {
			out[i] += "*"
		}
	}
	return strings.Join(out, between)
}

// each writes a line for each variable.
func (p Plan) each(line func(name, value string) string) string {
	var b strings.Builder
	for _, set := range p.Variables {
		name, value, _ := strings.Cut(set, "=")
		b.WriteString(line(name, value) + "\n")
	}
	return b.String()
}
