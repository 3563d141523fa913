// Package profiles writes customers into AWS's configuration, so that aws --profile acme, Terraform and every SDK enter them.
//
// It decides what stands between its own two markers, and touches nothing else: a profile of the same name outside them stays, and
// ours is left out.
package profiles

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The lines between which everything is ours.
const (
	begin = "# countersign: begin. Written by countersign profiles write; what stands here is written anew."
	end   = "# countersign: end"
)

// ErrMarkers says that one of the two lines is missing, or stands twice.
var ErrMarkers = errors.New("the lines that begin and end what countersign wrote don't match: mend them, or delete both with what is between")

// Profile is one of AWS's configuration.
type Profile struct {
	Name    string
	Command []string // the credential_process
	Region  string   // empty: none
}

// Change is what a new configuration differs in.
type Change struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Kept    []string `json:"kept"`
	Taken   []string `json:"taken"` // of the same name, not ours
}

// Write puts profiles between the markers of a configuration, in place of what stood there. With none the markers go too.
func Write(src []byte, want []Profile) ([]byte, Change, error) {
	before, ours, after, err := split(src)
	if err != nil {
		return nil, Change{}, err
	}
	var c Change
	had, foreign := names(ours), names(append(slices.Clone(before), after...))
	var b strings.Builder
	for _, p := range want {
		if slices.Contains(foreign, p.Name) {
			c.Taken = append(c.Taken, p.Name)
			continue
		}
		text, err := p.text()
		if err != nil {
			return nil, Change{}, err
		}
		b.WriteString(text)
		if slices.Contains(had, p.Name) {
			c.Kept = append(c.Kept, p.Name)
		} else {
			c.Added = append(c.Added, p.Name)
		}
	}
	for _, name := range had {
		if !slices.Contains(c.Kept, name) {
			c.Removed = append(c.Removed, name)
		}
	}
	out := bytes.TrimRight(before, "\n")
	if len(out) > 0 {
		out = append(out, '\n')
	}
	if b.Len() > 0 {
		if len(out) > 0 {
			out = append(out, '\n')
		}
		out = append(out, begin+"\n"+strings.TrimSuffix(b.String(), "\n")+end+"\n"...)
	}
	return append(out, after...), c, nil
}

// split parts a configuration at the markers.
func split(src []byte) (before, ours, after []byte, err error) {
	first, last := bytes.Index(src, []byte(begin+"\n")), bytes.Index(src, []byte(end))
	switch {
	case first < 0 && last < 0:
		return src, nil, nil, nil
	case first < 0 || last < first, bytes.Count(src, []byte(begin)) != 1 || bytes.Count(src, []byte(end)) != 1:
		return nil, nil, nil, ErrMarkers
	}
	rest := src[last+len(end):]
	return src[:first:first], src[first:last], bytes.TrimPrefix(rest, []byte("\n")), nil
}

// names are the profiles of a part of a configuration.
func names(src []byte) (out []string) {
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		if header, ok := strings.CutPrefix(line, "["); ok {
			header, _, _ = strings.Cut(header, "]")
			name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(header), "profile "))
			out = append(out, strings.Trim(name, `"'`))
		}
	}
	return out
}

// text is a profile in the form of AWS's configuration.
func (p Profile) text() (string, error) {
	words := make([]string, len(p.Command))
	for i, w := range p.Command {
		switch {
		case strings.ContainsAny(w, "\"\r\n"):
			return "", fmt.Errorf("%q can't stand in AWS's configuration", w)
		case w == "" || strings.ContainsAny(w, " \t'\\#;"):
			w = `"` + w + `"`
		}
		words[i] = w
	}
	if strings.ContainsAny(p.Name+p.Region, "[]\r\n\"'# ;") {
		return "", fmt.Errorf("%q can't be a profile", p.Name)
	}
	out := "[profile " + p.Name + "]\ncredential_process = " + strings.Join(words, " ") + "\n"
	if p.Region != "" {
		out += "region = " + p.Region + "\n"
	}
	return out + "\n", nil
}
