package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign/internal/access"
)

// knownPolicies says what AWS's widest managed policies allow. Others are told by their name.
var knownPolicies = map[string]string{
	"AdministratorAccess":         "everything",
	"PowerUserAccess":             "everything but users, groups and roles",
	"ReadOnlyAccess":              "read everything, data included",
	"SecurityAudit":               "read the security configuration",
	"job-function/ViewOnlyAccess": "list what is there, no data",
	"AmazonS3FullAccess":          "S3: everything but Countersign's and CDK's own buckets",
	"IAMReadOnlyAccess":           "IAM: read, which shows external IDs",
}

var servicePolicy = regexp.MustCompile(`^(?:.*/)?(?:Amazon|AWS)?([A-Za-z0-9_]+?)_?(FullAccess|ReadOnlyAccess|ReadOnly)$`)

// mayDo is what a grant's permissions allow, in words.
func mayDo(g *access.Grant) []string {
	var out []string
	for _, p := range g.Permissions {
		name := p.Managed
		if rest, ok := strings.CutPrefix(p.ARN[strings.LastIndex(p.ARN, ":")+1:], "policy/"); ok && strings.Contains(p.ARN, "::aws:") {
			name = rest
		}
		switch m := servicePolicy.FindStringSubmatch(name); {
		case p.File != "":
			out = append(out, fileWords(p))
		case name == "":
			out = append(out, "what "+p.ARN+" says")
		case knownPolicies[name] != "":
			out = append(out, knownPolicies[name])
		case m != nil && m[2] == "FullAccess":
			out = append(out, m[1]+": everything")
		case m != nil:
			out = append(out, m[1]+": read")
		default:
			out = append(out, "AWS's policy "+name)
		}
	}
	if g.Boundary != "" {
		out = append(out, "All within the boundary "+g.Boundary[strings.LastIndexByte(g.Boundary, '/')+1:])
	}
	return out
}

// fileWords says what a policy file allows: how many actions in which services.
func fileWords(p access.Permission) string {
	var policy struct{ Statement json.RawMessage }
	type statement struct {
		Effect            string
		Action, NotAction any
	}
	var statements []statement
	_ = json.Unmarshal(p.Document, &policy)
	if json.Unmarshal(policy.Statement, &statements) != nil {
		statements = make([]statement, 1)
		_ = json.Unmarshal(policy.Statement, &statements[0])
	}
	var services []string
	actions := 0
	for _, s := range statements {
		if s.Effect != "Allow" {
			continue
		}
		if s.NotAction != nil {
			return p.File + ": everything but some actions, read it"
		}
		for _, a := range texts(s.Action) {
			if a == "*" {
				return p.File + ": everything"
			}
			actions++
			service, _, _ := strings.Cut(a, ":")
			services = append(services, strings.ToLower(service))
		}
	}
	if actions == 0 {
		return p.File + ": nothing, it only denies"
	}
	slices.Sort(services)
	return fmt.Sprintf("%s: %s in %s", p.File, count(actions, "action"), strings.Join(slices.Compact(services), ", "))
}

// texts is a JSON string or list of strings.
func texts(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// mayNot is what the guard denies every grant, less what access.yaml gives in words.
func mayNot(g *access.Grant) string {
	not := []string{"change IAM"}
	if len(g.MayAssumeRoles) == 0 {
		not = append(not, "enter other roles")
	} else {
		not = append(not, "enter roles other than "+strings.Join(g.MayAssumeRoles, ", "))
	}
	if !g.MayShareResources {
		not = append(not, "share resources with other accounts")
	}
	return strings.Join(not, ", ") + ", reach Countersign's own parts or what CDK deploys from"
}

// block is text in two columns for a terminal of 80 characters.
type block struct{ strings.Builder }

const (
	labelWidth    = 12
	terminalWidth = 80
)

// head writes the first line: a name and what is said of it.
func (b *block) head(name, text string) {
	if len(name) < labelWidth-1 {
		name = fmt.Sprintf("%-*s", labelWidth, name)
	} else {
		name += "  "
	}
	b.wrap(name, text)
}

// row writes a labelled paragraph.
func (b *block) row(label, text string) { b.wrap(fmt.Sprintf("  %-*s", labelWidth-2, label), text) }

// wrapFlat writes a paragraph without a label.
func (b *block) wrapFlat(text string) { b.wrapAt("", text, 0) }

func (b *block) wrap(lead, text string) { b.wrapAt(lead, text, labelWidth) }

func (b *block) wrapAt(lead, text string, indent int) {
	line, empty := lead, true
	for _, word := range strings.Split(text, " ") {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(strings.TrimRight(word, " ")) > terminalWidth {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// String is the text, its no-break spaces as plain ones.
func (b *block) String() string { return strings.ReplaceAll(b.Builder.String(), noBreak, " ") }

// noBreak stands where wrap must not break a line, as in "4 Feb".
const noBreak = "\u00a0"
