package conformance

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Run runs a case and returns what it found wrong, instead of failing t.
func Run(t testing.TB, c Case, a Account) (wrong []string) {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // of its own, so that Fatalf can end it
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.note(fmt.Sprint("panic: ", p))
			}
		}()
		c.Check(r, a)
	}()
	<-done
	return r.wrong
}

// recorder is a test that fails by itself.
type recorder struct {
	testing.TB
	wrong []string
}

func (r *recorder) note(what string)             { r.wrong = append(r.wrong, strings.TrimSpace(what)) }
func (r *recorder) Error(args ...any)            { r.note(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.note(fmt.Sprintf(f, args...)) }
func (r *recorder) Fatal(args ...any)            { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, args ...any) { r.Errorf(f, args...); runtime.Goexit() }
func (r *recorder) Fail()                        { r.note("failed") }
func (r *recorder) FailNow()                     { r.note("failed"); runtime.Goexit() }
func (r *recorder) Failed() bool                 { return len(r.wrong) > 0 }
func (r *recorder) Skip(args ...any)             { r.note("skipped: " + fmt.Sprint(args...)); runtime.Goexit() }
func (r *recorder) Skipf(f string, args ...any)  { r.Skip(fmt.Sprintf(f, args...)) }
func (r *recorder) SkipNow()                     { r.Skip("") }
