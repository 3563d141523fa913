package main

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/grant"
)

// What ends with a grant that goes is named, a revoked one doesn't go unless that is said, and a new name is a new grant.
func TestWhatEndsWithAGrant(t *testing.T) {
	for name, c := range map[string]struct {
		yaml   []string
		closed bool
		want   string
	}{
		"renamed": {[]string{"name: migration", "name: audit"}, false, `
audit       NEW: hestio (111122223333) may enter as role ServiceProvider-audit
  gains     arn:aws:iam::111122223333:root under a new external ID if ArnLike
            aws:PrincipalArn
  callers   arn:aws:iam::111122223333:role/Engineers-*
  ends      when it is revoked
  may do    S3: everything but Countersign's and CDK's own buckets, read.json: 1
            action in s3
  note      a grant's name can't be changed: if this is migration under another
            name, hestio needs the new role's ARN and secret's

migration   REMOVED: hestio (111122223333) loses role ServiceProvider-migration,
            live sessions too
  loses     arn:aws:iam::111122223333:root under #54f46a if ArnLike
            aws:PrincipalArn
  deletes   role ServiceProvider-migration, its policies and every session of it
  deletes   secret countersign/migration with all of its external IDs, and
            hestio's use of the key for it`},
		"renamed, its role kept": {[]string{"name: migration", "name: audit\n        role: {name: ServiceProvider-migration}"}, false, `
audit       NEW: hestio (111122223333) may enter as role
            ServiceProvider-migration
  gains     arn:aws:iam::111122223333:root under a new external ID if ArnLike
            aws:PrincipalArn
  callers   arn:aws:iam::111122223333:role/Engineers-*
  ends      when it is revoked
  may do    S3: everything but Countersign's and CDK's own buckets, read.json: 1
            action in s3
  problem   its role ServiceProvider-migration is grant migration's, and IAM
            knows a name once: the deploy fails. Give it another role, or remove
            migration in a deploy of its own

migration   REMOVED: hestio (111122223333) loses role ServiceProvider-migration,
            live sessions too
  loses     arn:aws:iam::111122223333:root under #54f46a if ArnLike
            aws:PrincipalArn
  deletes   role ServiceProvider-migration, its policies and every session of it
  deletes   secret countersign/migration with all of its external IDs, and
            hestio's use of the key for it`},
		"revoked": {[]string{"name: hestio", "name: blox", "name: migration", "name: audit"}, true, `
audit       NEW: blox (111122223333) may enter as role ServiceProvider-audit
  gains     arn:aws:iam::111122223333:root under a new external ID if ArnLike
            aws:PrincipalArn
  callers   arn:aws:iam::111122223333:role/Engineers-*
  ends      when it is revoked
  may do    S3: everything but Countersign's and CDK's own buckets, read.json: 1
            action in s3

migration   REMOVED: hestio (111122223333) had role ServiceProvider-migration,
            revoked already
  deletes   role ServiceProvider-migration, its policies and every session of it
  deletes   secret countersign/migration with all of its external IDs, and
            hestio's use of the key for it
  problem   it is revoked, and the deploy is refused: a grant of that name would
            open again. Put it back, or say removeRevoked: [migration] in
            access.yaml`},
		"revoked, and that is said": {[]string{"name: hestio", "name: blox", "name: migration", "name: audit", "version: 1", "version: 1\nremoveRevoked: [migration]"}, true, `
audit       NEW: blox (111122223333) may enter as role ServiceProvider-audit
  gains     arn:aws:iam::111122223333:root under a new external ID if ArnLike
            aws:PrincipalArn
  callers   arn:aws:iam::111122223333:role/Engineers-*
  ends      when it is revoked
  may do    S3: everything but Countersign's and CDK's own buckets, read.json: 1
            action in s3

migration   REMOVED: hestio (111122223333) had role ServiceProvider-migration,
            revoked already
  deletes   role ServiceProvider-migration, its policies and every session of it
  deletes   secret countersign/migration with all of its external IDs, and
            hestio's use of the key for it
  note      it is revoked, and what says so goes with it: a grant of that name
            would open again`},
	} {
		t.Run(name, func(t *testing.T) {
			stands := deployedAs(t, planYAML)
			stands[0].closed = c.closed
			var got strings.Builder
			for _, g := range compare(readAccess(t, edited(t, planYAML, c.yaml...)), defaultStack, stands, "aws") {
				got.WriteString(g.text())
			}
			if strings.TrimSpace(got.String()) != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant%s", got.String(), c.want)
			}
		})
	}
}

func TestCountersignDoesNotFollowOnAProvidersOwnID(t *testing.T) {
	stands := deployedAs(t, planYAML)
	stands[0].plan.IssuedBy = grant.IssuedByProvider
	got := compare(readAccess(t, planYAML), defaultStack, stands, "aws")
	if len(got) != 1 || !strings.Contains(got[0].Problem, "Leave issuedBy: provider") {
		t.Errorf("%+v", got)
	}
}
