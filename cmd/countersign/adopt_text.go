package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/countersign/countersign/internal/adopt"
)

// terraformText is what keeps Terraform from putting the trust policy back to what its state says.
const terraformText = `Terraform would put the trust policy back at each apply. Add this to the role,
and apply it before you deploy:

  resource "aws_iam_role" "…" {
    lifecycle {
      ignore_changes = [assume_role_policy]
    }
  }

Another tool: keep it from writing the trust policy. Until then Countersign puts
its edits right within the hour, tells of them, and names who writes them.
`

// askTerraform asks who writes the trust policy besides.
func (c *cli) askTerraform(f *adoptFlags) (bool, error) {
	if f.terraform != "" {
		return f.terraform == "yes", nil
	}
	if c.json || !isTerminal(c.stdin) || !isTerminal(c.stderr) {
		return false, fail(exitInput, "--terraform yes, or --terraform no.", "no terminal to ask on whether Terraform, or another tool, writes the role's trust policy")
	}
	return c.confirm("Does Terraform, or another tool, write the role's trust policy?")
}

// adoptionText says what adopting means.
func adoptionText(a adoption, f adoptFlags) string {
	var b block
	who := "account " + a.Inspection.Provider
	if a.Provider != "" {
		who = a.Provider + " (" + a.Inspection.Provider + ")"
	}
	if a.Inspection.Provider == "" {
		who = "somebody"
	}
	with := ""
	if !a.ExternalID.IsZero() {
		with = " with " + a.ExternalID.Fingerprint()
	}
	b.head(a.Grant, printable(who+" enters "+a.RoleARN[strings.LastIndexByte(a.RoleARN, '/')+1:]+with))
	for i, finding := range a.Findings {
		label := ""
		if i == 0 {
			label = "audit"
		}
		where := finding.Statement
		if where == "" {
			where = "the document"
		}
		b.row(label, printable(finding.Severity.String()+", "+where+": "+finding.Problem+". Fix: "+finding.Fix))
	}
	if len(a.Findings) == 0 {
		b.row("audit", "nothing found")
	}
	if len(a.Others) == 0 && !a.ExternalID.IsZero() {
		b.row("others", "nobody else enters: a revoke closes it for the provider alone")
	}
	for i, e := range a.Others {
		label := ""
		if i == 0 {
			label = "others"
		}
		b.row(label, printable(e.String()+" loses access too on a revoke"))
	}
	if a.Stack != "" {
		b.row("owner", printable("stack "+a.Stack+" of CloudFormation: its template must leave the trust policy alone"))
	}
	if a.TrustSize > 0 {
		b.row("room", fmt.Sprintf("trust policy up to %s of %s characters, inline policies %s of %s",
			grouped(a.TrustSize), grouped(a.TrustQuota), grouped(a.InlineSize), grouped(adopt.InlineQuota)))
	}
	if len(a.Refusals) == 0 {
		b.row("now", "nothing changes: the trust policy stays as it is")
	}
	for _, step := range a.Steps {
		b.row("later", step.When+":")
		for _, line := range step.Lines {
			b.row("", printable(line))
		}
	}
	for i, r := range a.Refusals {
		label := ""
		if i == 0 {
			label = "refused"
		}
		b.row(label, printable(r.Problem+". Fix: "+r.Fix))
	}
	out := b.String()
	if a.Lines != "" {
		out += "\n" + f.file + " gets\n"
		for line := range strings.Lines(a.Lines) {
			out += "+ " + line
		}
		out += "\n"
	}
	return out
}

// printAdoption prints an adoption to stdout, and what is next.
func (c *cli) printAdoption(a adoption, f adoptFlags) error {
	if c.json {
		return writeJSON(c.stdout, a)
	}
	if _, err := fmt.Fprint(c.stdout, adoptionText(a, f)); err != nil {
		return err
	}
	if a.Next != "" {
		c.tell("%s", flat(a.Next))
	}
	return nil
}

// refuseAdoption prints why a role can't be adopted.
func (c *cli) refuseAdoption(a adoption) error {
	if err := c.printAdoption(a, adoptFlags{}); err != nil {
		return err
	}
	return fail(exitRefused, "Nothing was changed.", "role %s can't be adopted as it is: %s", a.RoleARN[strings.LastIndexByte(a.RoleARN, '/')+1:], count(len(a.Refusals), "reason"))
}

// flat is a paragraph of 80 columns.
func flat(text string) string {
	var b block
	b.wrapFlat(text)
	return b.String()
}

// grouped writes 2048 as 2,048.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
