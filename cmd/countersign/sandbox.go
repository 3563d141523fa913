package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sandbox"
	"github.com/countersign/countersign/provider"
)

// sandboxURL is where a sandbox is, unless somebody says otherwise.
const sandboxURL = "http://127.0.0.1:4577"

func newSandboxCommand(c *cli) *cobra.Command {
	var listen, customers string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Be a customer's account here, for your tests",
		Long: `Be a customer's account on this machine, until interrupted: AWS STS, Secrets
Manager's GetSecretValue, IAM's ListRoleTags and Countersign's API, for any AWS
SDK with AWS_ENDPOINT_URL. Behind it run Countersign's own functions on an
embedded AWS: the role lets in who has the ID, rotations take their steps, and
confirmations are taken and refused as a customer's account does.

stdout is what to put into the environment of your program. --customers writes
what you would keep of the customer, with the external ID to begin with, into a
file that only you can read; countersign verify reads it.

The other commands act on a sandbox that runs, as the customer would: on the one
at --url, or AWS_ENDPOINT_URL. A rotation takes no time here: the account's
clock goes ahead. With AWS_ACCESS_KEY_ID=OPERATOR the customer's own commands
work there too: grants, show, rotate, confirm, pause, resume, revoke, restore.`,
		Example: `countersign sandbox --customers customers.json &
countersign sandbox rotate
countersign sandbox lag 30s`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:4577", "where to listen, on this machine")
	cmd.Flags().StringVar(&customers, "customers", "", "file to write the customer into")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.sandbox(cmd.Context(), listen, customers) }
	var at string
	cmd.PersistentFlags().StringVar(&at, "url", "", "where the sandbox is, if not at AWS_ENDPOINT_URL")
	add := func(use, short, long string, args cobra.PositionalArgs, order func(args []string) (method, verb string, o sandbox.Order)) *cobra.Command {
		sub := &cobra.Command{Use: use, Short: short, Long: long, Args: args, Example: "countersign sandbox " + strings.Replace(use, "DURATION", "30s", 1)}
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			method, verb, o := order(args)
			return c.orderSandbox(cmd.Context(), at, method, verb, o)
		}
		cmd.AddCommand(sub)
		return sub
	}
	post := func(verb string) func([]string) (string, string, sandbox.Order) {
		return func([]string) (string, string, sandbox.Order) { return http.MethodPost, verb, sandbox.Order{} }
	}
	lasting := func(verb string) func([]string) (string, string, sandbox.Order) {
		return func(args []string) (string, string, sandbox.Order) {
			return http.MethodPost, verb, sandbox.Order{For: args[0]}
		}
	}
	leaked := false
	add("rotate", "Rotate the external ID", `Rotate the external ID, as the customer's schedule does. First the clock goes on
to where the ID before ends. While that one is kept, because nobody has
confirmed the current one, a rotation is refused, as in a customer's account:
confirm, or have the customer's operator do it (countersign sandbox confirm).`, cobra.NoArgs, func([]string) (string, string, sandbox.Order) {
		return http.MethodPost, "rotate", sandbox.Order{Leaked: leaked}
	}).Flags().BoolVar(&leaked, "leaked", false, "the ID before ends at once")
	add("confirm", "Confirm by hand, as the customer's operator", "", cobra.NoArgs, post("confirm"))
	add("revoke", "Take the access away, live sessions included", "", cobra.NoArgs, post("revoke"))
	add("restore", "Give it back with a new external ID", "", cobra.NoArgs, post("restore"))
	add("expire", "Go on to where the ID before the current one ends", "", cobra.NoArgs, post("expire"))
	add("wait DURATION", "Let the account's clock go on", "", cobra.ExactArgs(1), lasting("wait"))
	add("lag DURATION", "Have IAM show later changes that much later", "", cobra.ExactArgs(1), lasting("lag"))
	var when string
	var may []string
	deploy := add("deploy", "Have the customer deploy other settings", `Have the customer deploy its access.yaml with other settings. The sandbox begins
with whenUnconfirmed: auto, and with a provider that may confirm and ask for
rotations.`, cobra.NoArgs, func([]string) (string, string, sandbox.Order) {
		o := sandbox.Order{WhenUnconfirmed: grant.Unconfirmed(when)}
		for _, act := range may {
			o.ProviderMay = append(o.ProviderMay, grant.ProviderAct(act))
		}
		return http.MethodPost, "deploy", o
	})
	deploy.Flags().StringVar(&when, "when-unconfirmed", "", "auto, cut or extend")
	deploy.Flags().StringSliceVar(&may, "provider-may", nil, "confirm, or confirm,rotate")
	deploy.Example = "countersign sandbox deploy --when-unconfirmed cut --provider-may confirm"
	add("show", "Say how things stand", "", cobra.NoArgs, func([]string) (string, string, sandbox.Order) {
		return http.MethodGet, "", sandbox.Order{}
	})
	return cmd
}

