package lab

import (
	"context"
	"path/filepath"
)

// DeployCustomerAccess prepares the provider's account for CDK and deploys CustomerAccess there, from a customers.yaml.
func (l *Lab) DeployCustomerAccess(ctx context.Context, customers string) error {
	if err := l.cdkAs(ctx, Provider, "bootstrap", "aws://"+Provider+"/"+Region, "--app", ""); err != nil {
		return err
	}
	return l.cdkAs(ctx, Provider, "deploy", "CustomerAccess", "--force", "--require-approval", "never",
		"--app", filepath.Join(l.Root, "bin/countersign-app"), "--output", filepath.Join(l.Dir, "provider.out"),
		"-c", "customers="+customers, "-c", "functions="+filepath.Join(l.Root, "dist/functions"), "-c", "local=true")
}
