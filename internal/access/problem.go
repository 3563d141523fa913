package access

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with the file, or that should be looked at.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Width   int    `json:"width"`  // characters that are meant
	Field   string `json:"field"`  // as providers[0].grants[0].rotateEvery
	Message string `json:"message"`
	Why     string `json:"why,omitempty"`
	Fix     string `json:"fix,omitempty"`
	Source  string `json:"source"` // the line, with what must not be shown left out
}

const lineWidth = 80 // characters of a terminal's line

// String is the problem with its line, a caret, the fix and the field, for a terminal of 80 columns.
func (p Problem) String() string {
	var b strings.Builder
	head := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	b.WriteString(wrapTo(head+p.Message, "    "))
	b.WriteByte('\n')

	number := strconv.Itoa(p.Line)
	gutter := strings.Repeat(" ", len(number)) + "   | "
	source, column := fit(strings.ReplaceAll(p.Source, "\t", " "), p.Column, lineWidth-len(gutter))
	fmt.Fprintf(&b, "  %s | %s\n", number, source)
	caret := strings.Repeat(" ", column-1) + strings.Repeat("^", max(1, min(p.Width, utf8.RuneCountInString(source)-column+1)))
	switch {
	case p.Why == "":
		b.WriteString(gutter + caret + "\n")
	case len(gutter)+utf8.RuneCountInString(caret+" "+p.Why) <= lineWidth:
		b.WriteString(gutter + caret + " " + p.Why + "\n")
	default:
		b.WriteString(gutter + caret + "\n" + wrapTo(gutter+p.Why, gutter) + "\n")
	}
	b.WriteString(p.footer())
	return b.String()
}

// footer is the fix and, beside it if there is room, the field.
func (p Problem) footer() string {
	field := "field " + p.Field
	if p.Fix == "" {
		return "  " + field + "\n"
	}
	const indent = "         "
	lines := strings.Split(wrapTo("  fix    "+p.Fix, indent), "\n")
	last := lines[len(lines)-1]
	length := utf8.RuneCountInString(last)
	if pad := min(max(43, length+2), lineWidth-len(field)); pad >= length+2 {
		lines[len(lines)-1] = last + strings.Repeat(" ", pad-length) + field
	} else {
		lines = append(lines, "  "+field)
	}
	return strings.Join(lines, "\n") + "\n"
}

// fit cuts a long source line to the part around the column.
func fit(source string, column, width int) (string, int) {
	runes := []rune(source)
	column = max(1, min(column, len(runes)+1))
	if len(runes) <= width {
		return source, column
	}
	start := 0
	if column > width/2 {
		start = min(column-width/2, len(runes)-width+1)
	}
	end := min(len(runes), start+width-2)
	out := string(runes[start:end])
	if start > 0 {
		out, column = "…"+out, column-start+1
	}
	if end < len(runes) {
		out += "…"
	}
	return out, column
}

// wrapTo breaks text between words so that no line is wider than a terminal; further lines start with indent. Lines that
// the text has already stay.
func wrapTo(text, indent string) string {
	var out []string
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			line = indent + line
		}
		for utf8.RuneCountInString(line) > lineWidth {
			runes := []rune(line)
			cut := strings.LastIndexByte(string(runes[:lineWidth+1]), ' ')
			if cut <= len(indent) {
				break // one word, wider than the line
			}
			out = append(out, strings.TrimRight(line[:cut], " "))
			line = indent + strings.TrimLeft(line[cut:], " ")
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// Problems is everything that was found in a file that can't be deployed.
type Problems struct {
	Errors   []Problem // in the order of the file, at least one
	Warnings []Problem
}

// Error is all errors as a terminal shows them, and how many there are.
func (p *Problems) Error() string {
	var b strings.Builder
	for _, e := range p.Errors {
		b.WriteString(e.String())
	}
	return b.String() + plural(len(p.Errors), "error") + ". Nothing was deployed."
}

// thousands writes 2048 as "2,048".
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
