package deliver

import (
	_ "embed" // the frame of the HTML mail
	"fmt"
	"html"
	"strings"
)

// frame is the HTML around a message. text/template and html/template would make every method of the AWS SDK reachable
// for the linker and the function a quarter larger, so the frame is filled by hand, each value escaped.
//
//go:embed mail.html
var frame string

// Mail is the message as a mail to one address.
func (m Message) Mail(from, to string) Mail {
	return Mail{From: from, To: []string{to}, Subject: m.Subject, Text: m.text("mail"), HTML: m.html(), Thread: thread(m.Thread, from)}
}

// Topic is the message as a notification's text.
func (m Message) Topic() string { return m.text("message") }

const indent = "          " // width of the labels

// text is the message in plain text. medium is what it calls itself.
func (m Message) text(medium string) string {
	var out strings.Builder
	out.WriteString(m.Lead + "\n\n")
	for _, r := range m.Rows {
		fmt.Fprintf(&out, "%-*s%s\n", len(indent), r.Label, r.Text)
		if r.Command != "" {
			out.WriteString(indent + r.Command + "\n")
		}
	}
	out.WriteString("\n" + noID(medium) + "\n" + m.Check + "\n")
	if m.Revoke != "" {
		out.WriteString("\n" + revokeLabel + "\n" + m.Revoke + "\n")
	}
	return out.String()
}

func noID(medium string) string { return "This " + medium + " holds no ID and asks for none." }

const revokeLabel = "An administrator of that account ends this access, with or without Countersign, by:"

// html is the message as a page of HTML with no pictures, links or scripts.
func (m Message) html() string {
	var rows, revoke strings.Builder
	for _, r := range m.Rows {
		text := html.EscapeString(r.Text)
		if !strings.Contains(r.Text, " ") {
			text = "<code>" + text + "</code>" // an ARN or an id: it breaks anywhere
		}
		fmt.Fprintf(&rows, "<dt>%s</dt>\n<dd>%s", html.EscapeString(r.Label), text)
		if r.Command != "" {
			rows.WriteString("\n" + command(r.Command))
		}
		rows.WriteString("</dd>\n")
	}
	if m.Revoke != "" {
		fmt.Fprintf(&revoke, "<p>%s</p>\n%s\n", revokeLabel, command(m.Revoke))
	}
	// One pass: a value that holds another's mark stays as it is.
	return strings.NewReplacer(
		"<!--subject-->", html.EscapeString(m.Subject),
		"<!--lead-->", html.EscapeString(m.Lead),
		"<!--rows-->\n", rows.String(),
		"<!--noid-->", noID("mail"),
		"<!--check-->", html.EscapeString(m.Check),
		"<!--revoke-->\n", revoke.String(),
	).Replace(frame)
}

// command is a command as HTML. A browser breaks lines after hyphens: options are kept whole.
func command(line string) string {
	words := strings.Split(html.EscapeString(line), " ")
	for i, word := range words {
		if strings.HasPrefix(word, "--") {
			words[i] = "<span>" + word + "</span>"
		}
	}
	return "<pre>" + strings.Join(words, " ") + "</pre>"
}