// sandbox serves until the context ends.
func (c *cli) sandbox(ctx context.Context, listen, customers string) error {
	address, err := netip.ParseAddrPort(listen)
	if err != nil || !address.Addr().IsLoopback() {
		return fail(exitInput, "--listen 127.0.0.1:4577", "a sandbox listens on this machine only, not at %.60q", listen)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fail(exitFailed, "--listen 127.0.0.1:0 takes any port that is free.", "listening at %s: %w", listen, err)
	}
	at := "http://" + listener.Addr().String()
	server, err := sandbox.New(sandbox.Config{URL: at})
	if err != nil {
		return errors.Join(fmt.Errorf("making the account: %w", err), listener.Close())
	}
	facts := server.Facts(ctx)
	if customers != "" {
		if err := writeCustomer(customers, server, facts); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	if c.json {
		err = writeJSON(c.stdout, facts)
	} else {
		_, err = fmt.Fprintf(c.stdout, "export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_DEFAULT_REGION=%[2]s AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox\n", at, sandbox.Region)
		c.tell("role    %s\nsecret  %s\n", facts.RoleARN, facts.SecretARN)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	web := &http.Server{Handler: server, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// writeCustomer writes the account's customer into a file of customers, and over nobody else's.
func writeCustomer(path string, server *sandbox.Server, facts sandbox.Facts) error {
	acme := provider.Customer{
		Name: "acme", Account: facts.Account, RoleARN: facts.RoleARN, Grant: facts.Grant, Prefix: facts.Prefix,
		SecretARN: facts.SecretARN, ConfirmURL: facts.ConfirmURL,
	}
	file := provider.OpenFile(path)
	if there, err := file.Customer(acme.Name); err == nil && there.RoleARN != acme.RoleARN {
		return fail(exitRefused, "--customers another file", "%s holds a customer %s already, with role %s", path, acme.Name, there.RoleARN)
	}
	id, err := server.FirstID()
	if err == nil {
		err = file.Accept(acme, id)
	}
	if err != nil {
		return fail(exitInput, "", "--customers: %w", err)
	}
	return nil
}

// orderSandbox has a running sandbox do something, and prints how things stand then.
func (c *cli) orderSandbox(ctx context.Context, at, method, verb string, o sandbox.Order) error {
	facts, err := c.askSandbox(ctx, at, method, verb, o)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, facts)
	}
	b := block{}
	state := "OPEN"
	if facts.Revoked {
		state = "REVOKED"
	}
	b.head(facts.Grant, state)
	b.row("version", facts.VersionID)
	switch {
	case facts.Kept:
		b.row("previous", "accepted until somebody confirms: "+facts.Why)
	case !facts.Until.IsZero():
		b.row("previous", "accepted until "+facts.Until.Format(time.RFC3339))
	}
	b.row("clock", facts.Clock.Format(time.RFC3339)+", IAM's lag "+facts.Lag)
	_, err = io.WriteString(c.stdout, b.String())
	return err
}

// errNoSandbox says that nobody answers as a sandbox does.
var errNoSandbox = errors.New("no sandbox answers")

// askSandbox sends a command to a running sandbox.
func (c *cli) askSandbox(ctx context.Context, at, method, verb string, o sandbox.Order) (sandbox.Facts, error) {
	at = strings.TrimSuffix(cmp.Or(at, c.env("AWS_ENDPOINT_URL"), sandboxURL), "/")
	if u, err := url.Parse(at); err != nil || !isLoopbackHost(u.Hostname()) {
		return sandbox.Facts{}, fail(exitInput, "countersign sandbox starts one.", "a sandbox is on this machine, not at %.100q", at)
	}
	body, err := json.Marshal(o)
	if err != nil {
		return sandbox.Facts{}, err
	}
	path := sandbox.ControlPath
	if verb != "" {
		path += "/" + verb
	}
	request, err := http.NewRequestWithContext(ctx, method, at+path, bytes.NewReader(body))
	if err != nil {
		return sandbox.Facts{}, fail(exitInput, "", "%w", err)
	}
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return sandbox.Facts{}, fail(exitFailed, "countersign sandbox starts one.", "%w at %s", errNoSandbox, at)
	}
	defer response.Body.Close() //nolint:errcheck // nothing was written
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return sandbox.Facts{}, fmt.Errorf("reading the sandbox's answer: %w", err)
	}
	var out struct {
		sandbox.Facts
		sandbox.Problem
	}
	if json.Unmarshal(answer, &out) != nil || out.Error == "" && out.RoleARN == "" {
		return sandbox.Facts{}, fail(exitFailed, "countersign sandbox starts one.", "%w at %s", errNoSandbox, at)
	}
	if out.Error != "" {
		code := exitRefused
		if response.StatusCode == http.StatusBadRequest {
			code = exitInput
		}
		return sandbox.Facts{}, fail(code, sentence(out.Next), "%s", out.Error)
	}
	return out.Facts, nil
}

func isLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
