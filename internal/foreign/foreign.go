// Package foreign makes text from other accounts harmless: role names, reasons, tags, versions, error messages, whatever somebody
// else may have written. All of it goes through Text before it reaches a person's terminal; the others add what their place needs.
//
// It decides which characters may pass. It trusts none. It never fails, and what it gave is not changed by giving it again.
package foreign

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxMarks is how many combining marks may stand on one letter: more is a drawing over other lines.
const maxMarks = 2

// Text is one line of text that can't steer a terminal, hide a part of itself or change the order in which it is read: control,
// format, private and unassigned characters, line breaks and spaces but the plain one become "?".
func Text(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s // as nearly all text is
	}
	marks := 0
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || invisible(r) {
			marks = 0
			return '?'
		}
		if !unicode.Is(unicode.M, r) {
			marks = 0
			return r
		}
		if marks++; marks > maxMarks {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// invisible are letters, marks and symbols by Unicode's tables that show nothing.
func invisible(r rune) bool {
	switch {
	case r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0: // Hangul fillers
		return true
	case r == 0x2800, r == 0x034f, r == 0x17b4, r == 0x17b5: // Braille blank, grapheme joiner, Khmer inherent vowels
		return true
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef, r >= 0x180b && r <= 0x180f: // variation selectors
		return true
	case r == 0xfffd: // what a decoder puts for what it couldn't read
		return true
	}
	return false
}

// JSON writes what Text would replace in a JSON document as \uXXXX: what it means stays the same, and a terminal that it is printed
// on is not steered.
func JSON(doc []byte) []byte {
	if !bytes.ContainsFunc(doc, unshown) {
		return doc
	}
	var out []byte
	for _, r := range string(doc) {
		switch {
		case !unshown(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// unshown are the characters that stand in no JSON document of ours as they are. Line breaks are its own: in a text they are escaped.
func unshown(r rune) bool { return r != '\n' && (!unicode.IsPrint(r) || invisible(r)) }

// Prompt is text for a shell's prompt, which shells expand again and again: letters, digits and a few signs that no shell and
// no prompt gives a meaning.
func Prompt(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)), strings.ContainsRune(" -_.,:/@…", r):
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
}

// Cell is text for a cell of CSV: a spreadsheet takes what begins as a formula for text.
func Cell(s string) string {
	s = Text(s)
	if first := strings.TrimLeft(s, " ?'\""); first != "" && strings.ContainsRune("=+-@＝＋－＠|%", []rune(first)[0]) {
		return "'" + strings.TrimPrefix(s, "'")
	}
	return s
}

// Word is text as one word of a POSIX shell, which nothing expands.
func Word(s string) string { return "'" + strings.ReplaceAll(Text(s), "'", `'\''`) + "'" }
