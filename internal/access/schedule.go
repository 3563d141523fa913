package access

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/form"
	"github.com/countersign/countersign/internal/grant"
)

// Every is how often an external ID is rotated: 4h, 6h, 8h, 12h, daily, weekly, monthly, "N days" or never.
type Every string

// The words among the schedules.
const (
	Daily   Every = "daily"
	Weekly  Every = "weekly"
	Monthly Every = "monthly"
	Never   Every = "never" // on demand only
)

var (
	hourForm = form.New(`^(4|6|8|12)h$`)
	dayForm  = form.New(`^([1-9][0-9]{0,2}) days?$`)
)

const cronWindow = time.Hour

// Schedule is when Secrets Manager may start a rotation.
type Schedule struct {
	Expression string        // cron(…) or rate(…), for RotationRules.ScheduleExpression; "" means never
	Duration   string        // for RotationRules.Duration; "" where the window is the whole day
	Window     time.Duration // how long a window stays open
	Interval   time.Duration // shortest time between the starts of two windows

	hours    []int // UTC, ascending
	day      int   // of the month
	weekday  time.Weekday
	everyDay int // N of "N days"
	kind     Every
}

// IsZero says that nothing is scheduled.
func (s Schedule) IsZero() bool { return s.Expression == "" }

// Schedule is the grant's schedule. Hour and day follow from a hash of its name, so that many grants don't rotate at once
// and a grant keeps its hour.
func (g *Grant) Schedule() Schedule {
	s, _ := g.RotateEvery.schedule(g.Name)
	return s
}

func (e Every) schedule(name grant.Name) (s Schedule, ok bool) {
	h := fnv.New64a()
	h.Write([]byte(name))
	sum := h.Sum64()
	hour, rest := int(sum%24), sum/24
	s = Schedule{kind: e, Duration: "1h", Window: cronWindow, hours: []int{hour}}
	switch {
	case e == Never:
		return Schedule{}, true
	case e == Daily:
		s.Interval = 24 * time.Hour
		s.Expression = fmt.Sprintf("cron(0 %d * * ? *)", hour)
	case e == Weekly:
		s.Interval = 7 * 24 * time.Hour
		s.weekday = time.Weekday(rest % 7)
		s.Expression = fmt.Sprintf("cron(0 %d ? * %s *)", hour, strings.ToUpper(s.weekday.String()[:3]))
	case e == Monthly:
		s.Interval = 28 * 24 * time.Hour
		s.day = int(rest%28) + 1 // a day that each month has
		s.Expression = fmt.Sprintf("cron(0 %d %d * ? *)", hour, s.day)
	case hourForm.MatchString(string(e)):
		n, _ := strconv.Atoi(strings.TrimSuffix(string(e), "h"))
		s.Interval = time.Duration(n) * time.Hour
		s.hours = nil
		var list []string
		for at := hour % n; at < 24; at += n {
			s.hours = append(s.hours, at)
			list = append(list, strconv.Itoa(at))
		}
		s.Expression = fmt.Sprintf("cron(0 %s * * ? *)", strings.Join(list, ","))
	case dayForm.MatchString(string(e)):
		n, _ := strconv.Atoi(dayForm.FindStringSubmatch(string(e))[1])
		s = Schedule{kind: e, Window: 24 * time.Hour, Interval: time.Duration(n) * 24 * time.Hour, everyDay: n}
		unit := "days"
		if n == 1 {
			unit = "day"
		}
		s.Expression = fmt.Sprintf("rate(%d %s)", n, unit)
	default:
		return Schedule{}, false
	}
	return s, true
}

// defaultOverlap is a day, or as many whole hours as half of what the schedule leaves.
func (s Schedule) defaultOverlap() time.Duration {
	if s.IsZero() {
		return 24 * time.Hour
	}
	return min(24*time.Hour, ((s.Interval - s.Window) / 2).Truncate(time.Hour))
}

// Window is one time in which a rotation may start.
type Window struct{ Start, End time.Time }

// Next is the next n windows that start after the given time. Those of "N days" count from it as if it were the last
// rotation: they follow the last rotation, and start at midnight.
func (s Schedule) Next(after time.Time, n int) []Window {
	if s.IsZero() {
		return nil
	}
	after = after.UTC()
	day := time.Date(after.Year(), after.Month(), after.Day(), 0, 0, 0, 0, time.UTC)
	var out []Window
	if s.everyDay > 0 {
		for i := range n {
			at := day.AddDate(0, 0, s.everyDay*(i+1))
			out = append(out, Window{at, at.Add(s.Window)})
		}
		return out
	}
	for ; len(out) < n; day = day.AddDate(0, 0, 1) {
		if s.kind == Weekly && day.Weekday() != s.weekday || s.kind == Monthly && day.Day() != s.day {
			continue
		}
		for _, hour := range s.hours {
			if at := day.Add(time.Duration(hour) * time.Hour); at.After(after) && len(out) < n {
				out = append(out, Window{at, at.Add(s.Window)})
			}
		}
	}
	return out
}

// String says the schedule in words: "monthly, day 4, between 03:00 and 04:00 UTC".
func (s Schedule) String() string {
	switch {
	case s.IsZero():
		return "never by itself, on demand only"
	case s.everyDay > 0:
		return fmt.Sprintf("every %s after the last rotation, at any time of that day (UTC)", plural(s.everyDay, "day"))
	case len(s.hours) > 1:
		var at []string
		for _, h := range s.hours {
			at = append(at, fmt.Sprintf("%02d:00", h))
		}
		return fmt.Sprintf("every %d h, within the hour after %s UTC", int(s.Interval.Hours()), strings.Join(at, ", "))
	}
	when := ""
	switch s.kind {
	case Weekly:
		when = ", " + s.weekday.String()
	case Monthly:
		when = fmt.Sprintf(", day %d", s.day)
	}
	return fmt.Sprintf("%s%s, between %02d:00 and %02d:00 UTC", s.kind, when, s.hours[0], (s.hours[0]+1)%24)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
