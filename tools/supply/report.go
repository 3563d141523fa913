package supply

import (
	"fmt"
	"strings"
)

// Tool is a program that development and tests run, each in a process of its own. Nothing of it is shipped.
type Tool struct{ Name, Licence, For string }

// Tools are those that the repository pins for itself.
var Tools = []Tool{
	{"aws-cdk", "Apache-2.0", "synthesises and deploys"},
	{"cfn-lint", "MIT-0", "looks at the templates"},
	{"checkov", "Apache-2.0", "looks at the one-click template"},
	{"golangci-lint", "GPL-3.0", "looks at the code"},
	{"OpenTofu, terraform-plugin-framework", "MPL-2.0", "run the tests of the Terraform modules, with a provider of the repository's own"},
	{"ministack", "MIT", "the emulator of the end-to-end tests"},
	{"@cloud-copilot/iam-simulate", "AGPL-3.0", "a second opinion on policies"},
	{"typescript", "Apache-2.0", "checks and translates the snippets of the docs"},
	{"boto3", "Apache-2.0", "runs a snippet of the docs"},
}

// Report is the licence report, as Markdown.
func Report(modules []Module) string {
	var out strings.Builder
	out.WriteString("| module | version | licence | linked into |\n|---|---|---|---|\n")
	for _, m := range modules {
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", m.Path, m.Version, strings.Join(m.Licences, ", "), strings.Join(m.In, ", "))
	}
	out.WriteString("\n| tool, never shipped | licence | what for |\n|---|---|---|\n")
	for _, t := range Tools {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", t.Name, t.Licence, t.For)
	}
	return out.String()
}
