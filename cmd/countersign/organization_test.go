package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/foreign/foreigntest"
	"github.com/countersign/countersign/internal/grant"
)

// overAll revokes in all accounts.
var overAll = []string{"revoke", "--provider", "hestio", "--organization", "--reason", "contract ended", "--yes", "--rate", "1000"}

// fleetOf is an organisation of so many accounts besides the one that manages it. Each has a stack of a StackSet, and one of its own.
func fleetOf(n int) *fakeOrganization {
	f := newFakeOrganization()
	f.accounts, f.page = f.accounts[:1], 20
	for i := range n {
		id := fmt.Sprintf("40000000%04d", i)
		f.add(id, "account "+id, "ACTIVE", "r-abcd", []fakeStack{{"StackSet-hestio-" + id, "s1", 1}, {defaultStack, "s2", 1}}, "hestio/audit", "blox/metrics")
	}
	return f
}

// is says whether a call of an account begins so.
func is(call string, words ...string) bool {
	_, what, _ := strings.Cut(call, " ")
	return slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(what, word) })
}

// together holds calls back until so many are there, and says of what it waited in vain.
type together struct {
	t       *testing.T
	mu      sync.Mutex
	arrived map[string]int
	open    map[string]chan struct{}
}

func (g *together) wait(group string, n int) {
	g.mu.Lock()
	if g.open[group] == nil {
		g.open[group] = make(chan struct{})
	}
	if g.arrived[group]++; g.arrived[group] == n {
		close(g.open[group])
	}
	open := g.open[group]
	g.mu.Unlock()
	select {
	case <-open:
	case <-time.After(20 * time.Second):
		g.t.Errorf("%s: one of %d waits for another", group, n)
	}
}

// What it takes, counted. Each of the calls of a round is held until all of that round are there: they don't wait for one another, and the
// first write of an account is the fifth call in a row of those that do.
func TestWhatARevokeOverAccountsAsks(t *testing.T) {
	const n = accountsAtOnce - 1 // and the one that manages them: all at once
	f := fleetOf(n)
	g := &together{t: t, arrived: map[string]int{}, open: map[string]chan struct{}{}}
	f.hold = func(call string) {
		account, _, _ := strings.Cut(call, " ")
		switch {
		case is(call, "GetCallerIdentity"), call == groupAccount+" ListAccounts" && len(f.of("ListAccounts")) == 1:
			g.wait("who and which", 2)
		case is(call, "AssumeRole"):
			g.wait("entering", n)
		case is(call, "DescribeStacks", "GetParametersByPath", "ListRoles"):
			g.wait("looking into "+account, 3)
		case is(call, "deny"):
			g.wait("denying", n)
		}
	}
	if _, stderr, code := against(t, t.Context(), f, overAll...); code != exitDone {
		t.Fatalf("exit %d:\n%s", code, stderr)
	}
	counts := map[string]int{}
	for _, call := range f.said() {
		account, what, _ := strings.Cut(call, " ")
		if account != groupAccount {
			counts[what]++
		}
	}
	want := map[string]int{
		"AssumeRole": n, "DescribeStacks": n, "GetParametersByPath": n, "ListRoles": n, "GET s1 grants": n, // a stack without such a grant isn't asked
		"deny audit": n, "revoke audit": n, "GET s1 grants audit": n,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("asked %v\nwant  %v", counts, want)
	}
	if lists := len(f.of("ListAccounts")); lists != 2 {
		t.Errorf("%d lists of %d accounts, twenty a page", lists, n+1)
	}
	t.Logf("%d accounts with a grant each: %d calls, %d of them in each account; the first write is the fifth in a row", n, len(f.said()), len(counts))
}

// of are the calls that begin so, whichever account.
func (f *fakeOrganization) of(what string) (out []string) {
	for _, call := range f.said() {
		if is(call, what) {
			out = append(out, call)
		}
	}
	return out
}

var accounts = flag.Int("accounts", 40, "how many TestManyAccountsAreGoneThrough goes through")

