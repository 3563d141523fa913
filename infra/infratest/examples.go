package infratest

import (
	"fmt"
	"strings"
)

// Example is the access.yaml of the repository, from a package beside infra.
const Example = "../access.yaml"

// Rich is an access.yaml that uses everything once: two providers, policy files, another role name and path, no external
// ID, an end, all ways of telling.
const Rich = `
version: 1
mailFrom: countersign@example.com
providers:
  - name: hestio
    account: "111122223333"
    principals: [role/Engineers-*]
    organization: o-abc1234567
    prefix: hestio
    bus: arn:aws:events:eu-central-1:111122223333:event-bus/countersign
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, ./upload.json]
        boundary: arn:aws:iam::444455556666:policy/ProviderBoundary
        rotateEvery: daily
        overlap: 6h
        maxSession: 2h
        expires: "2099-12-31T23:59:59Z"
        sourceIdentity: true
        mayAssumeRoles: [arn:aws:iam::444455556666:role/Deploy]
        notify:
          mail: [ops@example.com, {to: security@example.net, for: operators, on: [revoke, digest]}]
          webhook: [{url: https://hooks.example.com/countersign, secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"}]
          sns: ["arn:aws:sns:eu-west-1:444455556666:ops-alerts"]
      - name: audit
        permissions: [SecurityAudit]
        role: {name: VendorAudit, path: /}
        rotateEvery: never
        mayShareResources: true
  - name: legacy
    account: "222233334444"
    grants:
      - name: console
        permissions: [ReadOnlyAccess]
        externalId: false
`

// Customers is a customers.yaml that uses everything once: two teams, each kind of customer, permission sets.
const Customers = `version: 1
engineers: teams
principals: [role/Engineers-*]
registrars: [role/Registrars]
alerts: [ops@example.com]
identityCenter: arn:aws:sso:::instance/ssoins-0123456789abcdef
teams:
  - name: blue
    principals: ["role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Blue_*"]
    group: 90672c1b3a-11112222-3333-4444-5555-666677778888
  - name: red
customers:
  - name: acme
    account: "444455556666"
    prefix: acmeco
    grant: migration
    role: arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration
    secret: arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-Ab3dEf
    teams: [blue]
  - {name: invited, account: "555566667777", prefix: pinvited, teams: [blue]}
  - name: old
    account: "666677778888"
    kind: static
    role: arn:aws:iam::666677778888:role/Vendor
    secret: arn:aws:secretsmanager:eu-west-1:111122223333:secret:static/old-Ab3dEf
    teams: [blue, red]
  - {name: open, account: "777788889999", kind: none, role: "arn:aws:iam::777788889999:role/Vendor", teams: [red]}
`

// ManyCustomers is a customers.yaml of n customers in one team.
func ManyCustomers(n int, head string) string {
	var out strings.Builder
	out.WriteString("version: 1\n" + head + "principals: [role/Engineers]\nteams: [{name: blue}]\ncustomers:\n")
	for i := range n {
		account := fmt.Sprintf("%012d", 100000000000+i)
		fmt.Fprintf(&out, "  - {name: customer-%d, account: %q, prefix: prefix%d, grant: migration, teams: [blue],\n     role: %q,\n     secret: %q}\n", i, account, i,
			"arn:aws:iam::"+account+":role/countersign/ServiceProvider-migration", "arn:aws:secretsmanager:eu-central-1:"+account+":secret:countersign/migration-Ab3dEf")
	}
	return out.String()
}

// UploadPolicy is the policy file that Rich names.
var UploadPolicy = map[string]string{
	"upload.json": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::uploads/*"}]}`,
}

// Many is an access.yaml of n grants spread over providers of up to 10 grants each.
func Many(n, shards int, grant func(i int) string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "version: 1\nshards: %d\nproviders:\n", shards)
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(&out, "  - name: provider-%02d\n    account: \"%012d\"\n    grants:\n", i/10, 100000000000+i)
		}
		out.WriteString(grant(i))
	}
	return out.String()
}

// Plain is a grant with nothing but what it needs.
func Plain(i int) string {
	return fmt.Sprintf("      - {name: grant-%03d, permissions: [AmazonS3FullAccess]}\n", i)
}

// Long is a grant with names as long as they get, an end and a policy file.
func Long(i int) string {
	return fmt.Sprintf(`      - name: %s
        permissions: [AmazonS3FullAccess, ./upload.json]
        expires: "2099-12-31T23:59:59Z"
`, fmt.Sprintf("grant-%03d-", i)+strings.Repeat("x", 30))
}
