// Command countersign is the operator's and the reviewer's side of Countersign: it writes and checks access.yaml, says in
// plain words what a deploy will do, and lists, rotates and revokes what is deployed.
//
// stdout is data, stderr is talk. It trusts the credentials it is run with and the stack they can see. It prints an
// external ID in two places only, both asked for by name: reveal, and trust apply.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set at link time; where it is empty, the build's own information is used.
var version string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	stop()
	os.Exit(code)
}