// No more accounts than so many are under way, however many there are. A call takes a tenth of a second here; -v says how long all of it.
func TestManyAccountsAreGoneThrough(t *testing.T) {
	f := fleetOf(*accounts)
	began := time.Now()
	var mu sync.Mutex
	var lastDeny time.Duration
	underWay, most := 0, 0
	f.hold = func(call string) {
		mu.Lock()
		switch {
		case is(call, "AssumeRole"):
			underWay++
			most = max(most, underWay)
		case is(call, "deny"):
			underWay--
			lastDeny = time.Since(began)
		}
		mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
	stdout, stderr, code := against(t, t.Context(), f, overAll...)
	if n := strings.Count(stdout, "  revoked  "); code != exitDone || n != *accounts || most > accountsAtOnce || most < accountsAtOnce/2 {
		t.Errorf("exit %d, %d revoked, %d accounts under way:\n%s", code, n, most, stderr)
	}
	t.Logf("%d accounts, at 100 ms a call: the last Deny is asked for after %.1f s, all is read back after %.1f s", *accounts, lastDeny.Seconds(), time.Since(began).Seconds())
}

// An account that hangs keeps no other's Deny back, and no trust policy is closed before all Denies are written.
func TestADenyWaitsForNoOtherAccountAndATrustPolicyForAllDenies(t *testing.T) {
	f := newFakeOrganization()
	denied := make(chan struct{})
	var once sync.Once
	f.hold = func(call string) {
		switch call {
		case prodAccount + " deny audit":
			once.Do(func() { close(denied) })
		case devAccount + " DescribeStacks":
			select {
			case <-denied:
			case <-time.After(20 * time.Second):
				t.Error("prod's Deny waits for what dev has")
			}
		}
	}
	if stdout, stderr, code := against(t, t.Context(), f, overAll...); code != exitDone {
		t.Fatalf("exit %d:\n%s%s", code, stdout, stderr)
	}
	calls := f.said()
	lastDeny, firstClose := 0, len(calls)
	for i, call := range calls {
		switch {
		case is(call, "deny"):
			lastDeny = i
		case is(call, "revoke"):
			firstClose = min(firstClose, i)
		}
	}
	if len(f.of("deny")) != 3 || len(f.of("revoke")) != 3 || lastDeny > firstClose {
		t.Errorf("in this order: %v", calls)
	}
}

func TestAnInterruptedRevokeOverAccountsGoesOn(t *testing.T) {
	for _, at := range []string{"AssumeRole", "deny audit", "revoke audit"} {
		t.Run(at, func(t *testing.T) {
			f := newFakeOrganization()
			ctx, interrupt := context.WithCancel(t.Context())
			f.hold = func(call string) {
				if call == devAccount+" "+at {
					interrupt()
				}
			}
			stdout, stderr, code := against(t, ctx, f, overAll...)
			if code != exitFailed || !strings.Contains(stderr, "interrupted: ") || !strings.Contains(stderr, "To go on: countersign revoke --provider hestio --organization --reason 'contract ended'") {
				t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
			}
			f.forget()
			stdout, stderr, code = against(t, t.Context(), f, overAll...)
			if code != exitDone || strings.Contains(stdout, "not tried") || len(f.of("revoke")) == 0 {
				t.Errorf("exit %d:\n%s%s", code, stdout, stderr)
			}
			for _, a := range f.accounts {
				for _, g := range a.grants {
					if g.Provider == "hestio" && a.state != "SUSPENDED" && (!a.denied["ServiceProvider-"+g.Grant] || g.State != "closed") {
						t.Errorf("%s of %s is not revoked", g.Grant, a.id)
					}
				}
			}
		})
	}
}

// A grant that can't be revoked is told with its account, as JSON too, and no other waits for it.
func TestOneGrantOfManyAccountsFails(t *testing.T) {
	f := newFakeOrganization()
	f.account(devAccount).mode["audit"] = "forbidden"
	stdout, stderr, code := against(t, t.Context(), f, append(overAll, "--json")...)
	var said struct {
		Accounts []struct {
			Account, Name string
			Seen          bool
			Grants        []outcome
		}
	}
	if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != exitDenied || len(said.Accounts) != 6 || !strings.Contains(stderr, "1 of 4 grants are not revoked") {
		t.Fatalf("exit %d, %v:\n%s%s", code, err, stdout, stderr)
	}
	for _, a := range said.Accounts {
		want := outRevoked
		switch a.Account {
		case devAccount:
			want = outFailed
		case labAccount:
			want = outBefore
		}
		if a.Seen != (a.Account != oldAccount) || a.Grants == nil || slices.ContainsFunc(a.Grants, func(o outcome) bool { return o.Outcome != want || o.Account != a.Account }) {
			t.Errorf("%s: %+v", a.Account, a)
		}
	}
}

// Two stacks that both say that a grant is theirs: neither's API is believed, for the plan tells the role.
func TestAStackThatClaimsAnothersGrantIsNotAsked(t *testing.T) {
	f := newFakeOrganization()
	dev := f.account(devAccount)
	dev.stacks = append(dev.stacks, fakeStack{"lies", "s9", 0})
	dev.claims = "audit"
	if stdout, stderr, code := against(t, t.Context(), f, overAll...); code != exitDone || !strings.Contains(stdout, devAccount+"  audit   revoked ") {
		t.Fatalf("exit %d:\n%s%s", code, stdout, stderr)
	}
	for _, call := range f.said() {
		if strings.HasPrefix(call, devAccount+" GET") || strings.HasPrefix(call, devAccount+" deny") {
			t.Errorf("asked %s", call)
		}
	}
	if want := devAccount + " PutRolePolicy"; !slices.Contains(f.said(), want) {
		t.Errorf("no %s in %v", want, f.said())
	}
}

// What somebody wrote as an account's name, or a stack's, steers no terminal, in the table, in the question and as JSON.
func TestNamesOfAccountsAndStacksStayText(t *testing.T) {
	for _, text := range foreigntest.Strings("canary") {
		f := newFakeOrganization()
		f.mode["555566667777"] = "shut"
		f.mode["444455556666"] = "api"
		for _, a := range f.accounts {
			a.name = text
			for i := range a.stacks {
				a.stacks[i].name += text
			}
		}
		for _, more := range [][]string{{"--dry-run"}, {"--json"}, nil} {
			stdout, stderr, code := against(t, t.Context(), f, append(slices.Clone(overAll), more...)...)
			if code != exitDenied || !foreigntest.Tame(stdout+stderr) {
				t.Errorf("%q, %v: exit %d: %q", text, more, code, stdout+stderr)
			}
		}
	}
	tour := &tour{}
	s := &site{batch: newBatch([]member{{name: grant.Name("audit")}})}
	s.ID, s.Name, s.todo = prodAccount, "\x1b[2Jprod\u202e", []int{0}
	s.miss(fmt.Errorf("\x1b[31mno"), "")
	tour.sites = []*site{s}
	if text := tour.question("hestio\x07", tour.sites); !foreigntest.Tame(text) || !strings.Contains(text, "audit") {
		t.Errorf("asks %q", text)
	}
}

// The question lists what is revoked where, and what isn't, on a terminal of 80 columns.
func TestTheQuestionNamesAccountsAndGrants(t *testing.T) {
	var grants []member
	for i := range 20 {
		grants = append(grants, member{name: grant.Name(fmt.Sprintf("grant-%d", i)), account: prodAccount})
		grants[i].Provider = "hestio"
	}
	prod, dev, lab := &site{batch: newBatch(grants)}, &site{batch: newBatch(grants[:1])}, &site{batch: newBatch(nil)}
	prod.ID, prod.Name, dev.ID, lab.ID, lab.Name = prodAccount, "Production of the group", devAccount, labAccount, "lab"
	lab.miss(fmt.Errorf("entering it as %s: %w", defaultWayIn, grant.ErrDenied), "")
	tour := &tour{sites: []*site{prod, dev, lab}, cut: fmt.Errorf("listing: %w", grant.ErrThrottled)}
	want := `  444455556666 Production of the group  grant-0, grant-1, grant-2, grant-3,
    grant-4, grant-5, grant-6, grant-7, grant-8, grant-9, grant-10, grant-11,
    grant-12, grant-13, grant-14, grant-15, grant-16, grant-17, grant-18,
    grant-19
  555566667777  grant-0
  666677778888  not read: lab: entering it as OrganizationAccountAccessRole:
    access denied
There may be more accounts: listing: throttled
Revoke these 21 grants of hestio in 2 accounts? Live sessions end too.`
	if got := tour.question("hestio", tour.sites[:2]); got != want {
		t.Errorf("asks:\n%s", got)
	}
}
