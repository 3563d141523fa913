package infra

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
)

// modulePath is where the functions' source is, for whoever has the module among its requirements.
const modulePath = "github.com/countersign/countersign"

// Code is where the functions' binaries come from. The zero value is FromModule.
type Code struct{ folder string }

// FromFolder takes binaries that are built already: folder/<function>/bootstrap, for Linux and the stack's architecture.
func FromFolder(folder string) Code { return Code{folder: folder} }

// FromModule builds the binaries while the app synthesises, with the go command, from the version of Countersign that the
// app's own go.mod names. The same version gives the same bytes.
func FromModule() Code { return Code{} }

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
