package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/countersign/countersign/internal/grant"
)

// Letter is a mail that SES took.
type Letter struct {
	From                string
	To                  []string
	Subject, Text, HTML string
	Thread              string // message id in References
	Tags                map[string]string
}

// Form is any type with the fields of Letter, in that order.
type Form interface {
	~struct {
		From                string
		To                  []string
		Subject, Text, HTML string
		Thread              string
		Tags                map[string]string
	}
}

// Mail is AWS SES for callers whose mails have the type M.
type Mail[M Form] struct{ w *World }

// NewMail makes a sender for mails of type M.
func NewMail[M Form](w *World) *Mail[M] { return &Mail[M]{w} }

// SendMail is SendRawEmail.
func (m *Mail[M]) SendMail(ctx context.Context, mail M) error {
	letter := Letter(mail)
	return do(ctx, m.w, "ses", "SendRawEmail", letter.From, func() error {
		switch {
		case m.w.senders != nil && !m.w.senders[letter.From]:
			return refuse(nil, "MessageRejected", "Email address is not verified.")
		case len(letter.To) == 0 || len(letter.To) > 50:
			return refuse(nil, "BadRequestException", "1 to 50 recipients, not %d", len(letter.To))
		case letter.Subject == "" || strings.ContainsAny(letter.Subject+letter.From+letter.Thread+strings.Join(letter.To, ""), "\r\n"):
			return refuse(nil, "BadRequestException", "headers of one line, and a subject")
		}
		letter.To = slices.Clone(letter.To)
		m.w.letters = append(m.w.letters, letter)
		m.w.feedback(letter)
		return nil
	})
}

// VerifySenders limits the senders that SES accepts to these. Before it is called every sender is verified.
func (w *World) VerifySenders(addresses ...string) {
	w.senders = map[string]bool{}
	for _, a := range addresses {
		w.senders[a] = true
	}
}

// Fate is what becomes of a mail after SES took it: SES's detail type, and of a bounce its type and sub type.
type Fate struct{ Said, BounceType, Cause string }

// Fates gives each mail its fate, by its recipient, and hands what SES says of it to a queue, in the form that the rule on SES's
// events gives it. A zero Fate is a mail that arrives: nothing is said. Before it is called all mails arrive.
func (w *World) Fates(of func(to string) Fate, tell *Queue) { w.fates, w.fateOut = of, tell }

func (w *World) feedback(l Letter) {
	if w.fates == nil {
		return
	}
	for _, to := range l.To {
		fate := w.fates(to)
		if fate.Said == "" {
			continue
		}
		body, err := json.Marshal(map[string]any{"mail": map[string]string{
			"said": fate.Said, "bounceType": fate.BounceType, "cause": fate.Cause, "messageId": fmt.Sprintf("letter-%d", len(w.letters)),
			"grant": l.Tags["grant"], "event": l.Tags["event"], "destination": l.Tags["destination"],
		}})
		if err != nil {
			panic(err) // strings always have a JSON form
		}
		w.fateOut.put(body, 0)
	}
}

// Letters lists the mails that SES took.
func (w *World) Letters() []Letter { return slices.Clone(w.letters) }

// Topics is AWS SNS.
type Topics struct {
	w         *World
	published map[string][]Published
}

// Published is one message of a topic.
type Published struct{ Subject, Message string }

// Create makes a topic. Nothing is recorded.
func (t *Topics) Create(topicARN string) {
	if _, ok := t.published[topicARN]; !ok {
		t.published[topicARN] = nil
	}
}

// Publish is SNS's Publish.
func (t *Topics) Publish(ctx context.Context, topicARN, subject, message string) error {
	return do(ctx, t.w, "sns", "Publish", topicARN, func() error {
		if _, ok := t.published[topicARN]; !ok {
			return refuse(grant.ErrNotFound, "NotFound", "Topic does not exist")
		}
		plain := func(r rune) bool { return r < 0x20 || r > 0x7e }
		if len(subject) >= 100 || strings.ContainsFunc(subject, plain) || subject != "" && unicode.IsSpace(rune(subject[0])) {
			return refuse(nil, "InvalidParameter", "Invalid parameter: Subject")
		}
		if message == "" || len(message) > 256<<10 {
			return refuse(nil, "InvalidParameter", "Invalid parameter: Message")
		}
		t.published[topicARN] = append(t.published[topicARN], Published{subject, message})
		return nil
	})
}

// Published lists what a topic got.
func (t *Topics) Published(topicARN string) []Published { return slices.Clone(t.published[topicARN]) }
