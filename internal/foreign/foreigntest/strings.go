// Package foreigntest has what somebody in another account may write where we show it: for tests of everything that prints.
package foreigntest

import (
	"strings"
	"unicode"
)

// Strings are hostile texts. Those that a shell or a spreadsheet would run make a file called canary.
func Strings(canary string) []string {
	var out []string
	for _, s := range []string{
		// Shells.
		"$(touch CANARY)", "`touch CANARY`", "${x:-$(touch CANARY)}", "'; touch CANARY; '", "\"; touch CANARY; \"", "| touch CANARY",
		"& touch CANARY &", "; touch CANARY #", "\n touch CANARY\n", "<(touch CANARY)", "$((a[$(touch CANARY)]))", "(touch CANARY)",
		"{touch,CANARY}", "!touch CANARY", "^a^touch CANARY", "-exec touch CANARY ;", "--reason=$(touch CANARY)", "%(touch CANARY)",
		// Prompts.
		`\$(touch CANARY)`, `\u@\h \w`, "%n@%m %~ %{$(touch CANARY)%}", "\\[\\e[31m\\]", "$env:PATH", "@{touch CANARY}",
		// Terminals.
		"\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]52;c;dG91Y2g=\x07", "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "\x9b31m", "\u009b31m", "\b\b\b\bACCEPTED",
		"a\rACCEPTED", "\x00", "\x7f", "\x1b[6n", "\x1bP$q\x1b\\",
		// Reading.
		"\u202egnp.exe", "\u2066\u2069\u200f", "ac\u200bme", "acm\u0435", "\u2028\u2029", strings.Repeat("a\u0300\u0301\u0302\u0303\u0304", 20), "\xff\xfe\xc0\x80", "\U000e0061\U000e0062",
		// Spreadsheets and files.
		"=cmd|'/c touch CANARY'!A1", "+HYPERLINK(\"http://evil.example\")", "@SUM(1)", "-2+3", "a,b\"c\nd", "[default]\ncredential_process = touch CANARY",
		"]\n[profile acme]\n", "# countersign end", "</script><script>", "%s%n%x", "../../CANARY", "{\"a\":\"b\"}",
	} {
		out = append(out, strings.ReplaceAll(s, "CANARY", canary))
	}
	return out
}

// Tame says whether no character of a program's output steers a terminal or reorders text. Line breaks are the program's own.
func Tame(output string) bool {
	return !strings.ContainsFunc(output, func(r rune) bool {
		return r != '\n' && (unicode.Is(unicode.C, r) || unicode.Is(unicode.Bidi_Control, r) || r == 0x2028 || r == 0x2029)
	})
}
