package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/demo"
)

func TestAFailedCheckFailsTheDemo(t *testing.T) {
	for _, json := range []bool{false, true} {
		var out bytes.Buffer
		c := &cli{stdout: &out, env: func(string) string { return "" }, json: json}
		r := demo.Report{Checks: 2, Failed: 1, Scenes: []demo.Scene{{Name: "REVOKED", Checks: []demo.Check{
			{What: "Hestio gets in", OK: true}, {What: "jdoe's session ends", Got: "allowed"},
		}}}}
		err := c.tellYear(r)
		if e, ok := errors.AsType[*exitError](err); !ok || e.code != exitFailed {
			t.Errorf("json %t: got %v", json, err)
		}
		if !strings.Contains(out.String(), "jdoe's session ends") {
			t.Errorf("json %t: the failed check isn't told: %s", json, out.String())
		}
	}
}
