// Command alone is "countersign demo" without the rest of the command line: it builds in a fraction of the time.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/countersign/countersign/internal/demo"
)

func main() {
	year, err := demo.New(demo.Seed)
	if err == nil {
		report := year.Play(context.Background())
		if err = demo.Print(os.Stdout, report, os.Environ()); err == nil && report.Failed == 0 {
			return
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}
