package deliver

import (
	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
)

// longer ends the sentence about the time of the previous ID: what is behind its deadline.
func (w words) longer() string {
	switch w.plan.WhenUnconfirmed {
	case grant.UnconfirmedAuto:
		return ", longer if you did not confirm the rotation before. Once you confirm the new one, it ends."
	case grant.UnconfirmedExtend:
		return ", longer until you confirm the new one."
	}
	return ". Then IAM refuses it by itself."
}

func (w words) confirmed(to events.Audience) Message {
	if to == events.Operators {
		return Message{
			Subject: "external ID confirmed",
			Lead:    "The new external ID of grant " + string(w.plan.Grant) + " is confirmed, and the one before it is ended.",
			Rows:    []Row{{Label: "Do", Text: "Nothing. See until when the one before is accepted:", Command: "countersign show " + string(w.plan.Grant)}, w.version()},
			Revoke:  grant.RevokeLine(w.plan.RoleName()),
		}
	}
	return Message{
		Subject: "external ID confirmed",
		Lead:    "The new external ID for account " + w.plan.Account + " is confirmed, and the one before it is ended.",
		Rows: []Row{
			w.pickUp("Nothing, if you enter with the current ID. Else read it"),
			w.version(),
		},
		Revoke: grant.RevokeLine(w.plan.RoleName()),
	}
}

func (w words) unconfirmed(to events.Audience) Message {
	account, provider := w.plan.Account, w.plan.Provider
	until, over := minute(w.facts.PreviousUntil), !w.facts.PreviousUntil.After(w.facts.Now)
	m := Message{Revoke: grant.RevokeLine(w.plan.RoleName())}
	says, when := "Until", until+" the previous ID also works"+w.longer()
	if over {
		says, when = "Since", until+" only the new ID is meant to be used. Scheduled rotations wait until it is confirmed."
	}
	if to == events.Operators {
		m.Subject = "external ID not confirmed"
		m.Lead = provider + " has not confirmed the new external ID of grant " + string(w.plan.Grant) + "."
		m.Rows = []Row{
			{Label: "Do", Text: "Ask " + provider + ". If it enters with the new ID, confirm it yourself:", Command: "countersign confirm " + string(w.plan.Grant)},
			{Label: says, Text: when}, w.version(),
		}
		return m
	}
	m.Subject = "confirm the new external ID"
	m.Lead = "Use the new external ID for account " + account + ", and confirm it."
	m.Rows = []Row{
		{Label: says, Text: when},
		w.pickUp("Enter with the new ID in a session named " + grant.ConfirmSession(w.facts.VersionID) + ", and confirm from there. Read it"),
		w.version(),
	}
	return m
}
