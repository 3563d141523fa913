// Command release writes the folder of a release: the functions' archives for both architectures, the templates of both sides
// that pin them, sums, an SBOM, the page that makes links, and the script that uploads it all.
//
// The same source, compiler and flags give the same bytes wherever it runs. It talks to no network and to no account.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/jsii-runtime-go"

	"github.com/countersign/countersign/infra/oneclick"
)

func main() {
	defer jsii.Close()
	var (
		root      = flag.String("root", ".", "folder of the repository")
		out       = flag.String("out", "dist/release", "folder in which the release's folder is made")
		version   = flag.String("version", "", "of the release, like v1.2.3")
		bucket    = flag.String("bucket", "", "beginning of the buckets' names: each Region has <bucket>-<region>")
		regions   = flag.String("regions", "", "where it is published, separated by spaces")
		providers = flag.String("providers", "", "NAME=ACCOUNT of providers that get templates of their own, separated by spaces")
	)
	flag.Parse()
	r := release{root: *root, version: *version, bucket: *bucket, regions: strings.Fields(*regions)}
	err := r.readProviders(strings.Fields(*providers))
	if err == nil {
		err = r.check()
	}
	if err == nil {
		err = r.write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		jsii.Close()
		os.Exit(1)
	}
}

// release is what is made.
type release struct {
	root, version, bucket string
	regions               []string
	providers             []oneclick.Fixed
}

var (
	versionForm = regexp.MustCompile(`^v[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`)
	// bucketForm leaves room for the Region within S3's 63 characters. Dots would break TLS.
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,45}$`)
	regionForm = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
)

func (r *release) check() error {
	switch {
	case !versionForm.MatchString(r.version):
		return fmt.Errorf("no version: %.40q; try VERSION=v1.0.0", r.version)
	case !bucketForm.MatchString(r.bucket):
		return fmt.Errorf("no beginning of a bucket's name: %.60q; 2 to 46 lower-case letters, digits and hyphens: BUCKET=example-countersign", r.bucket)
	case len(r.regions) == 0:
		return errors.New("no Region; try REGIONS=\"us-east-1 eu-west-1\"")
	}
	for _, region := range r.regions {
		switch {
		case !regionForm.MatchString(region):
			return fmt.Errorf("no Region: %.40q", region)
		case strings.HasPrefix(region, "cn-") || strings.HasPrefix(region, "us-gov-"):
			return fmt.Errorf("%s: the page makes links to AWS's commercial console, and to no other", region)
		}
	}
	slices.Sort(r.regions)
	r.regions = slices.Compact(r.regions)
	return nil
}

func (r *release) readProviders(list []string) error {
	for _, item := range list {
		name, account, _ := strings.Cut(item, "=")
		fixed := oneclick.Fixed{"ProviderName": name, "ProviderAccount": account}
		if err := fixed.Check(); err != nil {
			return fmt.Errorf("PROVIDERS: %.80q: %w", item, err)
		}
		if name == "customers" {
			return fmt.Errorf("PROVIDERS: %.80q: countersign-customers.template.json is the template of a provider's own side; give the provider another name", item)
		}
		r.providers = append(r.providers, fixed)
	}
	return nil
}
