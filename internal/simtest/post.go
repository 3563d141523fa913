package simtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

// post is what the invariants remember of what destinations were told (I11).
type post struct {
	refused bool                 // the webhook has answered 410
	marked  int                  // the step in which notify marked it as disabled; 0: it didn't
	looked  map[*sim.Process]int // the step in which a process last read the marks
	taken   map[string]bool      // events that the webhook took
}

func newPost() post { return post{looked: map[*sim.Process]int{}, taken: map[string]bool{}} }

// answers is how the webhook behaves in a run. In the calm at the end it takes everything, unless it is gone.
func (r *run) answers(n int, d sim.Delivery) sim.Behaviour {
	of := r.on("endpoint").nth(n)
	switch {
	case r.profile.gone > 0 && r.Now().Sub(r.began) >= r.profile.gone:
		r.watch.refused = true
		return sim.Behaviour{Status: http.StatusGone}
	case !r.over && of.chance(r.profile.unwilling):
		return pick(of.nth(1), []sim.Behaviour{
			{Status: http.StatusInternalServerError}, {Status: http.StatusFound}, {Status: http.StatusTooManyRequests, RetryAfter: "600"},
			{Hang: true}, {Err: sim.ErrReset}, {Err: sim.ErrBadTLS},
		})
	}
	r.watch.taken[d.ID] = true
	r.Taken++
	return sim.Behaviour{}
}

// lying is a message on notify's queue, or with the dead letters: a delivery, or an event that wasn't handed out yet.
type lying struct {
	Deliver struct {
		ID          string      `json:"eventId"`
		Kind        events.Type `json:"event"`
		Version     string      `json:"versionId"`
		Destination string      `json:"destination"`
		Attempt     int         `json:"attempt"`
	} `json:"deliver"`
	Detail struct {
		Metadata events.Metadata `json:"metadata"`
	} `json:"detail"`
}

func readLying(body []byte) (m lying) {
	_ = json.Unmarshal(body, &m) // a forged one may be anything
	return m
}

// posted holds notify to what endpoints say (I11), at each call: one that answered 410 is told nothing by who could know it, one
// that didn't isn't disabled, and nothing is given up while attempts are left.
func (w *watch) posted(s sim.Seen) {
	if s.Action == "SendRawEmail" && s.Done {
		w.lettered()
	}
	hooks := w.plan.Notify.By(grant.Webhook)
	if hooks == nil && s.Resource != DeadQueue {
		return
	}
	ours := hooks != nil && s.Resource == hooks[0].Secret
	switch {
	case ours && s.Action == "DescribeSecret" && s.Done:
		w.looked[s.Process] = w.Steps
	case ours && s.Action == "TagResource" && s.Done:
		if !w.refused {
			_ = w.violated("I11", "%s disabled a webhook that never answered 410", s.Actor)
		}
		if w.marked == 0 {
			w.marked = w.Steps
			w.Gone++
		}
	case s.Service == "webhook" && w.marked > 0 && w.looked[s.Process] > w.marked:
		_ = w.violated("I11", "a webhook was told that had been disabled in step %d", w.marked)
	case s.Action == "SendMessage" && s.Resource == DeadQueue && s.Done:
		letters := w.Queue(DeadQueue).Messages()
		w.givenUp(readLying(letters[len(letters)-1]))
	}
}

// deliveries is how many attempts a message has that knows no deadline.
const deliveries = 10

// givenUp is told of a message that notify put with the dead letters.
func (w *watch) givenUp(m lying) {
	d := m.Deliver
	for _, v := range w.Secrets.Stored(w.plan.SecretARN) {
		overlap := w.plan.OverlapOf(v.ID)
		if d.Kind == events.TypeExternalIDRotated && v.ID == d.Version && overlap > 0 && !w.Now().Before(v.Created.Add(overlap).Truncate(time.Second)) {
			return
		}
	}
	if d.Attempt < deliveries {
		_ = w.violated("I11", "%q was given up after attempt %d of %d at %s", d.Kind, d.Attempt, deliveries, d.Destination)
	}
}

// letter is how the mail about an event begins, and which classes of events it is of for the provider, beside all: a second
// reading of the table of package events.
type letter struct {
	begins  []string
	classes []events.Class
}

var letterOf = map[events.Type]letter{
	events.TypeAccessGranted:       {[]string{"access granted"}, []events.Class{events.Action}},
	events.TypeAccessExpired:       {[]string{"access expired"}, []events.Class{events.Revoke}},
	events.TypeAccessRevoked:       {[]string{"access revoked"}, []events.Class{events.Revoke}},
	events.TypeAccessRestored:      {[]string{"access restored"}, []events.Class{events.Action, events.Revoke}},
	events.TypeExternalIDRotated:   {[]string{"new external ID", "reminder"}, []events.Class{events.Action}},
	events.TypeExternalIDConfirmed: {[]string{"external ID confirmed"}, nil},
	events.TypeRotationUnconfirmed: {[]string{"confirm the new external ID"}, []events.Class{events.Action}},
	events.TypePreviousRetired:     {[]string{"previous external ID ended"}, nil},
	events.TypeTestRequested:       {[]string{"TEST"}, []events.Class{events.Action, events.Revoke}},
}

