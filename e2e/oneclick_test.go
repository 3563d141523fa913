//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
)

// What make e2e builds for this test, with tools/release: two releases.
const (
	releases  = "../dist/e2e/"
	published = "v0.0.0"
	following = "v0.0.1"
	buckets   = "countersign-e2e-" // and the Region behind it
	bucket    = buckets + lab.Region
)

// clicked is a customer, or a provider, who deploys from a link: plain calls of CloudFormation's API, and nothing else of this project's.
type clicked struct {
	*lab.Lab
	account string // that deploys
	buckets string // the publisher's: the emulator's CloudFormation finds those of its own account only
	cfn     *cloudformation.Client
	backend aws.Config // user of the provider's account who may do nothing but sts:AssumeRole
}

// TestOneClick is a stack's way by link: deployed, used, changed, deleted; and archives that are not the published ones.
func TestOneClick(t *testing.T) {
	t.Parallel()
	began := time.Now()
	c := clicks(t, lab.Customer)

	started := time.Now()
	values := c.values("migration")
	c.create(t, "ByLink", values)
	t.Logf("a working grant %.1f s after the click", time.Since(started).Seconds())
	first := c.id(t, "migration")
	wantAllowed(t, "the provider with its ID", c.enters(t, "migration", first))
	wantDenied(t, "with another ID", c.enters(t, "migration", strings.ToLower(first)+"x"))
	wantDenied(t, "without one", c.enters(t, "migration", ""))
	c.pinned(t, "1")

	t.Run("a rotation runs the pinned version", func(t *testing.T) {
		secret := must[string](t)(c.Secret(t.Context(), "migration"))
		token := "requested-by-hand-" + strings.Repeat("7", 32)
		_ = must[*secretsmanager.RotateSecretOutput](t)(secretsmanager.NewFromConfig(c.Owner(lab.Customer)).RotateSecret(t.Context(),
			&secretsmanager.RotateSecretInput{SecretId: &secret, ClientRequestToken: &token}))
		eventually(t, 60*time.Second, "another ID is current", func() bool { return c.id(t, "migration") != first })
		wantAllowed(t, "the new ID", c.enters(t, "migration", c.id(t, "migration")))
		wantAllowed(t, "the one before, in the overlap", c.enters(t, "migration", first))
	})
	t.Run("a second provider beside it", func(t *testing.T) {
		other := c.values("audit")
		other["ProviderName"], other["RotateEvery"] = "another", "never"
		c.create(t, "Another", other)
		wantAllowed(t, "the second", c.enters(t, "audit", c.id(t, "audit")))
		wantAllowed(t, "the first", c.enters(t, "migration", c.id(t, "migration")))
	})
	t.Run("the CLI reads and revokes it", func(t *testing.T) {
		out := must[lab.Output](t)(c.Countersign(t.Context(), c.Owner(lab.Customer), "grants", "--stack", "Another"))
		if out.Code != 0 || !strings.Contains(out.Stdout, "audit") {
			t.Errorf("%+v", out)
		}
		out = must[lab.Output](t)(c.Countersign(t.Context(), c.Owner(lab.Customer), "revoke", "audit", "--stack", "Another", "--direct", "--reason", "ended", "--yes"))
		if out.Code != 0 {
			t.Errorf("%+v", out)
		}
		eventually(t, 10*time.Second, "closed", func() bool { return lab.Denied(c.enters(t, "audit", c.id(t, "audit"))) })
	})
	t.Run("parameters change on a live stack", func(t *testing.T) {
		id := c.id(t, "migration")
		values["RotateEvery"], values["Overlap"], values["Expires"] = "weekly", "12h", "2099-12-31T23:59:59Z"
		values["NotifyTopic"] = "arn:aws:sns:" + lab.Region + ":" + lab.Customer + ":alerts"
		if status := c.update(t, "ByLink", published, values); status != cfntypes.StackStatusUpdateComplete {
			t.Fatalf("%s: %s", status, c.why(t, "ByLink"))
		}
		if got := c.id(t, "migration"); got != id {
			t.Error("the update changed the external ID")
		}
		wantAllowed(t, "the same ID", c.enters(t, "migration", id))
		doc := must[string](t)(url.QueryUnescape(must[string](t)(c.Trust(t.Context(), "migration"))))
		if !strings.Contains(doc, "2099-12-31T23:59:59Z") {
			t.Errorf("the end is not in the trust policy: %s", strings.ReplaceAll(doc, id, "(the ID)"))
		}
	})
	t.Run("the next release over it", func(t *testing.T) {
		id := c.id(t, "migration")
		trust := must[string](t)(c.Trust(t.Context(), "migration"))
		if status := c.update(t, "ByLink", following, values); status != cfntypes.StackStatusUpdateComplete {
			t.Fatalf("%s: %s", status, c.why(t, "ByLink"))
		}
		if c.id(t, "migration") != id || must[string](t)(c.Trust(t.Context(), "migration")) != trust {
			t.Error("the next release changed the external ID, or the trust policy")
		}
		wantAllowed(t, "the same ID", c.enters(t, "migration", id))
		c.pinned(t, "2")
		out := must[lab.Output](t)(c.Countersign(t.Context(), c.Owner(lab.Customer), "rotate", "migration", "--stack", "ByLink", "--leaked", "--reason", "seen in a log"))
		if out.Code != 0 || c.id(t, "migration") == id {
			t.Errorf("a rotation by the next release's functions: %+v", out)
		}
		wantAllowed(t, "the new ID", c.enters(t, "migration", c.id(t, "migration")))
		wantDenied(t, "the ID that leaked", c.enters(t, "migration", id))
	})
	t.Run("another name is refused, and the grant stays as it is", func(t *testing.T) {
		id := c.id(t, "migration")
		renamed := maps.Clone(values)
		renamed["GrantName"] = "relocation"
		if status := c.update(t, "ByLink", following, renamed); status != cfntypes.StackStatusUpdateRollbackComplete {
			t.Errorf("%s: %s", status, c.why(t, "ByLink"))
		}
		if why := c.why(t, "ByLink"); !strings.Contains(why, "set the name back") {
			t.Errorf("the reason is %s", why)
		}
		wantAllowed(t, "the same ID", c.enters(t, "migration", id))
	})
	t.Run("deleting it leaves nothing that grants access", func(t *testing.T) {
		id := c.id(t, "migration")
		c.remove(t, "ByLink")
		wantDenied(t, "the last ID", c.enters(t, "migration", id))
		if doc := must[string](t)(c.Trust(t.Context(), "migration")); doc != "" {
			t.Errorf("the role is still there: %s", doc)
		}
	})
	for _, function := range []string{"rotate", "notify"} {
		t.Run("a tampered archive of "+function+" fails before any trigger exists", func(t *testing.T) { c.tampered(t, function) })
	}
	t.Logf("it took %.1f s", time.Since(began).Seconds())
}

