package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// Config is how a World starts. The zero value is a quiet one: no lag, no latency, no faults, seed 0.
type Config struct {
	Seed    uint64    // of everything that is random; the same seed and the same calls give the same world
	Start   time.Time // zero: 2026-01-01T00:00:00Z
	Account string    // the customer's, 12 digits; empty: 444455556666
	Region  string    // empty: eu-central-1

	// Replicas is how many data planes of IAM there are. STS and the evaluation of sessions ask the first; zero means
	// that they ask the control plane itself. Lag is how long a write takes until a replica (counted from 1) shows it,
	// asked once a write and replica; nil means at once.
	Replicas int
	Lag      func(replica int) time.Duration

	// IAMWrites and IAMReads are how many calls a second IAM takes from all callers together, with a burst of as many; what is
	// more is grant.ErrThrottled. Zero: any number.
	IAMWrites, IAMReads int

	Latency time.Duration // virtual time that every call takes
	Timeout time.Duration // of a function's invocation; zero: 5 minutes

	// Schedule decides what becomes of each call; nil: it works.
	Schedule func(Call) Outcome

	// Observe sees each call once the service has dealt with it, before the caller goes on; nil: nobody does.
	Observe func(Seen)

	Forget   bool         // calls and invocations aren't recorded: a long run would only fill memory
	Policies *PolicyCache // shared by the worlds of one goroutine; nil: one of its own
}

// World is one customer's AWS account and what it needs of the rest of AWS, on a virtual clock. It is not safe for
// concurrent use: processes (see Go) take turns.
type World struct {
	IAM        *IAM
	STS        *STS
	Secrets    *Secrets
	Parameters *Parameters
	Topics     *Topics
	SES        *SES
	Stacks     *Stacks

	// Schedule decides what becomes of each call; see Config.
	Schedule func(Call) Outcome

	cfg     Config
	now     time.Time
	random  *rand.Rand
	reader  *rand.ChaCha8
	queues  map[string]*Queue
	buses   map[string]*Bus
	apis    map[string]*API
	letters []Letter
	senders map[string]bool      // nil: every sender is verified
	fates   func(to string) Fate // nil: every mail arrives
	fateOut *Queue
	timers  []*timer
	acting  []source // see sources

	iamWrites, iamReads rate

	records     []Record
	ordinals    map[string]int
	invocations []Invocation
	serial      int           // of ids that AWS makes up
	asked       int           // the IAM replica that the call being made reads
	stale       time.Duration // how far that call lags behind in Secrets Manager
	running     *Process
	processes   []*Process
	deadlines   []*deadline
}

// New makes a World.
func New(cfg Config) *World {
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if cfg.Account == "" {
		cfg.Account = "444455556666"
	}
	if cfg.Region == "" {
		cfg.Region = "eu-central-1"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Minute
	}
	if cfg.Policies == nil {
		cfg.Policies = NewPolicyCache()
	}
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(cfg.Seed >> (8 * i))
	}
	w := &World{
		Schedule: cfg.Schedule, cfg: cfg, now: cfg.Start.UTC(),
		random: rand.New(rand.NewPCG(cfg.Seed, 0)), reader: rand.NewChaCha8(seed),
		queues: map[string]*Queue{}, buses: map[string]*Bus{}, ordinals: map[string]int{},
		iamWrites: perSecond(cfg.IAMWrites), iamReads: perSecond(cfg.IAMReads),
	}
	w.IAM = newIAM(w)
	w.STS = &STS{w}
	w.Secrets = &Secrets{w: w, byARN: map[string]*secret{}, disabledKeys: map[string]bool{}}
	w.Parameters = &Parameters{w: w, values: map[string]string{}}
	w.Topics = &Topics{w: w, published: map[string][]Published{}}
	w.SES = &SES{w: w, Enforcement: "HEALTHY", DailyQuota: 200, Identities: map[string]MailIdentity{}} // as AWS starts an account: in the sandbox
	w.Stacks = &Stacks{w: w, outputs: map[string]map[string]string{}}
	return w
}

// Now is the virtual time: the functions' seam Now.
func (w *World) Now() time.Time { return w.now }

// Rand is the seeded randomness: the functions' seam Rand.
func (w *World) Rand() io.Reader { return w.reader }

// Account is the customer's account, 12 digits.
func (w *World) Account() string { return w.cfg.Account }

// Region is the Region of everything that has one.
func (w *World) Region() string { return w.cfg.Region }

// Advance moves the virtual clock and nothing else; a negative d is a clock that jumps back. Sleep also runs what falls due.
func (w *World) Advance(d time.Duration) {
	w.now = w.now.Add(d)
	w.deadlines = slices.DeleteFunc(w.deadlines, func(d *deadline) bool { return d.expire() })
}

// unique makes up an id as AWS would: n characters of the alphabet.
func (w *World) unique(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[w.random.IntN(len(alphabet))]
	}
	return string(out)
}

// uuid makes up a version id as Secrets Manager does for a scheduled rotation.
func (w *World) uuid() string {
	const hex = "0123456789abcdef"
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", w.unique(hex, 8), w.unique(hex, 4), w.unique(hex, 3), w.unique(hex, 3), w.unique(hex, 12))
}