// wants says whether a destination of the provider's asked to be told of an event. One that says nothing is a person, who hears
// of what is to be done and of revocations, or a webhook, which hears of everything.
func wants(d grant.Destination, kind events.Type) bool {
	asked := d.On
	if asked == nil && d.Channel == grant.Mail {
		asked = []events.Class{events.Action, events.Revoke}
	}
	return asked == nil || slices.Contains(asked, events.All) ||
		slices.ContainsFunc(letterOf[kind].classes, func(c events.Class) bool { return slices.Contains(asked, c) })
}

// lettered holds the mail that went out last, whatever made notify send it, to what its address asked to be told of.
func (w *watch) lettered() {
	letters := w.Letters()
	last := letters[len(letters)-1]
	_, subject, _ := strings.Cut(last.Subject, ": ")
	if strings.HasPrefix(last.Subject, "[Countersign] weekly digest") {
		w.Digests++
		if to := w.plan.Notify.By(grant.Mail)[0]; last.To[0] != to.Address || !slices.Contains(to.On, events.Digest) {
			_ = w.violated("I11", "a digest went to an address that had asked for %v", to.On)
		}
		return
	}
	for kind, of := range letterOf {
		if !slices.ContainsFunc(of.begins, func(words string) bool { return strings.HasPrefix(subject, words) }) {
			continue
		}
		for _, to := range w.plan.Notify.By(grant.Mail) {
			if to.Address == last.To[0] && wants(to, kind) {
				return
			}
		}
	}
	_ = w.violated("I11", "a mail said %q to an address that had asked for other things", last.Subject)
}

// delivered is I11, asked at the end: of every event that the bus took each destination was told, or it will be, or lies with
// the dead letters.
//
// Who asked for other classes of events (on, in access.yaml) is told nothing of it. Not asked of a webhook that is disabled, nor of a rotation or a restore whose version has no label any more: nobody needs
// to hear of it.
func (w *watch) delivered(said []events.Event) error {
	lies := map[string]bool{}
	for _, queue := range []string{MailQueue, DeadQueue} {
		for _, body := range w.Queue(queue).Messages() {
			m := readLying(body)
			channel, _, _ := strings.Cut(m.Deliver.Destination, "-")
			lies[channel+" "+m.Deliver.ID], lies["event "+m.Detail.Metadata.ID] = true, true
		}
	}
	labelled := map[string]bool{}
	for _, stage := range []string{grant.StageCurrent, grant.StagePending, grant.StagePrevious} {
		version, _ := w.Secrets.Labelled(w.plan.SecretARN, stage)
		labelled[version] = true
	}
	letters := w.Letters()
	for _, e := range said {
		version, about := "", ""
		switch d := e.Data.(type) {
		case *events.ExternalIDRotated:
			version, about = d.VersionID, d.VersionID
		case *events.PreviousRetired:
			about = d.VersionID
		case *events.AccessRevoked:
			about = d.RevokeID
		case *events.AccessRestored:
			version, about = d.VersionID, d.RevokeID
		}
		id := e.Metadata.ID
		if about == "" || e.Metadata.Time.Before(w.began) || version != "" && !labelled[version] || lies["event "+id] {
			continue
		}
		for _, to := range w.plan.Destinations() {
			told := w.taken[id]
			if to.Channel == grant.Mail {
				told = mailed(letters, e.Data.Type(), about)
			}
			switch asked := wants(to, e.Data.Type()); {
			case told && !asked:
				return w.violated("I11", "%s was told of %q of %s, and had asked for %v", to.Name, e.Data.Type(), about, to.On)
			case asked && !told && !lies[string(to.Channel)+" "+id] && (to.Channel == grant.Mail || w.marked == 0):
				return w.violated("I11", "%s was not told of %q of %s", to.Name, e.Data.Type(), about)
			}
		}
	}
	return nil
}

func mailed(letters []sim.Letter, kind events.Type, about string) bool {
	for _, l := range letters {
		_, subject, _ := strings.Cut(l.Subject, ": ")
		for _, words := range letterOf[kind].begins {
			if strings.HasPrefix(subject, words) && strings.Contains(l.Text, about) {
				return true
			}
		}
	}
	return false
}

// forgedDelivery is a message that somebody might write to notify's queue.
func (a *acting) forgedDelivery(d dice, version string) []byte {
	switch of := d.nth(8).share(); {
	case of < 0.3:
		return []byte(WeeklyMessage)
	case of < 0.4:
		return fmt.Appendf(nil, `{"mail":{"said":"Email Bounced","bounceType":"Permanent","messageId":"%032x","grant":"migration","event":"%032x","destination":%q}}`,
			uint64(d), uint64(d), pick(d.nth(9), []string{"mail-0123456789abcdef", "mail-eve@example.com"}))
	}
	kind := pick(d.nth(1), events.Types())
	destination := pick(d.nth(2), []string{"mail-0123456789abcdef", "webhook-0123456789abcdef", "mail-eve@example.com", ""})
	if real := a.Queue(MailQueue).Messages(); len(real) > 0 && d.nth(3).chance(0.5) {
		destination = readLying(real[0]).Deliver.Destination // the right one, of what waits
	}
	return fmt.Appendf(nil, `{"deliver":{"eventId":"%032x","event":%q,"grant":"migration","versionId":%q,"revokeId":%q,"disabled":%q,"destination":%q,"attempt":%d,"notBefore":%q}}`,
		uint64(d), kind, version, pick(d.nth(4), []string{"", "rv-20260101T000000Z-00000000"}), pick(d.nth(5), []string{"", "webhook 1"}),
		destination, d.nth(6).below(12), a.Now().Add(d.nth(7).between(0, 20*time.Hour)).Format(time.RFC3339))
}
