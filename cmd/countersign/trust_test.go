package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

const (
	trustOld  = "northwind-0042"
	trustNew  = "northwind-0043"
	trustBoth = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Northwind",
      "Effect": "Allow",
      "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
      "Action": "sts:AssumeRole",
      "Condition": { "StringEquals": { "sts:ExternalId": [ "somebody-else", "northwind-0042" ] } }
    }
  ]
}
`
	trustUser = "arn:aws:iam::111122223333:user/jdoe"
)

// runTrust runs the program as a shell would.
func runTrust(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, talk bytes.Buffer
	code = run(t.Context(), append([]string{"trust"}, args...), strings.NewReader(stdin), &out, &talk, func(string) string { return "" })
	return out.String(), talk.String(), code
}

// applyArgs are the arguments of one phase.
func applyArgs(phase string, more ...string) []string {
	return append([]string{"apply", "--phase", phase}, more...)
}

func TestTrustApplyThroughARotation(t *testing.T) {
	doc := trustBoth
	step := func(want string, args ...string) {
		t.Helper()
		out, talk, code := runTrust(t, doc, append(args, "-")...)
		if code != exitDone || !strings.Contains(out, want) {
			t.Fatalf("%v: exit %d, %s\n%s", args, code, talk, out)
		}
		if strings.Contains(talk, trustOld) || strings.Contains(talk, trustNew) {
			t.Errorf("%v tells an ID on stderr: %s", args, talk)
		}
		again, talk, code := runTrust(t, out, append(args, "-")...)
		if code != exitDone || again != out || !strings.Contains(talk, "already right") {
			t.Errorf("%v a second time: exit %d, %s", args, code, talk)
		}
		doc = out
	}
	enters := func(id, at, want string) {
		t.Helper()
		out, talk, code := runTrust(t, doc, "evaluate", "--principal", trustUser, "--external-id", id, "--at", at, "-")
		if code != exitDone || out != want+"\n" {
			t.Errorf("%s at %s: %q, want %s\n%s", trust.Fingerprint(id), at, out, want, talk)
		}
	}
	step(`[ "somebody-else", "northwind-0042", "northwind-0043" ]`, applyArgs("overlap", "--current", trustOld, "--pending", trustNew)...)
	enters(trustOld, "2026-02-04T12:00:00Z", "allow")
	enters(trustNew, "2026-02-04T12:00:00Z", "allow")
	step(`"2026-02-05T03:00:00Z"`, applyArgs("promote", "--current", trustNew, "--previous", trustOld, "--until", "2026-02-05T04:00:00+01:00")...)
	enters(trustOld, "2026-02-05T02:59:59Z", "allow")
	enters(trustOld, "2026-02-05T03:00:00Z", "deny")
	enters(trustNew, "2026-02-05T03:00:00Z", "allow")
	step(``, applyArgs("revoke")...)
	enters(trustNew, "2026-02-05T03:00:00Z", "deny")
	step(trust.SidClosed, applyArgs("retire", "--current", trustNew, "--previous", trustOld)...) // never lifts the Deny
	enters(trustNew, "2026-02-05T03:00:00Z", "deny")
	step(``, applyArgs("restore", "--current", trustNew)...)
	enters(trustNew, "2026-02-05T03:00:00Z", "allow")
	enters("somebody-else", "2026-02-05T03:00:00Z", "allow")
	if want := strings.ReplaceAll(trustBoth, trustOld, trustNew); doc != want {
		t.Errorf("bytes that aren't ours changed:\n%s\nwant\n%s", doc, want)
	}
}

func TestTrustApplyRefuses(t *testing.T) {
	overlap := applyArgs("overlap", "--current", trustOld, "--pending", trustNew)
	replace := func(old, new string) string { return strings.Replace(trustBoth, old, new, 1) }
	for name, c := range map[string]struct {
		doc  string
		args []string
		want string
	}{
		"invalid JSON":                {`{"Statement":`, overlap, "not valid JSON"},
		"a trailing comma":            {replace("]\n}", "],\n}"), overlap, "line 12, column 1: a trailing comma"},
		"a duplicate key":             {replace(`"Effect"`, `"Sid"`), overlap, "a second time"},
		"an unknown Version":          {replace("2012-10-17", "2020-10-17"), overlap, "neither 2012-10-17"},
		"an ID in no statement":       {replace(trustOld, "northwind-9999"), overlap, "in no statement"},
		"everybody":                   {replace(`"arn:aws:iam::111122223333:root"`, `"*"`), overlap, "everybody"},
		"StringLike":                  {replace("StringEquals", "StringLike"), overlap, "under StringLike"},
		"a service beside":            {replace(`{ "AWS"`, `{ "Service": "ec2.amazonaws.com", "AWS"`), overlap, "statement 1 (Northwind): services"},
		"a deleted principal":         {replace("arn:aws:iam::111122223333:root", "AIDAEXAMPLEUSERID0001"), overlap, "deleted principal"},
		"two equal IDs":               {trustBoth, applyArgs("overlap", "--current", trustOld, "--pending", trustOld), "the same"},
		"an ID outside AWS's set":     {trustBoth, applyArgs("overlap", "--current", trustOld, "--pending", "no spaces"), "2 to 1,224"},
		"an empty ID":                 {trustBoth, applyArgs("overlap", "--current", trustOld, "--pending", ""), "--pending is empty"},
		"over quota":                  {trustBoth, append(overlap, "--quota", "600"), "save "},
		"another account's statement": {trustBoth, append(overlap, "--principal", "444455556666"), "in no statement"},
		"everybody as principal":      {trustBoth, append(overlap, "--principal", "*"), "neither an account"},
		"too large to be one":         {strings.Repeat(" ", maxDocument+1), overlap, "larger than any"},
	} {
		t.Run(name, func(t *testing.T) {
			out, talk, code := runTrust(t, c.doc, append(c.args, "-")...)
			if code != exitRefused || out != "" || !strings.Contains(talk, c.want) {
				t.Errorf("exit %d, stdout %q, stderr %q; want a refusal that says %q", code, out, talk, c.want)
			}
			if strings.Contains(talk, trustOld) || strings.Contains(talk, trustNew) {
				t.Errorf("%s tells an ID", talk)
			}
		})
	}
}

func TestTrustFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"no phase":                 {"apply", "-"},
		"an unknown phase":         applyArgs("rotate", "-"),
		"overlap without pending":  applyArgs("overlap", "--current", trustOld, "-"),
		"promote without until":    applyArgs("promote", "--current", trustNew, "--previous", trustOld, "-"),
		"promote with pending":     applyArgs("promote", "--current", trustNew, "--previous", trustOld, "--until", "2026-02-05T03:00:00Z", "--pending", "x1", "-"),
		"until that is no date":    applyArgs("promote", "--current", trustNew, "--previous", trustOld, "--until", "tomorrow", "-"),
		"retire without previous":  applyArgs("retire", "--current", trustNew, "-"),
		"restore without current":  applyArgs("restore", "-"),
		"a quota of nothing":       applyArgs("revoke", "--quota", "0", "-"),
		"a quota in words":         applyArgs("revoke", "--quota", "much", "-"),
		"an unknown flag":          applyArgs("revoke", "--force", "-"),
		"no file":                  applyArgs("revoke"),
		"two files":                applyArgs("revoke", "a", "b"),
		"a file that isn't there":  applyArgs("revoke", filepath.Join(t.TempDir(), "none.json")),
		"an ID's missing file":     applyArgs("restore", "--current", "@"+filepath.Join(t.TempDir(), "none"), "-"),
		"evaluate for nobody":      {"evaluate", "-"},
		"evaluate at some time":    {"evaluate", "--principal", trustUser, "--at", "noon", "-"},
		"a context without value":  {"evaluate", "--principal", trustUser, "--context", "aws:username", "-"},
		"a context without a name": {"evaluate", "--principal", trustUser, "--context", "=x", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, talk, code := runTrust(t, trustBoth, args...); code != exitInput || out != "" || talk == "" {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit 2 and a reason", code, out, talk)
			}
		})
	}
}

func TestTrustReadsFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	doc := file("trust.json", trustBoth)
	now, next := "@"+file("now", trustOld+"\n"), "@"+file("next", trustNew+"\r\n")
	out, talk, code := runTrust(t, "", applyArgs("overlap", "--current", now, "--pending", next, doc)...)
	if code != exitDone || !strings.Contains(out, `"`+trustOld+`", "`+trustNew+`"`) {
		t.Errorf("exit %d, %s\n%s", code, talk, out)
	}
	if out, talk, code := runTrust(t, "", "evaluate", "--principal", trustUser, "--external-id", now, doc); code != exitDone || out != "allow\n" {
		t.Errorf("exit %d, %q\n%s", code, out, talk)
	}
	missing := "@" + filepath.Join(dir, "secret-id-12345")
	if _, talk, _ := runTrust(t, "", applyArgs("restore", "--current", missing, doc)...); strings.Contains(talk, "secret-id-12345") {
		t.Errorf("%s tells what may be an ID", talk)
	}
}

func TestTrustApplyPrincipal(t *testing.T) {
	two := `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + trustOld + `"}}},` +
		`{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + trustOld + `"}}}]}`
	for _, c := range []struct {
		principals []string
		edited     int
	}{{nil, 2}, {[]string{"111122223333"}, 1}, {[]string{"arn:aws:iam::111122223333:root", "444455556666"}, 2}} {
		args := applyArgs("overlap", "--current", trustOld, "--pending", trustNew)
		for _, p := range c.principals {
			args = append(args, "--principal", p)
		}
		out, talk, code := runTrust(t, two, append(args, "-")...)
		if n := strings.Count(out, trustNew); code != exitDone || n != c.edited {
			t.Errorf("%v: exit %d, %d statements edited, want %d\n%s", c.principals, code, n, c.edited, talk)
		}
	}
}

func TestTrustEvaluate(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		args []string
		want string
	}{
		"the right ID":             {trustBoth, []string{"--external-id", trustOld}, "allow"},
		"a wrong one":              {trustBoth, []string{"--external-id", trustNew}, "deny"},
		"none":                     {trustBoth, nil, "deny"},
		"the ID as a context key":  {trustBoth, []string{"--context", "STS:ExternalId=" + trustOld}, "allow"},
		"another action":           {trustBoth, []string{"--external-id", trustOld, "--action", "sts:TagSession"}, "unknown"},
		"something not understood": {strings.Replace(trustBoth, "StringEquals", "StringResembles", 1), []string{"--external-id", trustOld}, "unknown"},
		"now, by default":          {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},"DateLessThan":{"aws:CurrentTime":"2999-01-01T00:00:00Z"}}}}`, nil, "allow"},
		"several values of a key":  {`{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b=c"]}}}}`, []string{"--context", "aws:TagKeys=a", "--context", "AWS:tagkeys=b=c"}, "allow"},
		"URL-encoded":              {"%7B%22Statement%22%3A%5B%5D%7D", nil, "deny"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"evaluate", "--principal", trustUser}, c.args...)
			out, talk, code := runTrust(t, c.doc, append(args, "-")...)
			if code != exitDone || out != c.want+"\n" || talk == "" {
				t.Errorf("exit %d, stdout %q, want %s\n%s", code, out, c.want, talk)
			}
			if strings.Contains(talk, trustOld) || strings.Contains(talk, trustNew) {
				t.Errorf("%s tells an ID", talk)
			}
			out, _, code = runTrust(t, c.doc, append(args, "--json", "-")...)
			var got struct {
				Verdict string
				Why     []string
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone || got.Verdict != c.want || len(got.Why) == 0 {
				t.Errorf("--json: exit %d, %s, %v", code, out, err)
			}
		})
	}
	if out, talk, code := runTrust(t, `{"Statement":`, "evaluate", "--principal", trustUser, "-"); code != exitRefused || out != "" {
		t.Errorf("no document: exit %d, %q, %s", code, out, talk)
	}
}

func TestTrustApplyNeverLooksAtTheClock(t *testing.T) {
	var out, talk bytes.Buffer
	c := &cli{stdin: strings.NewReader(trustBoth), stdout: &out, stderr: &talk, env: func(string) string { return "" },
		now: func() time.Time { t.Error("the clock was looked at"); return time.Time{} }}
	if code := c.run(t.Context(), []string{"trust", "apply", "--phase", "revoke", "-", "--json"}); code != exitDone {
		t.Errorf("exit %d, %s", code, talk.String())
	}
	var diff struct {
		Changed bool
		Lines   []string
	}
	if err := json.Unmarshal(talk.Bytes(), &diff); err != nil || !diff.Changed || len(diff.Lines) != 1 {
		t.Errorf("%s, %v", talk.String(), err)
	}
}
