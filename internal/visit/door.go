package visit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/entry"
)

// Enterer opens sessions: the way from the provider's own credentials, or the door of the shell that one is in already.
type Enterer interface {
	// Enter opens a session; its errors are entry's Refusals.
	Enter(ctx context.Context, r entry.Request, progress func(string)) (entry.Opened, error)
}

// early is how long before their end credentials are renewed.
const early = 5 * time.Minute

// ask is what is said to a door, one line of JSON.
type ask struct {
	// Enter is another customer's account; nil: the credentials of the visit itself.
	Enter *entry.Request `json:"enter,omitempty"`
}

// answer is a line of what it says. All but the last one tell progress.
type answer struct {
	Progress string         `json:"progress,omitempty"`
	Refusal  *entry.Refusal `json:"refusal,omitempty"`
	Visit    *entry.Visit   `json:"visit,omitempty"`
	Key      string         `json:"key,omitempty"`
	Secret   string         `json:"secret,omitempty"`
	Token    string         `json:"token,omitempty"`
}

// Door gives the shell of a visit its credentials.
type Door struct {
	dir     Dir
	way     Enterer
	request entry.Request
	now     func() time.Time

	mu     sync.Mutex
	opened entry.Opened
}

// NewDoor is the door of a visit that was opened by way with a request.
func NewDoor(dir Dir, way Enterer, r entry.Request, opened entry.Opened, now func() time.Time) *Door {
	return &Door{dir: dir, way: way, request: r, opened: opened, now: now}
}

// Serve answers until the context ends.
func (d *Door) Serve(ctx context.Context) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", d.dir.Socket())
	if err != nil {
		return nil, fmt.Errorf("opening the shell's door: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { d.serve(ctx, conn) })
		}
	})
	return func() {
		cancel()
		_ = listener.Close()
		running.Wait()
	}, nil
}

func (d *Door) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close()                                  //nolint:errcheck // nothing hangs on it
	context.AfterFunc(ctx, func() { _ = conn.Close() }) // the shell has ended
	reader := bufio.NewReader(conn)
	line, err := reader.ReadBytes('\n')
	var in ask
	if err != nil || json.Unmarshal(line, &in) != nil {
		return
	}
	go func() { // whoever asked has gone: nobody waits for the answer
		_, _ = reader.ReadByte()
		cancel()
	}()
	var mu sync.Mutex
	say := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(conn).Encode(a)
	}
	progress := func(text string) { say(answer{Progress: text}) }
	var opened entry.Opened
	if in.Enter != nil {
		opened, err = d.way.Enter(ctx, *in.Enter, progress)
	} else {
		opened, err = d.current(ctx, progress)
	}
	if err != nil {
		no, ok := errors.AsType[*entry.Refusal](err)
		if !ok {
			no = &entry.Refusal{Cause: entry.CauseOther, Says: err.Error()}
		}
		say(answer{Refusal: no})
		return
	}
	c := opened.Credentials
	say(answer{Visit: &opened.Visit, Key: c.AccessKeyID, Secret: c.SecretAccessKey, Token: c.SessionToken})
}

// current are the visit's credentials, renewed before they end.
func (d *Door) current(ctx context.Context, progress func(string)) (entry.Opened, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened.Expires.Sub(d.now()) > early {
		return d.opened, nil
	}
	renewed, err := d.way.Enter(ctx, d.request, progress)
	if err != nil {
		return entry.Opened{}, err
	}
	renewed.Since = d.opened.Since
	d.opened = renewed
	return renewed, d.dir.Note(renewed.Visit)
}

// Ask asks the door of the visit for its credentials.
func (d Dir) Ask(ctx context.Context, progress func(string)) (entry.Opened, error) {
	return d.say(ctx, ask{}, progress)
}

// Enter asks it for another customer's.
func (d Dir) Enter(ctx context.Context, r entry.Request, progress func(string)) (entry.Opened, error) {
	if r.Customer == "" {
		return entry.Opened{}, &entry.Refusal{Cause: entry.CauseOther, Says: "from a customer's account only customers of the registry are entered, not ARNs", Next: "Leave this shell first: exit"}
	}
	return d.say(ctx, ask{Enter: &r}, progress)
}

func (d Dir) say(ctx context.Context, question ask, progress func(string)) (entry.Opened, error) {
	gone := &entry.Refusal{Cause: entry.CauseOther, Says: "the countersign that opened this shell has ended", Next: "Leave the shell (exit), and enter again."}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", d.Socket())
	if err != nil {
		return entry.Opened{}, gone
	}
	defer conn.Close() //nolint:errcheck // nothing hangs on it
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := json.NewEncoder(conn).Encode(question); err != nil {
		return entry.Opened{}, gone
	}
	for answers := json.NewDecoder(conn); ; {
		var a answer
		if err := answers.Decode(&a); err != nil {
			if ctx.Err() != nil {
				return entry.Opened{}, ctx.Err()
			}
			return entry.Opened{}, gone
		}
		switch {
		case a.Refusal != nil:
			return entry.Opened{}, a.Refusal
		case a.Visit != nil:
			return entry.Opened{Visit: *a.Visit, Credentials: aws.Credentials{
				AccessKeyID: a.Key, SecretAccessKey: a.Secret, SessionToken: a.Token, Source: "countersign",
				CanExpire: true, Expires: a.Visit.Expires, AccountID: a.Visit.Account,
			}}, nil
		case progress != nil:
			progress(a.Progress)
		}
	}
}
