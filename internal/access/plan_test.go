package access_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

var site = access.Site{
	Partition: "aws", Account: "444455556666", Region: "eu-west-1",
	SecretARN: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf",
	KeyARN:    "arn:aws:kms:eu-west-1:444455556666:key/1",
}

// mustParse gives the file's first grant.
func mustParse(t *testing.T, src string) (*access.Access, access.Entry) {
	t.Helper()
	a, err := access.Parse("access.yaml", []byte(src), policies(), now)
	if err != nil {
		t.Fatal(err)
	}
	return a, a.Entries()[0]
}

func TestThePlanHoldsWhatTheFunctionsNeed(t *testing.T) {
	_, e := mustParse(t, `
version: 1
mailFrom: countersign@example.com
trustPolicyQuota: 4096
providers:
  - name: hestio
    account: "111122223333"
    principals: [role/Engineers-*, "arn:aws:iam::111122223333:user/ines"]
    organization: o-a1b2c3d4e5
    prefix: hestio
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, ./policies/custom.json, "arn:aws:iam::aws:policy/SecurityAudit"]
        role: {name: HestioMigration, path: /}
        rotateEvery: weekly
        overlap: 90m
        expires: "2026-12-31T23:59:59Z"
        sourceIdentity: true
        notify:
          mail: [ops@example.com]
          webhook: [{secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"}]
          sns: [arn:aws:sns:eu-west-1:444455556666:ops-alerts]
`)
	got, err := json.MarshalIndent(e.Plan(site), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "grant": "migration",
  "provider": "hestio",
  "providerAccount": "111122223333",
  "account": "444455556666",
  "region": "eu-west-1",
  "roleArn": "arn:aws:iam::444455556666:role/HestioMigration",
  "secretArn": "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf",
  "keyArn": "arn:aws:kms:eu-west-1:444455556666:key/1",
  "prefix": "hestio",
  "principals": [
    "arn:aws:iam::111122223333:root"
  ],
  "conditions": {
    "ArnLike": {
      "aws:PrincipalArn": [
        "arn:aws:iam::111122223333:role/Engineers-*",
        "arn:aws:iam::111122223333:user/ines"
      ]
    },
    "StringEquals": {
      "aws:PrincipalOrgID": [
        "o-a1b2c3d4e5"
      ]
    }
  },
  "sourceIdentity": true,
  "quota": 4096,
  "rotateEvery": "weekly",
  "overlap": "1h30m0s",
  "whenUnconfirmed": "auto",
  "providerMay": [
    "confirm",
    "rotate"
  ],
  "expires": "2026-12-31T23:59:59Z",
  "notify": [
    {
      "channel": "mail",
      "address": "ops@example.com"
    },
    {
      "channel": "webhook",
      "secret": "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"
    },
    {
      "channel": "sns",
      "address": "arn:aws:sns:eu-west-1:444455556666:ops-alerts"
    }
  ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if _, err := grant.ParsePlan(got, "migration"); err != nil {
		t.Errorf("the functions refuse it: %v", err)
	}
	var arns []string
	for _, p := range e.Grant.Permissions {
		arns = append(arns, p.PolicyARN("aws-cn"))
	}
	if diff := cmp.Diff([]string{"arn:aws-cn:iam::aws:policy/AmazonS3FullAccess", "", "arn:aws:iam::aws:policy/SecurityAudit"}, arns); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if file := e.Grant.Permissions[1]; file.File != "./policies/custom.json" || !json.Valid(file.Document) {
		t.Errorf("policy file = %+v", file)
	}
}

func TestAGrantWithoutExternalIDHasNoSecretAndNoRotation(t *testing.T) {
	_, e := mustParse(t, namedGrant+"        externalId: false\n")
	p := e.Plan(site)
	if !p.NoExternalID || p.SecretARN != "" || p.KeyARN != "" || p.RotateEvery != "" || p.Overlap != 0 {
		t.Errorf("plan = %+v", p)
	}
	if s := e.Grant.Schedule(); !s.IsZero() {
		t.Errorf("schedule = %v", s)
	}
	src, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grant.ParsePlan(src, "migration"); err != nil {
		t.Errorf("the functions refuse it: %v", err)
	}
}

// many is a file with n grants.
func many(n int, head, grantKeys string) string {
	var b strings.Builder
	b.WriteString("version: 1\n" + head + "providers:\n  - name: hestio\n    account: \"111122223333\"\n    grants:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {name: grant-%d, permissions: [ReadOnlyAccess]%s}\n", i, strings.ReplaceAll(grantKeys, "%", fmt.Sprint(i)))
	}
	return b.String()
}

// problemsOf are the messages and fixes of a file's errors.
func problemsOf(t *testing.T, src string) string {
	t.Helper()
	_, err := access.Parse("access.yaml", []byte(src), policies(), now)
	problems, ok := errors.AsType[*access.Problems](err)
	if !ok {
		return "valid"
	}
	var out []string
	for _, p := range problems.Errors {
		out = append(out, fmt.Sprintf("%s: %s (%s) fix: %s", p.Field, p.Message, p.Why, p.Fix))
	}
	return strings.Join(out, "\n")
}

func TestWhatIsMadeFromTheFileFitsItsLimits(t *testing.T) {
	long := strings.ReplaceAll(many(40, "", `, role: {name: `+strings.Repeat("r", 61)+`-%}`), "grant-", "a-grant-with-a-rather-long-name-")
	for _, tc := range []struct{ name, src, want string }{
		{"40 grants fit into one stack", many(40, "", ""), "valid"},
		{"41 need more", many(41, "", ""), "shards: too many grants: a stack holds 40 (stack 1 of 1 would hold 41) fix: shards: 2"},
		{"120 fit into 5", many(120, "shards: 5\n", ""), "valid"},
		{"more shards where the hash fills one", many(120, "shards: 3\n", ""), "shards: too many grants: a stack holds 40 (stack 1 of 3 would hold 41) fix: shards: 4, and reshardedFrom: 3 if this is deployed already"},
		{"long names fill the functions' environment", long, "shards: grants and role names are too long together: a function's environment takes 3,072 characters (stack 1 of 1 has 3,979 characters of them) fix: shards: 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := problemsOf(t, tc.src); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestAPlanThatNoParameterHoldsIsRefused(t *testing.T) {
	var mail []string
	for i := range 40 {
		mail = append(mail, fmt.Sprintf("an-address-that-is-rather-long-%02d@mail.hestio-worx.example.com", i))
	}
	got := problemsOf(t, "mailFrom: a@example.com\n"+namedGrant+"        notify: {mail: ["+strings.Join(mail, ", ")+"]}\n")
	want := "providers[0].grants[0].notify: the plan of migration takes 4,456 bytes; the limit is 4,096 (an SSM parameter holds no more) fix: save 360 bytes: fewer destinations or principals"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheFunctionsListNamesOnlyRolesThatDiffer(t *testing.T) {
	a, _ := mustParse(t, many(2, "", "")+"      - {name: audit, permissions: [SecurityAudit], role: {name: HestioAudit}}\n")
	if got := a.GrantsEnv(0); got != "grant-0,grant-1,audit=HestioAudit" {
		t.Errorf("COUNTERSIGN_GRANTS=%s", got)
	}
}

func TestLogicalNamesDifferWhereNamesDo(t *testing.T) {
	for name, want := range map[grant.Name]string{
		"migration": "Migration", "my-grant": "MyGrant", "a-1": "AX1", "a1": "A1", "a--b": "AXB", "a-x": "AXx", "ax": "Ax", "a-": "AX",
	} {
		if got := access.Logical(name); got != want {
			t.Errorf("Logical(%s) = %s, want %s", name, got, want)
		}
	}
}
