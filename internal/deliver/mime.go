package deliver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
)

// ErrBadHeader says that a mail's address, subject or thread holds a line break, a control character or no ASCII: what
// follows it would be read as a header of its own.
var ErrBadHeader = errors.New("a mail's header is not one line of ASCII")

// MIME is the mail as RFC 5322 wants it: text and HTML in UTF-8, lines ended by CR LF. Date and Message-ID are left to the
// service that sends it. The same mail has the same bytes.
func (m Mail) MIME() ([]byte, error) {
	headers := [][2]string{
		{"From", m.From}, {"To", strings.Join(m.To, ", ")}, {"Subject", m.Subject},
		{"References", m.Thread}, {"In-Reply-To", m.Thread},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no out-of-office note shall answer
		{"MIME-Version", "1.0"},
	}
	var out bytes.Buffer
	for _, h := range headers {
		if strings.ContainsFunc(h[1], func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Errorf("%s: %w", h[0], ErrBadHeader)
		}
		if h[1] != "" {
			fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
		}
	}
	parts := multipart.NewWriter(&out)
	sum := sha256.Sum256([]byte(m.Text + "\x00" + m.HTML))
	if err := parts.SetBoundary(hex.EncodeToString(sum[:])); err != nil {
		return nil, err
	}
	fmt.Fprintf(&out, "Content-Type: multipart/alternative; boundary=%s\r\n\r\n", parts.Boundary())
	for _, p := range []struct{ kind, body string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		if p.body == "" {
			continue
		}
		part, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type": {p.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		encoder := quotedprintable.NewWriter(part)
		if _, err := encoder.Write([]byte(p.body)); err != nil {
			return nil, err
		}
		if err := encoder.Close(); err != nil {
			return nil, err
		}
	}
	err := parts.Close()
	return out.Bytes(), err
}

// thread names a grant's conversation, as the Message-ID of a mail that was never sent: readers' programs put mails that
// refer to the same one together.
func thread(topic, from string) string {
	_, domain, ok := strings.Cut(from, "@")
	if !ok {
		return ""
	}
	return "<" + token(topic) + "@" + token(domain) + ">"
}

// token drops what has a meaning in a header.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return -1
	}, s)
}
