package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/countersign/countersign/internal/simtest"
)

// logbook keeps what the functions log.
type logbook struct {
	bytes.Buffer
	lines int
}

// Write takes one line, as slog's handlers write it.
func (l *logbook) Write(p []byte) (int, error) {
	l.lines++
	return l.Buffer.Write(p)
}

// searched looks for the values of all external IDs where none may be.
func (y *Year) searched(context.Context) error {
	events := y.World.Bus(simtest.BusName).Archive()
	written, err := json.Marshal(events)
	if err != nil {
		return fmt.Errorf("writing the events: %w", err)
	}
	letters := y.World.Letters()
	var mail strings.Builder
	for _, l := range letters {
		mail.WriteString(l.Subject + l.Text + l.HTML)
	}
	places := []struct {
		name, text string
		n          int
	}{
		{"events", string(written), len(events)},
		{"mails", mail.String(), len(letters)},
		{"log lines", y.log.String(), y.log.lines},
	}
	found, counts := map[string]bool{}, []string(nil)
	for _, p := range places {
		here := 0
		for _, id := range y.ids {
			if strings.Contains(p.text, id[len(id)-32:]) {
				here++
				found[id] = true
			}
		}
		y.check("no external ID in the "+p.name, here == 0 && p.n > 0, fmt.Sprintf("%d found in %d %s", here, p.n, p.name))
		counts = append(counts, together(fmt.Sprintf("%d %s", p.n, p.name)))
	}
	y.say("%s in %s", together(fmt.Sprintf("%d of %d IDs", len(found), len(y.ids))), strings.Join(counts, ", "))
	return nil
}
