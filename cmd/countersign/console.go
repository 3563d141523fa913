package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/countersign/countersign/internal/signin"
)

func newConsoleCommand(c *cli) *cobra.Command {
	var f entryFlags
	var service string
	var show bool
	cmd := &cobra.Command{
		Use:   "console CUSTOMER",
		Short: "Open AWS's console in a customer's account",
		Long: `Open AWS's console in a customer's account, in your browser: the console itself
can't pass an external ID. Works in the commercial partition, China and GovCloud.

The address that signs in is a credential for 15 minutes. It goes to the browser
by way of a page on this machine that works once, and isn't printed without
--print.`,
		Example: `countersign console acme
countersign console acme --service s3 --print`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeCustomers(&f.wayFlags),
	}
	f.add(cmd)
	cmd.Flags().StringVar(&service, "service", "", "the console's page, as s3 or ec2")
	cmd.Flags().BoolVar(&show, "print", false, "print the address instead of opening it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if _, err := (signin.Console{Partition: "aws", Region: f.region, Service: service}).Destination(); err != nil {
			return fail(exitInput, "", "%w", err)
		}
		w, _, opened, err := c.enter(ctx, f, idFlags{}, args, c.progress())
		if err != nil {
			return err
		}
		at := signin.Console{
			Partition: strings.SplitN(opened.RoleARN, ":", 3)[1], Region: cmp.Or(f.region, opened.Region, w.region), Service: service, Endpoint: c.env("AWS_ENDPOINT_URL"),
		}
		url, err := at.URL(ctx, &http.Client{Timeout: 30 * time.Second}, opened.Credentials)
		if err != nil {
			return fail(exitFailed, "", "%w", err)
		}
		if show {
			if c.json {
				return writeJSON(c.stdout, map[string]string{"url": url})
			}
			_, err := fmt.Fprintln(c.stdout, url)
			return err
		}
		if err := c.browse(ctx, url, time.Minute); err != nil {
			return err
		}
		c.tell("The console of %s (%s) is in your browser. Sign out there before you open another customer's.\n", opened.Label(), opened.Account)
		return nil
	}
	return cmd
}

// browse opens an address in the browser, by way of an address on this machine that works once: a program's arguments are
// seen by everybody on it.
func (c *cli) browse(ctx context.Context, url string, patience time.Duration) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("preparing the browser's page: %w", err)
	}
	path, opened := "/"+rand.Text(), make(chan struct{}, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		select {
		case opened <- struct{}{}:
			w.Header().Set("Referrer-Policy", "no-referrer")
			w.Header().Set("Cache-Control", "no-store")
			http.Redirect(w, r, url, http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	})}
	go func() { _ = server.Serve(listener) }()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second) // so that the answer gets out
		defer cancel()
		_ = server.Shutdown(ctx)
	}()
	program, args := browser(c.env("BROWSER"))
	if err := exec.Command(program, append(args, "http://"+listener.Addr().String()+path)...).Start(); err != nil {
		return fail(exitFailed, "--print prints the address; BROWSER names a browser.", "no browser could be started: %w", err)
	}
	for deadline := time.Now().Add(patience); ; {
		if len(opened) > 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fail(exitFailed, "--print prints the address; BROWSER names a browser.", "the browser didn't come")
		}
		if err := c.wait(ctx, 20*time.Millisecond); err != nil {
			return childExit(exitInterrupted)
		}
	}
}

func browser(named string) (string, []string) {
	switch {
	case named != "":
		return named, nil
	case runtime.GOOS == "darwin":
		return "open", nil
	case runtime.GOOS == "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler"}
	}
	return "xdg-open", nil
}
