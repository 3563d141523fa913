package grant_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/grant"
)

func TestWhichRolesCantBeAdopted(t *testing.T) {
	for arn, why := range map[string]string{
		"arn:aws:iam::444455556666:role/VendorAccess":                                                 "",
		"arn:aws:iam::444455556666:role/vendors/backup/VendorAccess":                                  "",
		"arn:aws-us-gov:iam::444455556666:role/my-cdk-role":                                           "",
		"arn:aws:iam::444455556666:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS":      "service-linked",
		"arn:aws:iam::444455556666:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_01234567": "Identity Center",
		"arn:aws:iam::444455556666:role/AWSReservedSSO_Admin_01234567":                                "Identity Center",
		"arn:aws:iam::444455556666:role/cdk-hnb659fds-cfn-exec-role-444455556666-eu-west-1":           "CDK's",
		"arn:aws:iam::444455556666:role/CDK-custom":                                                   "CDK's",
		"arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration":                        "Countersign's own",
	} {
		_, account, path, name, err := grant.SplitRoleARN(arn)
		if err != nil || account != "444455556666" || !strings.HasPrefix(path, "/") || !strings.HasSuffix(path, "/") || !strings.HasSuffix(arn, path+name) {
			t.Errorf("%s: %s %s %s, %v", arn, account, path, name, err)
		}
		if got := grant.Unadoptable(name, path); (got == "") != (why == "") || !strings.Contains(got, why) {
			t.Errorf("%s: %q, want %q", arn, got, why)
		}
	}
	for _, arn := range []string{"", "VendorAccess", "arn:aws:iam::444455556666:user/jdoe", "arn:aws:iam::4444:role/x", "arn:aws:iam::444455556666:role/",
		"arn:aws:sts::444455556666:assumed-role/x/y", "arn:aws:iam::444455556666:role/path/"} {
		if _, _, _, _, err := grant.SplitRoleARN(arn); err == nil {
			t.Errorf("%q is taken for a role", arn)
		}
	}
}

// Only in the version of an adoption may an ID of an adopted role have a form that isn't ours.
func TestWhereAForeignFormIsTaken(t *testing.T) {
	const arn = "arn:aws:iam::444455556666:role/VendorAccess"
	value := []byte(`{"grant":"backups","roleArn":"` + arn + `","externalId":"org=acme"}`)
	token := grant.AdoptedToken("secret", arn, 0)
	for name, c := range map[string]struct {
		adopted bool
		version string
		taken   bool
	}{
		"adopted, its version":     {true, token, true},
		"adopted, another version": {true, "rotate-0123456789abcdef0123456789abcdef", false},
		"a role of ours":           {false, token, false},
	} {
		p := grant.Plan{Grant: "backups", RoleARN: arn, Adopted: c.adopted}
		id, err := p.DecodeVersion(grant.Version{ID: c.version, Value: value})
		if (err == nil) != c.taken || c.taken && id.Reveal() != "org=acme" || !c.taken && !errors.Is(err, grant.ErrForeignValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !grant.IsAdopted(token) || len(token) < 32 || len(token) > 64 || token == grant.AdoptedToken("secret", arn, 1) || token != grant.AdoptedToken("secret", arn, 0) {
		t.Errorf("version id %s", token)
	}
	if grant.PurposeOf(token) != grant.Scheduled || grant.InRun(token, grant.OnDemand, "") {
		t.Error("an adoption has another purpose")
	}
}

func TestTheMarkOfARoleThatWasGivenBack(t *testing.T) {
	r := grant.ReadRevocation([]byte(grant.ReleasedRevocation))
	if !r.Released || r.Denies || r.RevokeID != "" || !r.DeadBefore.IsZero() {
		t.Errorf("%+v", r)
	}
	for name, body := range map[string]string{
		"none": "", "the template's": grant.OpenRevocation, "a Deny": grant.DenyRevocation, "unreadable": "{",
		"a Deny under the mark's name": strings.Replace(grant.DenyRevocation, "CountersignRevoked", "CountersignReleased", 1),
		"the mark beside another":      strings.Replace(grant.ReleasedRevocation, `"Statement":[`, `"Statement":[{"Sid":"x","Effect":"Deny","Action":"s3:*","Resource":"*"},`, 1),
	} {
		if grant.ReadRevocation([]byte(body)).Released {
			t.Errorf("%s is taken for the mark", name)
		}
	}
}
