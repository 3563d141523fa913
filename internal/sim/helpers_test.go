package sim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
)

const (
	providerRoot = "arn:aws:iam::111122223333:root"
	providerRole = "arn:aws:iam::111122223333:role/Engineers"
	roleName     = "ServiceProvider-migration"
	roleARN      = "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration"
	secretARN    = "arn:aws:secretsmanager:eu-central-1:444455556666:secret:countersign/migration-Ab12Cd"
	currentID    = "CurrentIdCurrentIdCurrentId00001"
	token        = "rotate-0123456789abcdef0123456789abcdef"
	s3Full       = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}`
)

func plan() grant.Plan {
	return grant.Plan{
		Grant: "migration", Provider: "hestio", ProviderAccount: "111122223333", Account: "444455556666", Region: "eu-central-1",
		RoleARN: roleARN, SecretARN: secretARN, Principals: []string{providerRoot}, Overlap: grant.Duration(24 * time.Hour),
	}
}

// deployed is a world with the grant migration, which may use S3.
func deployed(t *testing.T, cfg sim.Config, policies ...sim.Policy) *sim.World {
	t.Helper()
	w := sim.New(cfg)
	policies = append([]sim.Policy{{Name: "AmazonS3FullAccess", ARN: "arn:aws:iam::aws:policy/AmazonS3FullAccess", Document: s3Full}}, policies...)
	if err := w.Deploy(plan(), policies...); err != nil {
		t.Fatal(err)
	}
	return w
}

// trusting is a trust policy that lets the principal in with the ID; none where it is empty.
func trusting(principal, id string) []byte {
	condition := ""
	if id != "" {
		condition = fmt.Sprintf(`,"Condition":{"StringEquals":{"sts:ExternalId":%q}}`, id)
	}
	return fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"%s}]}`, principal, condition)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is says whether an error is of the kind; nil means no error.
func is(err, kind error) bool {
	if kind == nil {
		return err == nil
	}
	return errors.Is(err, kind)
}

// story joins what happened into lines that a test can compare.
func story(records []sim.Record) string {
	var out strings.Builder
	for _, r := range records {
		fmt.Fprintf(&out, "%s %s\n", r.Call, r.Fault)
	}
	return out.String()
}
