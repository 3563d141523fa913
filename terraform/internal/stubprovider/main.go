// Command stubprovider stands in for the AWS and Scalr providers of Terraform where there is no network and no account: it has
// the few resources that the modules and examples use, with the attributes of the real ones, and does nothing.
//
// It proves the modules' own logic: what they refuse, what they plan, in which order, what comes into the state. It does not
// prove that the real providers take it: their schemas are written down here by hand, and its "account" is a file. Stacks
// alone it can make, in an emulator.
package main

import (
	"context"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

func main() {
	// The address is for debuggers only: which provider it stands in for is decided by the folder that it is found in.
	err := providerserver.Serve(context.Background(), func() provider.Provider { return stub{} },
		providerserver.ServeOpts{Address: "registry.terraform.io/countersign/stub"})
	if err != nil {
		log.Fatal(err)
	}
}

type stub struct{}

func (stub) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "stub"
}

// Schema takes the arguments that the tests and examples give to providers.
func (stub) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"region":   schema.StringAttribute{Optional: true},
		"hostname": schema.StringAttribute{Optional: true},
	}}
}

func (stub) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}

func (stub) Resources(context.Context) (out []func() resource.Resource) {
	for _, k := range kinds() {
		out = append(out, func() resource.Resource { return &k })
	}
	return out
}

func (stub) DataSources(context.Context) (out []func() datasource.DataSource) {
	for _, f := range facts() {
		out = append(out, func() datasource.DataSource { return &f })
	}
	return out
}
