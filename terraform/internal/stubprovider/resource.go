package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	dataschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
)

type (
	attributes = map[string]schema.Attribute
	blocks     map[string]attributes
)

// kind is a type of resource. What is made of it stands in Terraform's state only.
type kind struct {
	name       string
	attributes attributes
	blocks     blocks
	made       func(made) map[string]any // what the provider fills in
	keeps      func(standing) string     // why AWS doesn't let it be deleted, "" if it does; nil: it always does
}

// made is a resource's own arguments.
type made struct {
	action string // Create or Update
	ctx    context.Context
	plan   tfsdk.Plan
	wrong  *diag.Diagnostics
}

func (m made) text(name string) string {
	var out *string
	m.wrong.Append(m.plan.GetAttribute(m.ctx, path.Root(name), &out)...)
	if out == nil {
		return ""
	}
	return *out
}

func (m made) texts(name string) map[string]string {
	out := map[string]string{}
	m.wrong.Append(m.plan.GetAttribute(m.ctx, path.Root(name), &out)...)
	return out
}

func (k *kind) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = k.name
}

func (k *kind) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: k.attributes, Blocks: map[string]schema.Block{}}
	for name, inner := range k.blocks {
		resp.Schema.Blocks[name] = schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{Attributes: inner}}
	}
}

func (k *kind) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.State.Raw = req.Plan.Raw
	k.fill(ctx, "Create", req.Plan, &resp.State, &resp.Diagnostics)
}

func (k *kind) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.Plan.Raw
	k.fill(ctx, "Update", req.Plan, &resp.State, &resp.Diagnostics)
}

func (k *kind) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	if k.keeps == nil {
		return
	}
	all, err := madeUp()
	if err != nil {
		resp.Diagnostics.AddError("reading the made-up account", err.Error())
		return
	}
	if why := k.keeps(standing{ctx, req.State, all, &resp.Diagnostics}); why != "" {
		resp.Diagnostics.AddError("deleting "+k.name, why)
	}
}

// standing is a resource as the state has it, with what the account says of all.
type standing struct {
	ctx     context.Context
	state   tfsdk.State
	account told
	wrong   *diag.Diagnostics
}

func (s standing) text(name string) string {
	var out string
	s.wrong.Append(s.state.GetAttribute(s.ctx, path.Root(name), &out)...)
	return out
}

func (s standing) flag(name string) bool {
	var out *bool
	s.wrong.Append(s.state.GetAttribute(s.ctx, path.Root(name), &out)...)
	return out != nil && *out
}

func (k *kind) fill(ctx context.Context, action string, plan tfsdk.Plan, state *tfsdk.State, wrong *diag.Diagnostics) {
	for name, value := range k.made(made{action, ctx, plan, wrong}) {
		wrong.Append(state.SetAttribute(ctx, path.Root(name), value)...)
	}
}

// accountFile names a file of what the account says of resources, where that is not what Terraform wrote:
//
//	{"aws_iam_role": {"<id>": {"assume_role_policy": "…"}}}
//
// or of what keeps them from being deleted: inline policies by a role's id, and stacks under termination protection, by name.
//
//	{"inline_policies": {"<id>": {"<name>": "…"}}, "protected_stacks": {"<name>": {"…": "…"}}}
const accountFile = "STUB_ACCOUNT"

// told is what that file says.
type told = map[string]map[string]map[string]string

// madeUp reads it; nothing, without one.
func madeUp() (all told, err error) {
	file := os.Getenv(accountFile)
	if file == "" {
		return nil, nil
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal(src, &all)
}

// Read refreshes, as the real providers do: whatever the account says comes into the state, ignore_changes or not.
func (k *kind) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	resp.State.Raw = req.State.Raw
	all, err := madeUp()
	if err != nil {
		resp.Diagnostics.AddError("reading the made-up account", err.Error())
		return
	}
	var id string
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...)
	for name, value := range all[k.name][id] {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

// fact is a data source whose values never change.
type fact struct {
	name   string
	values map[string]string
}

func (f *fact) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = f.name
}

func (f *fact) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = dataschema.Schema{Attributes: map[string]dataschema.Attribute{}}
	for name := range f.values {
		resp.Schema.Attributes[name] = dataschema.StringAttribute{Computed: true}
	}
}

func (f *fact) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	for name, value := range f.values {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}
