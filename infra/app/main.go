// Command app is Countersign's CDK app: for a customer one stack a shard of access.yaml, or for a provider, where -c customers=FILE
// names its customers.yaml, the stack CustomerAccess and, if that names an instance of Identity Center, its permission sets.
//
// Its inputs are CDK's context: -c access=FILE (access.yaml), -c functions=FOLDER (dist/functions), -c local=true for an
// emulator, -c stackVersion=TEXT, -c revokeConcurrency=N (executions kept free for functions/revoke).
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/internal/access"
)

const (
	stackName    = "ServiceProviderAccess"
	providerName = "CustomerAccess"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: new(false)})
	if file := input(app, "customers", ""); file != "" {
		provider(app, file)
		return
	}
	loaded, err := infra.LoadAccess(input(app, "access", "access.yaml"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	reserved, err := strconv.Atoi(input(app, "revokeConcurrency", "0"))
	if err != nil || reserved < 0 {
		fmt.Fprintln(os.Stderr, "revokeConcurrency must be a number: try -c revokeConcurrency=2")
		os.Exit(1)
	}
	for shard := range loaded.Shards {
		name := access.StackName(stackName, shard)
		stack := awscdk.NewStack(app, &name, &awscdk.StackProps{
			Description:                 new("Countersign: service providers' access, with external IDs that change"),
			SuppressTemplateIndentation: new(len(loaded.Shard(shard)) > infra.MostGrantsIndented),
		})
		infra.NewServiceProviderAccess(stack, stackName, &infra.ServiceProviderAccessProps{
			Access: loaded, Shard: shard, Functions: infra.FromFolder(input(app, "functions", "dist/functions")),
			Version: input(app, "stackVersion", ""), Local: input(app, "local", "") == "true",
			RevokeConcurrency: reserved,
		})
	}
	app.Synth(nil)
}

// provider is the provider's side.
func provider(app awscdk.App, file string) {
	roster, err := infra.LoadRoster(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stack := awscdk.NewStack(app, new(providerName), &awscdk.StackProps{
		Description: new("Countersign: customers' accounts that we enter, and who of us may"),
	})
	infra.NewCustomerAccess(stack, providerName, &infra.CustomerAccessProps{
		Roster: roster, Functions: infra.FromFolder(input(app, "functions", "dist/functions")), Local: input(app, "local", "") == "true",
	})
	if roster.Instance != "" {
		own := input(app, "providerAccount", "")
		if own == "" {
			fmt.Fprintln(os.Stderr, "identityCenter needs the account that engineers enter from: -c providerAccount=111122223333")
			os.Exit(1)
		}
		sets := awscdk.NewStack(app, new(providerName+"IdentityCenter"), &awscdk.StackProps{
			Description: new("Countersign: permission sets of the engineers who enter customers' accounts"),
		})
		infra.NewIdentityCenter(sets, providerName, &infra.IdentityCenterProps{Roster: roster, Account: own})
	}
	app.Synth(nil)
}

// input is a value of CDK's context, or what is used without it.
func input(app constructs.Construct, key, otherwise string) string {
	if v, ok := app.Node().TryGetContext(&key).(string); ok && v != "" {
		return v
	}
	return otherwise
}
