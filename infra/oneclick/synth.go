package oneclick

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/countersign/countersign/infra"
)

// Release is what the template deploys.
type Release struct {
	Version string
	// Bucket is the beginning of the buckets' names: Lambda wants code in its own Region, so each Region has one, "<Bucket>-<Region>".
	Bucket       string
	Regions      []string          // where there is one
	Architecture string            // of the functions as Go calls it: arm64 or amd64
	Sums         map[string]string // SHA-256 of each function's archive, in base64
}

// Prefix is the beginning of the keys of everything that belongs to a version of Countersign.
func Prefix(version string) string { return "countersign/" + version + "/" }

// Archives is where the archives of an architecture lie below the Prefix.
func Archives(architecture string) string { return "functions/" + architecture + "/" }

// stackSample stands for the stack's name, which the customer chooses.
const stackSample = "the-stack"

// variants are the template with everything, and without each parameter that may be left out.
type variants struct {
	whole   map[string]any
	without map[string]map[string]any // by condition
}

func (r Release) synthesise() variants {
	v := variants{whole: r.synth(samples()), without: map[string]map[string]any{}}
	for _, p := range optional() {
		v.without[p.condition] = r.synth(samples(p.Name))
	}
	for _, less := range v.without {
		renameVersions(less, v.whole)
		likeDigest(less, v.whole)
	}
	return v
}

// synth is the construct's template for an access.yaml of these values.
func (r Release) synth(values map[string]string) map[string]any {
	return synth("Countersign "+r.Version+": a service provider's access, with an external ID that changes", func(stack awscdk.Stack) {
		infra.NewServiceProviderAccess(stack, "ServiceProviderAccess", &infra.ServiceProviderAccessProps{
			Access: read(values), Version: r.Version, Architecture: r.Architecture, Name: values["GrantName"], Functions: r.functions(),
		})
	})
}

// functions are the published archives, in the bucket of the stack's own Region.
func (r Release) functions() infra.Code {
	return infra.FromRelease(infra.Release{
		Bucket: r.Bucket + "-${AWS::Region}", Prefix: Prefix(r.Version) + Archives(r.Architecture), Sums: r.Sums,
	})
}

// synth is the template of a stack that is filled like this, without what CDK asks of an account.
func synth(description string, build func(awscdk.Stack)) map[string]any {
	folder, err := os.MkdirTemp("", "oneclick-")
	if err != nil {
		panic(fmt.Errorf("synthesising the one-click template: %w", err))
	}
	defer func() { _ = os.RemoveAll(folder) }()
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: &folder, AnalyticsReporting: new(false)})
	stack := awscdk.NewStack(app, new(stackSample), &awscdk.StackProps{
		Synthesizer: awscdk.NewDefaultStackSynthesizer(&awscdk.DefaultStackSynthesizerProps{GenerateBootstrapVersionRule: new(false)}),
		Description: &description,
	})
	build(stack)
	app.Synth(nil)
	src, err := os.ReadFile(filepath.Join(folder, stackSample+".template.json"))
	if err != nil {
		panic(fmt.Errorf("synthesising the one-click template: %w", err))
	}
	return parse(src)
}

func parse(src []byte) map[string]any {
	var out map[string]any
	if err := json.Unmarshal(src, &out); err != nil {
		panic(fmt.Errorf("reading a template: %w", err))
	}
	return out
}

// likeDigest gives Custom::Grant of one template the digest of another. Instead it follows the parameters (see followParameters).
func likeDigest(of, like map[string]any) {
	for id, r := range resources(of) {
		if r["Type"] == "Custom::Grant" {
			properties(r)["Digest"] = properties(resources(like)[id])["Digest"]
		}
	}
}

// versionID is the logical id of a function's version: a hash of its configuration ends it.
var versionID = regexp.MustCompile(`^(.*Version)[0-9a-f]{8}[0-9A-F]{8}$`)

// renameVersions gives the versions of one template the logical ids that they have in another. Where the configuration follows
// from a parameter the version's description does too (see describeVersions).
func renameVersions(of, like map[string]any) {
	ids := map[string]string{}
	for id, r := range resources(like) {
		if m := versionID.FindStringSubmatch(id); m != nil && r["Type"] == "AWS::Lambda::Version" {
			ids[m[1]] = id
		}
	}
	var pairs []string
	for id, r := range resources(of) {
		if m := versionID.FindStringSubmatch(id); m != nil && r["Type"] == "AWS::Lambda::Version" && ids[m[1]] != id {
			pairs = append(pairs, id, ids[m[1]])
		}
	}
	if len(pairs) == 0 {
		return
	}
	src, err := json.Marshal(of)
	if err != nil {
		panic(err) // it came from JSON
	}
	clear(of)
	for k, v := range parse([]byte(strings.NewReplacer(pairs...).Replace(string(src)))) {
		of[k] = v
	}
}

// resources are the template's by logical id.
func resources(template map[string]any) map[string]map[string]any {
	out := map[string]map[string]any{}
	for id, r := range template["Resources"].(map[string]any) {
		out[id] = r.(map[string]any)
	}
	return out
}

// properties are a resource's, never nil.
func properties(resource map[string]any) map[string]any {
	p, _ := resource["Properties"].(map[string]any)
	if p == nil {
		p = map[string]any{}
	}
	return p
}
