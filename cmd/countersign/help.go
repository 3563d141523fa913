package main

import (
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helpWidth is what help's frame leaves of a terminal of 80 columns. A longer line breaks a second time, in mid-sentence.
const helpWidth = 76

// fitHelp breaks the long descriptions of a command and of those below it where the frame does.
func fitHelp(cmd *cobra.Command) {
	cmd.Long = refill(cmd.Long, helpWidth)
	for _, sub := range cmd.Commands() {
		fitHelp(sub)
	}
}

// refill breaks paragraphs anew. Indented lines stay, and with them the list that they make.
func refill(text string, width int) string {
	var out []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.Contains("\n"+paragraph, "\n ") {
			out = append(out, paragraph)
			continue
		}
		var lines []string
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		out = append(out, strings.Join(append(lines, line), "\n"))
	}
	return strings.Join(out, "\n\n")
}
