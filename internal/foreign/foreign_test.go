package foreign_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/foreign"
	"github.com/countersign/countersign/internal/foreign/foreigntest"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"project ended":                "project ended",
		"Zürich, 東京, naïve":            "Zürich, 東京, naïve",
		"\x1b[2Jgone":                  "?[2Jgone",
		"\u009b31mred":                 "?31mred",
		"a\nb\r\nc\td":                 "a?b??c?d",
		"safe\u202etxt.exe":            "safe?txt.exe",
		"a\u2066b\u2069":               "a?b?",
		"zero\u200bwidth":              "zero?width",
		"line\u2028para\u2029":         "line?para?",
		"no\u00a0break":                "no?break",
		"bad\xff\xfeutf8":              "bad?utf8",
		"tag\U000e0041":                "tag?",
		"fill\u3164er":                 "fill?er",
		"e\u0301":                      "e\u0301",
		"z\u0300\u0301\u0302\u0303":    "z\u0300\u0301??",
		"\ue000private":                "?private",
		strings.Repeat("\u0300", 3):    "\u0300\u0300?",
		"\u2800\u034f\u17b5\ufffd":     "????",
		"e\u0301e\u0301e\u0301":        "e\u0301e\u0301e\u0301",
		"emoji \u2764\ufe0f":           "emoji \u2764?",
		"$(touch canary) `touch c` $x": "$(touch canary) `touch c` $x", // Text is for a terminal; Word and Prompt are for shells
	} {
		if got := foreign.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPromptHasNothingThatShellsExpand(t *testing.T) {
	for in, want := range map[string]string{
		"acme-prod 4444…6666 59m": "acme-prod 4444…6666 59m",
		`$(id)\u@\h%n!!`:          "??id??u@?h?n??",
		"`id`":                    "?id?",
		"a\nb":                    "a?b",
		"東京":                      "??",
	} {
		if got := foreign.Prompt(in); got != want {
			t.Errorf("Prompt(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCellIsNoFormula(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"=1+1":                 "'=1+1",
		"+1":                   "'+1",
		"-1":                   "'-1",
		"@SUM(A1)":             "'@SUM(A1)",
		"\t=1":                 "'?=1",
		" =1":                  "' =1",
		"＝1":                   "'＝1",
		"'=1":                  "'=1",
		"|calc":                "'|calc",
		"a=b":                  "a=b",
		"2026-01-02T03:04:05Z": "2026-01-02T03:04:05Z",
	} {
		if got := foreign.Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
	}
}

// JSON means the same, and shows nothing that Text would not.
func TestJSONSteersNothingAndMeansTheSame(t *testing.T) {
	for in, want := range map[string]string{
		`{"a": "Zürich"}`:    `{"a": "Zürich"}`,
		"\"\u009b31m\x7f\"":  `"\u009b31m\u007f"`,
		"\"a\u202eb\u00a0\"": `"a\u202eb\u00a0"`,
		"\"\U000e0041\"":     `"\udb40\udc41"`,
		"{\n  \"a\": 1\n}\n": "{\n  \"a\": 1\n}\n",
	} {
		if got := string(foreign.JSON([]byte(in))); got != want {
			t.Errorf("JSON(%q) = %q, want %q", in, got, want)
		}
	}
}

// A shell gives a word back as it was.
func TestWordIsOneWord(t *testing.T) {
	for _, s := range foreigntest.Strings("canary") {
		sh := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+foreign.Word(s))
		sh.Dir = t.TempDir() // of what a broken Word lets run
		out, err := sh.Output()
		if err != nil || string(out) != foreign.Text(s) {
			t.Errorf("%q: %v, %q", s, err, out)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range foreigntest.Strings("canary") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, got := range map[string]string{"Text": foreign.Text(s), "Prompt": foreign.Prompt(s), "Cell": foreign.Cell(s)} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) }) {
				t.Errorf("%s(%q) = %q", name, s, got)
			}
		}
		doc, err := json.Marshal(s)
		var before, after string
		if err != nil || json.Unmarshal(doc, &before) != nil || json.Unmarshal(foreign.JSON(doc), &after) != nil || before != after {
			t.Errorf("JSON(%s) means %q, not %q", doc, after, before)
		}
		if shown := foreign.JSON(doc); !foreigntest.Tame(string(shown)) {
			t.Errorf("JSON(%q) = %q", s, shown)
		}
		if text := foreign.Text(s); foreign.Text(text) != text {
			t.Errorf("Text of %q changes", text)
		}
		if cell := foreign.Cell(s); foreign.Cell(cell) != cell || strings.HasPrefix(cell, "=") {
			t.Errorf("Cell of %q is %q", cell, foreign.Cell(cell))
		}
		if p := foreign.Prompt(s); strings.ContainsAny(strings.ReplaceAll(p, "?", ""), "$`\\%!\"'(){}[]<>;&|*#~^=\n") {
			t.Errorf("Prompt(%q) = %q", s, p)
		}
		if utf8.RuneCountInString(foreign.Text(s)) > utf8.RuneCountInString(s) {
			t.Errorf("Text(%q) grows", s)
		}
	})
}