// clicks starts a lab in which an account deploys from a publisher's bucket.
func clicks(t *testing.T, account string) *clicked {
	t.Helper()
	c := &clicked{Lab: startLab(t), account: account, buckets: buckets}
	c.cfn = cloudformation.NewFromConfig(c.Owner(account))
	c.backend = must[aws.Config](t)(c.NewUser(t.Context(), lab.Provider, "backend", mayAssume))
	c.publish(t)
	return c
}

// publish puts both releases into their bucket, as upload.sh does.
func (c *clicked) publish(t *testing.T) {
	t.Helper()
	client := storage(c.Owner(c.account))
	_ = must[*s3.CreateBucketOutput](t)(client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new(c.buckets + lab.Region)}))
	n := 0
	err := filepath.WalkDir(releases, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		name, err := filepath.Rel(releases, path)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if filepath.Ext(name) == ".json" {
			body = bytes.ReplaceAll(body, []byte(buckets), []byte(c.buckets))
		}
		return c.put(t.Context(), filepath.ToSlash(name), body)
	})
	if err != nil || n < 30 {
		t.Fatalf("%d files, %v: make e2e builds them", n, err)
	}
}

func (c *clicked) put(ctx context.Context, name string, body []byte) error {
	_, err := storage(c.Owner(c.account)).PutObject(ctx, &s3.PutObjectInput{Bucket: new(c.buckets + lab.Region), Key: new("countersign/" + name), Body: bytes.NewReader(body)})
	return err
}

