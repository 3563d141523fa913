package infra

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
)

// modulePath is where the functions' source is, for whoever has the module among its requirements.
const modulePath = "github.com/countersign/countersign"

// Code is where the functions' binaries come from. The zero value is FromModule.
type Code struct {
	folder  string
	release *Release
}

// Release is a published release: archives that lie in a bucket, and what they have to be.
type Release struct {
	Bucket string            // of the stack's own Region; may name it as ${AWS::Region}
	Prefix string            // of the archives' keys, which go on "<function>.zip"
	Sums   map[string]string // SHA-256 of each function's archive, in base64 as Lambda says it
}

// FromRelease takes published archives. Each function gets a version that Lambda makes of exactly that archive or not at
// all, and whatever calls the function calls that version.
func FromRelease(r Release) Code { return Code{release: &r} }

// FromFolder takes binaries that are built already: folder/<function>/bootstrap, for Linux and the stack's architecture.
func FromFolder(folder string) Code { return Code{folder: folder} }

// FromModule builds the binaries while the app synthesises, with the go command, from the version of Countersign that the
// app's own go.mod names. The same version gives the same bytes.
func FromModule() Code { return Code{} }

// of is where the function's binary lies. Of a published one sum is what its archive has to be; else it is "".
func (c Code) of(scope constructs.Construct, function, goarch string) (code *awslambda.CfnFunction_CodeProperty, note func(awslambda.CfnFunction), sum string) {
	if c.release == nil {
		asset := c.asset(scope, function, goarch)
		return &awslambda.CfnFunction_CodeProperty{S3Bucket: asset.S3BucketName(), S3Key: asset.S3ObjectKey()},
			func(f awslambda.CfnFunction) { asset.AddResourceMetadata(f, new("Code")) }, ""
	}
	sum, ok := c.release.Sums[function]
	if !ok {
		panic(fmt.Errorf("the release has no archive of function %s", function))
	}
	return &awslambda.CfnFunction_CodeProperty{S3Bucket: text(c.release.Bucket), S3Key: new(c.release.Prefix + function + ".zip")},
		func(awslambda.CfnFunction) {}, sum
}

// asset is the function's folder, copied into the cloud assembly. It panics, as constructs do, if there is none.
func (c Code) asset(scope constructs.Construct, function, goarch string) awss3assets.Asset {
	folder := filepath.Join(c.folder, function)
	if c.folder == "" {
		built, err := buildFunction(function, goarch)
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(built) }()
		folder = built
	}
	if _, err := os.Stat(filepath.Join(folder, "bootstrap")); err != nil {
		panic(fmt.Errorf("code of function %s: %w; make functions builds it into dist/functions", function, err))
	}
	return awss3assets.NewAsset(scope, new("Code"), &awss3assets.AssetProps{Path: &folder})
}

// buildFunction gives a new folder with the function's bootstrap.
func buildFunction(function, goarch string) (folder string, err error) {
	folder, err = os.MkdirTemp("", partName+"-"+function+"-")
	if err != nil {
		return "", fmt.Errorf("building function %s: %w", function, err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w -buildid=",
		"-o", filepath.Join(folder, "bootstrap"), modulePath+"/functions/"+function+"/bootstrap")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	if out, err := build.CombinedOutput(); err != nil {
		_ = os.RemoveAll(folder)
		return "", fmt.Errorf("building function %s: %w: %s", function, err, strings.TrimSpace(string(out)))
	}
	return folder, nil
}
