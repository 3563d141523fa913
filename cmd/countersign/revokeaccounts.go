package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

const outPlanned = "to be revoked"

// revokeAccounts revokes all grants of a provider in many accounts, the Denies of all accounts first.
//
// With --yes an account's Denies are written as soon as it is known what it has: none waits for another account, which may hang.
// A person has to see all of them before the first. Trust policies wait for all Denies either way.
func (c *cli) revokeAccounts(ctx context.Context, f revokeFlags) error {
	cfg, err := f.config(ctx)
	if err != nil {
		return err
	}
	m := c.meter(0)
	t := newTour(ctx, cfg, f.accountFlags, f.reason, m)
	err = t.visit(ctx, func(s *site) {
		t.look(ctx, f, s)
		if ctx.Err() != nil {
			s.unread = []outcome{{Account: s.ID, Outcome: outUntried, Why: "interrupted"}}
		}
		for _, o := range s.unread {
			m.note(o.Account + "  " + o.Outcome)
		}
		if f.dryRun {
			s.plan()
		}
		m.looked(len(s.todo))
		if f.yes {
			c.denyAll(ctx, f, s.batch, m)
		}
	})
	if err != nil {
		return err
	}
	if err := t.none(f.provider); err != nil {
		return err
	}
	todo := slices.DeleteFunc(slices.Clone(t.sites), func(s *site) bool { return len(s.todo) == 0 })
	if len(todo) > 0 && !f.yes {
		m.end()
		ok, err := c.confirm(t.question(f.provider, todo))
		if err != nil {
			return err
		}
		if !ok {
			return fail(exitRefused, "", "nothing was changed")
		}
		each(slices.Values(todo), func(s *site) { c.denyAll(ctx, f, s.batch, m) })
	}
	m.end()
	if len(todo) > 0 {
		m = m.next(0)
		for _, s := range t.sites {
			m.total += len(s.members)
		}
		each(slices.Values(t.sites), func(s *site) { c.closeAll(ctx, f, s.batch, m) })
		m.end()
		c.say("%swhat was built or shared meanwhile. Undo, with the account's own credentials: countersign restore GRANT --stack NAME --reason … (--json tells the names)", notUndone)
	}
	if err := c.printTour(f, t); err != nil {
		return err
	}
	return t.verdict(f)
}

// plan says what would be done, and leaves nothing to do.
func (s *site) plan() {
	for _, i := range s.todo {
		s.out[i].Outcome = outPlanned
	}
	s.todo = nil
}

// none is the error of a provider that has no grant, where everything was seen.
func (t *tour) none(provider string) error {
	var known []string
	for _, s := range t.sites {
		if len(s.all()) > 0 || t.cut != nil {
			return nil
		}
		known = append(known, s.known...)
	}
	slices.Sort(known)
	known = slices.DeleteFunc(slices.Compact(known), func(name string) bool { return name == "" })
	next := "None has any; --regions says where to look."
	if len(known) > 0 {
		next = printable(strings.Join(known, ", ")) + " is what has grants there."
	}
	entered, _ := t.entered()
	return fail(exitInput, next, "no grant of provider %.60q in %s, in %s", provider, count(len(entered), "account"), strings.Join(t.flags.regions, ", "))
}

// entered are the accounts that the tour was to go into, and those that it left out.
func (t *tour) entered() (in, out []*site) {
	for _, s := range t.sites {
		if s.leftOut == "" {
			in = append(in, s)
		} else {
			out = append(out, s)
		}
	}
	return in, out
}

// question lists what will be revoked where, and where nothing can be.
func (t *tour) question(provider string, todo []*site) string {
	b := block{}
	grants := 0
	for _, s := range todo {
		b.wrapAt("  "+printable(s.label())+"  ", listed(s.left()), 4)
		grants += len(s.todo)
	}
	for _, s := range t.sites {
		for _, o := range s.unread {
			b.wrapAt("  "+printable(s.ID)+"  not read: ", printable(o.Why), 4)
		}
	}
	if t.cut != nil {
		b.wrapFlat(printable("There may be more accounts: " + t.cut.Error()))
	}
	return fmt.Sprintf("%sRevoke these %s of %s in %s? Live sessions end too.", b.String(), count(grants, "grant"), printable(provider), count(len(todo), "account"))
}

// visited is what a tour says of an account as JSON.
type visited struct {
	Account string    `json:"account"`
	Name    string    `json:"name,omitempty"`
	Seen    bool      `json:"seen"` // all of it
	LeftOut string    `json:"leftOut,omitempty"`
	Unread  []outcome `json:"unread,omitempty"`
	Grants  []outcome `json:"grants"`
}

func (c *cli) printTour(f revokeFlags, t *tour) error {
	if c.json {
		all := []visited{}
		for _, s := range t.sites {
			all = append(all, visited{s.ID, s.Name, s.leftOut == "" && len(s.unread) == 0, s.leftOut, s.unread, s.out})
		}
		return writeJSON(c.stdout, struct {
			Provider string    `json:"provider"`
			Regions  []string  `json:"regions"`
			Accounts []visited `json:"accounts"`
		}{f.provider, t.flags.regions, all})
	}
	var all []outcome
	said := map[string]bool{}
	for _, s := range t.sites {
		for _, o := range s.all() {
			if said[o.Next] {
				o.Next = "" // what to do about many stands once
			}
			said[o.Next] = true
			all = append(all, o)
		}
	}
	in, out := t.entered()
	b := block{}
	without := 0
	for _, s := range in {
		if len(s.all()) == 0 {
			without++
		}
	}
	b.wrapFlat(fmt.Sprintf("%s in %s, %d without a grant of %s.", count(len(in), "account"), strings.Join(t.flags.regions, ", "), without, printable(f.provider)))
	for _, s := range out {
		b.wrapFlat("Left out: " + printable(s.label()) + " (" + printable(s.leftOut) + ")")
	}
	_, err := io.WriteString(c.stdout, outcomeTable(all, c.now())+b.String())
	return err
}

// verdict is the error that the tour ends with: nil only where every account was seen, and all that is there is revoked.
func (t *tour) verdict(f revokeFlags) error {
	in, _ := t.entered()
	var all, grants []outcome
	unread := 0
	for _, s := range in {
		all, grants = append(all, s.all()...), append(grants, s.out...)
		if len(s.unread) > 0 {
			unread++
		}
	}
	_, interrupted, code := worst(all)
	var what []string
	if unread > 0 {
		what = append(what, fmt.Sprintf("%d of %d accounts could not be read in full", unread, len(in)))
	}
	if left, _, _ := worst(grants); left > 0 {
		what = append(what, fmt.Sprintf("%d of %d grants are not revoked", left, len(grants)))
	}
	if t.cut != nil {
		what, code = append(what, t.cut.Error()), max(code, exitFailed)
	}
	if len(what) == 0 {
		return nil
	}
	return fail(code, "What is done stays done. To go on: "+f.again(), "%s%s", interrupted, strings.Join(what, ", "))
}

// again is the command that goes on.
func (f revokeFlags) again() string {
	words := []string{"countersign", "revoke", "--provider", f.provider}
	words = append(words, f.accountFlags.where()...)
	if f.dryRun {
		words = append(words, "--dry-run")
	}
	if f.reason != "" {
		words = append(words, "--reason", f.reason)
	}
	return commandLine(append(words, f.remoteFlags.where()...)...)
}