func (c *clicked) values(grant string) map[string]string {
	return map[string]string{
		"ProviderName": "hestio", "ProviderAccount": lab.Provider, "GrantName": grant, "Prefix": "hestio",
		"Permissions": "arn:aws:iam::aws:policy/AmazonS3FullAccess",
	}
}

func parameters(values map[string]string) (out []cfntypes.Parameter) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, cfntypes.Parameter{ParameterKey: &name, ParameterValue: new(values[name])})
	}
	return out
}

func (c *clicked) template(version string) *string {
	return new(c.Endpoint + "/" + c.buckets + lab.Region + "/countersign/" + version + "/" + templateFile())
}

func (c *clicked) create(t *testing.T, stack string, values map[string]string) {
	t.Helper()
	if status := c.tryCreate(t, stack, values); status != cfntypes.StackStatusCreateComplete {
		t.Fatalf("%s: %s", status, c.why(t, stack))
	}
}

func (c *clicked) tryCreate(t *testing.T, stack string, values map[string]string) cfntypes.StackStatus {
	t.Helper()
	_ = must[*cloudformation.CreateStackOutput](t)(c.cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: &stack, TemplateURL: c.template(published), Parameters: parameters(values),
		Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam},
	}))
	return c.settled(t, stack)
}

func (c *clicked) update(t *testing.T, stack, version string, values map[string]string) cfntypes.StackStatus {
	t.Helper()
	_ = must[*cloudformation.UpdateStackOutput](t)(c.cfn.UpdateStack(t.Context(), &cloudformation.UpdateStackInput{
		StackName: &stack, TemplateURL: c.template(version), Parameters: parameters(values),
		Capabilities: []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam},
	}))
	return c.settled(t, stack)
}

func (c *clicked) remove(t *testing.T, stack string) {
	t.Helper()
	id := *c.describe(t, stack).StackId
	_ = must[*cloudformation.DeleteStackOutput](t)(c.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &stack}))
	if status := c.settled(t, id); status != cfntypes.StackStatusDeleteComplete {
		t.Errorf("%s: %s", status, c.why(t, id))
	}
}

func (c *clicked) describe(t *testing.T, stack string) cfntypes.Stack {
	t.Helper()
	return must[*cloudformation.DescribeStacksOutput](t)(c.cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: &stack})).Stacks[0]
}

// settled waits until CloudFormation is done with a stack.
func (c *clicked) settled(t *testing.T, stack string) (status cfntypes.StackStatus) {
	t.Helper()
	eventually(t, 3*time.Minute, stack+" is done", func() bool {
		status = c.describe(t, stack).StackStatus
		return !strings.HasSuffix(string(status), "_IN_PROGRESS")
	})
	return status
}

func (c *clicked) events(t *testing.T, stack string) (out []cfntypes.StackEvent) {
	t.Helper()
	pages := cloudformation.NewDescribeStackEventsPaginator(c.cfn, &cloudformation.DescribeStackEventsInput{StackName: &stack})
	for pages.HasMorePages() {
		out = append(out, must[*cloudformation.DescribeStackEventsOutput](t)(pages.NextPage(t.Context())).StackEvents...)
	}
	return out
}

