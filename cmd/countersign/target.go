package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/provider"
)

// target is where somebody wants to go: a customer, or a role's ARN with an external ID.
type target struct {
	name    string
	roleARN string
	id      provider.ExternalID
}

// manyNames is how many customers a question or an error lists.
const manyNames = 10

// find says who is meant by a name, a part of one, an account or a role's ARN.
func (c *cli) find(ctx context.Context, w wayIn, word string) (target, error) {
	isARN := strings.HasPrefix(word, "arn:")
	rows, _, err := w.book.Rows(ctx, false)
	if err != nil {
		if customers.CheckName(word) == nil {
			return target{name: word}, nil // the entry reads its row, and says why it can't
		}
		if isARN {
			return target{roleARN: word}, nil
		}
		return target{}, err
	}
	found := matches(rows, word)
	switch {
	case len(found) == 1:
		return target{name: found[0].Name}, nil
	case isARN:
		return target{roleARN: word}, nil
	case len(found) > 1:
		return c.choose(ctx, word, found)
	case customers.CheckName(word) == nil:
		return target{name: word}, nil // newer than the copy, or unknown: the entry says so
	}
	return target{}, fail(exitInput, "countersign list customers shows all of them.", "%w", customers.Unknown(word, nil))
}

// matches are the customers that a word may stand for: the one of that name, or else those of that role or account, or else those
// whose name holds it.
func matches(rows []customers.Customer, word string) (found []customers.Customer) {
	for _, is := range []func(customers.Customer) bool{
		func(r customers.Customer) bool { return r.Name == word },
		func(r customers.Customer) bool { return word != "" && (r.RoleARN == word || r.Account == word) },
		func(r customers.Customer) bool { return word != "" && strings.Contains(r.Name, word) },
	} {
		for _, r := range rows {
			if is(r) {
				found = append(found, r)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// choose asks which of several customers is meant, where there is a terminal.
func (c *cli) choose(ctx context.Context, word string, found []customers.Customer) (target, error) {
	names := make([]string, 0, manyNames)
	for _, f := range found[:min(manyNames, len(found))] {
		names = append(names, f.Name)
	}
	more := ""
	if len(found) > manyNames {
		more = fmt.Sprintf(" and %d more", len(found)-manyNames)
	}
	if c.json || !isTerminal(c.stdin) || !isTerminal(c.stderr) || more != "" {
		return target{}, fail(exitInput, "Say more of the name.", "%q may be %s%s", printable(word), strings.Join(names, ", "), more)
	}
	for i, f := range found {
		c.tell("%3d  %s  %s  %s\n", i+1, f.Name, f.Account, printable(f.Grant))
	}
	number, err := c.askNumber(ctx, "Which one? ", len(found))
	if err != nil {
		return target{}, err
	}
	return target{name: found[number].Name}, nil
}

// askNumber asks for one of so many lines, and gives its index.
func (c *cli) askNumber(ctx context.Context, question string, of int) (int, error) {
	c.tell("%s", question)
	line, err := typed(ctx, func() (string, error) { return bufio.NewReader(c.stdin).ReadString('\n') })
	if ctx.Err() != nil {
		return 0, childExit(exitInterrupted)
	}
	number := 0
	if _, bad := fmt.Sscanf(line, "%d", &number); err != nil || bad != nil || number < 1 || number > of {
		return 0, fail(exitRefused, "", "nothing was chosen")
	}
	return number - 1, nil
}

// typed is what a person types, unless Ctrl-C comes first: the read that waits then ends with the program.
func typed(ctx context.Context, read func() (string, error)) (text string, err error) {
	done := make(chan struct{})
	go func() {
		text, err = read()
		close(done)
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-done:
		return text, err
	}
}

// unseen is what a person types without seeing it. It asks once the terminal shows nothing any more: who pastes at the first sight
// of the question doesn't see it either.
func unseen(ctx context.Context, terminal term.File, ask func()) (string, error) {
	before, err := term.GetState(terminal.Fd())
	if err != nil {
		return "", err
	}
	hidden := make(chan struct{})
	go func() {
		defer close(hidden)
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if now, err := term.GetState(terminal.Fd()); err != nil || !reflect.DeepEqual(now, before) {
				break
			}
		}
		ask()
	}()
	text, err := typed(ctx, func() (string, error) {
		text, err := term.ReadPassword(terminal.Fd())
		return string(text), err
	})
	if ctx.Err() != nil {
		_ = term.Restore(terminal.Fd(), before)
	}
	<-hidden
	return text, err
}

// askMFA asks for the code that a profile's mfa_serial wants.
func (c *cli) askMFA(ctx context.Context) (string, error) {
	if c.lent.Load() {
		return "", fail(exitDenied, "Leave the shell (exit), and enter again.", "your own credentials have ended, and want an MFA code anew")
	}
	c.tell("MFA code: ")
	line, err := typed(ctx, func() (string, error) { return bufio.NewReader(c.stdin).ReadString('\n') })
	return strings.TrimSpace(line), err
}

// idFlags say how an external ID comes in.
type idFlags struct{ insist bool }

func (f *idFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.insist, "insist", false, "take the external ID from the command line, where others see it")
}

// idOf reads the external ID for a role's ARN: none where it is entered by name.
func (c *cli) idOf(ctx context.Context, t target, f idFlags, args []string) (target, error) {
	if t.roleARN == "" {
		if len(args) > 0 {
			return t, fail(exitInput, "Leave it out.", "the external ID of %s is read, not typed", t.name)
		}
		return t, nil
	}
	value := ""
	switch {
	case len(args) == 0 && isTerminal(c.stdin) && isTerminal(c.stderr):
		typed, err := unseen(ctx, c.stdin.(term.File), func() { c.tell("External ID (nothing: none): ") })
		c.tell("\n")
		if ctx.Err() != nil {
			return t, childExit(exitInterrupted)
		}
		if err != nil {
			return t, fail(exitInput, "", "no external ID was typed")
		}
		value = typed
	case len(args) == 0:
		return t, nil
	case args[0] == "-":
		typed, err := io.ReadAll(io.LimitReader(c.stdin, 4<<10))
		if err != nil {
			return t, fail(exitInput, "", "reading the external ID: %w", err)
		}
		value = string(typed)
	case strings.HasPrefix(args[0], "@"):
		typed, err := os.ReadFile(args[0][1:])
		if err != nil {
			return t, fail(exitInput, "", "reading the external ID: %w", err)
		}
		value = string(typed)
	case !f.insist:
		return t, fail(exitInput, "Leave it out to be asked, or give - to read it from stdin, or @FILE. --insist takes it as it is.",
			"an external ID on the command line is seen by everybody on this machine and stays in the shell's history")
	default:
		value = args[0]
	}
	if value = strings.TrimSpace(value); value == "" {
		return t, nil
	}
	id, err := provider.ParseExternalID(value)
	if err != nil {
		return t, fail(exitInput, "", "%w", err)
	}
	t.id = id
	return t, nil
}

// completeCustomers completes names from the copy of the registry. It asks nobody.
func (c *cli) completeCustomers(f *wayFlags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		b := c.closedBook(f.customers)
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		rows, _ := b.read()
		if file, ok := b.Reader.(customersFile); ok && rows == nil {
			rows, _ = file.All(cmd.Context())
		}
		var names []string
		for _, r := range rows {
			if strings.HasPrefix(r.Name, begun) {
				names = append(names, r.Name+"\t"+printable(r.Account+" "+string(r.State)))
			}
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
