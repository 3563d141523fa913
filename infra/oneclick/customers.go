package oneclick

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/internal/access"
)

// Customers makes the template of a release for a provider's own account: the bus that customers' events come to, the registry,
// and the function that writes it. It asks nothing: what a customers.yaml says, who may enter whom and who is told, is made beside
// it, by Terraform or by hand.
func Customers(r Release) Template {
	t := fill(synth("Countersign "+r.Version+": customers' accounts that we enter, what they say, and the registry of them", func(stack awscdk.Stack) {
		infra.NewCustomerAccess(stack, "CustomerAccess", &infra.CustomerAccessProps{
			Roster: &infra.Roster{Engineers: access.EngineersByTeam}, Version: r.Version, Architecture: r.Architecture, Functions: r.functions(),
		})
	})).(map[string]any)
	waitForVersions(t)
	t["Rules"] = r.publishedRegion()
	t["AWSTemplateFormatVersion"] = "2010-09-09"
	return Template{[]byte(text(t))}
}