// why are the reasons that CloudFormation gives.
func (c *clicked) why(t *testing.T, stack string) string {
	t.Helper()
	var out []string
	for _, e := range c.events(t, stack) {
		if aws.ToString(e.ResourceStatusReason) != "" {
			out = append(out, fmt.Sprintf("%s: %s", aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceStatusReason)))
		}
	}
	return strings.Join(out, "\n")
}

func (c *clicked) id(t *testing.T, grant string) string {
	t.Helper()
	v, _ := lab.Labelled(must[[]lab.Version](t)(c.Versions(t.Context(), grant)), "AWSCURRENT")
	return v.ExternalID
}

func (c *clicked) enters(t *testing.T, grant, id string) error {
	t.Helper()
	_, err := c.Enter(t.Context(), c.backend, lab.RoleARN(grant), id, "visit")
	return err
}

// pinned holds that each function has this version, and that it was made of the published archive.
func (c *clicked) pinned(t *testing.T, version string) {
	t.Helper()
	owner := c.Owner(lab.Customer)
	ask := func(name, qualifier string) (out struct{ CodeSha256, Version string }) {
		got := must[lab.Answer](t)(c.Call(t.Context(), &owner, "lambda", "GET", c.Endpoint+"/2015-03-31/functions/"+name+"/configuration"+qualifier, "", ""))
		decode(t, got.Body, &out)
		return out
	}
	for _, name := range []string{"rotate", "reconcile", "revoke", "operate", "confirm", "notify"} {
		archive := must[[]byte](t)(os.ReadFile(filepath.Join(releases, published, "functions", hostArchitecture(), name+".zip")))
		sum := sha256.Sum256(archive)
		name = "countersign-" + name + "-migration"
		if got := ask(name, "?Qualifier="+version); got.Version != version || got.CodeSha256 != base64.StdEncoding.EncodeToString(sum[:]) {
			t.Errorf("%s is %+v", name, got)
		}
	}
	if got := ask("countersign-reconcile-migration", "?Qualifier=deployed"); got.Version != version {
		t.Errorf("CloudFormation asks version %s", got.Version)
	}
}

// tampered deploys while the archive of a function holds something else than was published.
func (c *clicked) tampered(t *testing.T, function string) {
	name := published + "/functions/" + hostArchitecture() + "/" + function + ".zip"
	good := must[[]byte](t)(os.ReadFile(filepath.Join(releases, filepath.FromSlash(name))))
	if err := c.put(t.Context(), name, append(slices.Clone(good), 0)); err != nil { // a zip with something behind it still runs
		t.Fatal(err)
	}
	stack, grant := "Tampered-"+function, "tampered-"+function
	status := c.tryCreate(t, stack, c.values(grant))
	if status != cfntypes.StackStatusRollbackComplete {
		t.Errorf("%s", status)
	}
	if why := c.why(t, stack); !strings.Contains(why, "CodeSHA256") {
		t.Errorf("the reason is %s", why)
	}
	made := 0
	for _, e := range c.events(t, stack) {
		kind := aws.ToString(e.ResourceType)
		if e.ResourceStatus != cfntypes.ResourceStatusCreateComplete {
			continue
		}
		made++
		switch kind {
		case "AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Alias", "AWS::ApiGateway::Method", "AWS::Events::Rule",
			"AWS::SecretsManager::RotationSchedule", "Custom::Grant", "Custom::Layout":
			t.Errorf("%s was made: %s", kind, aws.ToString(e.LogicalResourceId))
		}
	}
	if made < 10 {
		t.Errorf("only %d resources were made: it failed for another reason", made)
	}
	if err := c.put(t.Context(), name, good); err != nil {
		t.Fatal(err)
	}
}

func hostArchitecture() string { return runtime.GOARCH }

// templateFile is the template for functions of this machine's architecture.
func templateFile() string {
	if hostArchitecture() == "amd64" {
		return "countersign.x86_64.template.json"
	}
	return "countersign.template.json"
}
