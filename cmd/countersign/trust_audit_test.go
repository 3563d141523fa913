package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/trust"
)

const auditGood = `{"Version":"2012-10-17","Statement":[{"Sid":"Hestio","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/Hestio"},
	"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"hestio-q7Xr2LmZ9vT4bKc8WnYp3JsD6gFhA1eU"}}}]}`

func TestTrustAudit(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		args []string
		code int
		want string // the first finding begins so; "" is no finding
	}{
		"nothing to object to":    {auditGood, nil, exitDone, ""},
		"something of medium":     {trustBoth, nil, exitDone, "medium      statement 1 (Northwind): external ID #"},
		"something of high":       {strings.Replace(auditGood, "StringEquals", "StringNotEquals", 1), nil, exitRefused, "high        statement 1 (Hestio): StringNotEquals"},
		"something critical":      {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}`, nil, exitRefused, "critical    statement 1: "},
		"another account's role":  {strings.Replace(auditGood, "StringEquals", "StringEqualsIfExists", 1), []string{"--account", "444455556666"}, exitRefused, "high  "},
		"the own account's role":  {`{"Statement":{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"}}`, []string{"--account", "444455556666"}, exitDone, ""},
		"the same, not told so":   {`{"Statement":{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"}}`, nil, exitRefused, "high  "},
		"no statement":            {`{"Statement":[]}`, nil, exitDone, "low         the document: "},
		"URL-encoded":             {"%7B%22Statement%22%3A%5B%5D%7D", nil, exitDone, "low  "},
		"a policy of permissions": {`{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`, nil, exitRefused, "high  "},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(append([]string{"audit"}, c.args...), "-")
			out, talk, code := runTrust(t, c.doc, args...)
			if code != c.code || !strings.HasPrefix(out, c.want) || c.want == "" && out != "" {
				t.Errorf("exit %d, want %d and %q\n%s%s", code, c.code, c.want, out, talk)
			}
			for line := range strings.Lines(out) {
				if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > terminalWidth {
					t.Errorf("wider than %d columns: %s", terminalWidth, line)
				}
			}
			tellsNoID(t, out+talk)
			out, talk, code = runTrust(t, c.doc, append(args, "--json")...)
			var got struct {
				Findings []struct{ Severity, Statement, Problem, Fix string }
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil || code != c.code || got.Findings == nil {
				t.Fatalf("--json: exit %d, %v\n%s", code, err, out)
			}
			if n := len(got.Findings); (n == 0) != (c.want == "") || n > 0 && !strings.HasPrefix(c.want, got.Findings[0].Severity) {
				t.Errorf("--json: %s", out)
			}
			if code != exitDone && !json.Valid([]byte(talk)) {
				t.Errorf("--json: the error isn't JSON: %s", talk)
			}
			tellsNoID(t, out+talk)
		})
	}
}

// tellsNoID holds an output to telling none of these tests' IDs.
func tellsNoID(t *testing.T, text string) {
	t.Helper()
	for _, id := range []string{trustOld, trustNew, "somebody-else", "hestio-q7Xr"} {
		if strings.Contains(text, id) {
			t.Errorf("an ID is told: %s", text)
		}
	}
}

func TestTrustAuditRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		args []string
		code int
	}{
		"no JSON":                     {"Statement: []", []string{"-"}, exitRefused},
		"no document":                 {"", []string{"-"}, exitRefused},
		"another document":            {`{"Resources":{}}`, []string{"-"}, exitRefused},
		"too large to be one":         {strings.Repeat(" ", maxDocument+1), []string{"-"}, exitRefused},
		"an account in words":         {auditGood, []string{"--account", "northwind", "-"}, exitInput},
		"an account too short":        {auditGood, []string{"--account", "44445555666", "-"}, exitInput},
		"an account without a number": {auditGood, []string{"--account", "", "-"}, exitInput},
		"an unknown flag":             {auditGood, []string{"--strict", "-"}, exitInput},
		"no file":                     {auditGood, nil, exitInput},
	} {
		t.Run(name, func(t *testing.T) {
			out, talk, code := runTrust(t, c.doc, append([]string{"audit"}, c.args...)...)
			if code != c.code || out != "" || talk == "" {
				t.Errorf("exit %d, want %d; stdout %q, stderr %q", code, c.code, out, talk)
			}
		})
	}
}

func TestTrustApplyDiff(t *testing.T) {
	const who = "arn:aws:iam::111122223333:root"
	promote := applyArgs("promote", "--current", trustNew, "--previous", trustOld, "--until", "2026-02-05T03:00:00Z")
	overlap := applyArgs("overlap", "--current", trustOld, "--pending", trustNew)
	both, _, _ := runTrust(t, trustBoth, append(overlap, "-")...)
	promoted, _, _ := runTrust(t, both, append(promote, "-")...)
	retire := applyArgs("retire", "--current", trustNew, "--previous", trustOld)
	for _, c := range []struct {
		name, doc string
		args      []string
		code      int
		want      []string // each line of stdout begins so, wrapped lines aside
	}{
		{"overlap", trustBoth, overlap, exitDone, []string{
			"gains       " + who + " under " + trust.Fingerprint(trustNew), "document    statement 1 (Northwind): accepts " + trust.Fingerprint(trustNew)}},
		{"promote", both, promote, exitDone, []string{
			"keeps       " + who + " under " + trust.Fingerprint(trustOld) + " if", "document    statement 1 (Northwind): no longer accepts " + trust.Fingerprint(trustOld),
			"document    added statement 2 (CountersignPrevious): lets in"}},
		{"promote again", promoted, promote, exitDone, nil},
		{"retire", promoted, retire, exitDone, []string{"loses       " + who + " under " + trust.Fingerprint(trustOld), "document    removed statement 2 (CountersignPrevious)"}},
		{"revoke", trustBoth, applyArgs("revoke"), exitDone, []string{"loses       " + who, "loses       " + who, "document    added statement 2 (CountersignClosed): nobody enters"}},
		{"a refusal", trustBoth, retire, exitRefused, nil},
		{"wrong flags", trustBoth, applyArgs("overlap"), exitInput, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, talk, code := runTrust(t, c.doc, append(c.args, "--diff", "-")...)
			var lines []string
			for line := range strings.Lines(out) {
				if !strings.HasPrefix(line, " ") {
					lines = append(lines, line)
				}
			}
			ok := code == c.code && len(lines) == len(c.want)
			for i := 0; ok && i < len(lines); i++ {
				ok = strings.HasPrefix(lines[i], c.want[i])
			}
			if !ok {
				t.Errorf("exit %d\n%s%s\nwant %d, %q", code, out, talk, c.code, c.want)
			}
			if c.name == "promote" && !strings.Contains(out, "2026-02-05T03:00:00Z") {
				t.Errorf("it doesn't say until when:\n%s", out)
			}
			tellsNoID(t, out+talk)
			out, talk, code = runTrust(t, c.doc, append(c.args, "--diff", "--json", "-")...)
			var got struct{ Gains, Loses, Keeps []struct{ Principal string } }
			if code != c.code || code == exitDone && (json.Unmarshal([]byte(out), &got) != nil || got.Gains == nil || got.Loses == nil || got.Keeps == nil) {
				t.Errorf("--json: exit %d\n%s", code, out)
			}
			if code == exitDone && talk != "" {
				t.Errorf("--json talks: %s", talk)
			}
			tellsNoID(t, out+talk)
		})
	}
}
