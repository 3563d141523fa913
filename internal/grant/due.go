package grant

import (
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/form"
)

// Retries is longer than Secrets Manager goes on trying a rotation. AWS says "multiple times", and no time.
const Retries = 2 * time.Hour

// DueBy is when the schedule has given the grant another external ID at the latest, if nothing goes wrong. since is the
// moment from which on it could: the current ID was made, or a pause ended. The zero time: nothing rotates it by itself.
//
// An ID that is made on demand just before the schedule's window holds the schedule back while the one before it is still
// accepted, until the window after that.
func (p Plan) DueBy(since time.Time) time.Time {
	longest, window := p.rhythm()
	if longest == 0 {
		return time.Time{}
	}
	return since.Add(longest + time.Duration(p.Overlap) + window + Retries)
}

var daysForm = form.New(`^([1-9][0-9]{0,2}) days?$`)

// rhythm is the longest time between the beginnings of two windows of the schedule, and how long a window is. A test holds
// it to package access's schedules.
func (p Plan) rhythm() (longest, window time.Duration) {
	const day = 24 * time.Hour
	switch p.RotateEvery {
	case "4h", "6h", "8h", "12h":
		hours, _ := strconv.Atoi(strings.TrimSuffix(p.RotateEvery, "h"))
		return time.Duration(hours) * time.Hour, time.Hour
	case "daily":
		return day, time.Hour
	case "weekly":
		return 7 * day, time.Hour
	case "monthly":
		return 31 * day, time.Hour
	}
	if m := daysForm.FindStringSubmatch(p.RotateEvery); m != nil {
		n, _ := strconv.Atoi(m[1])
		return time.Duration(n) * day, day
	}
	return 0, 0
}
