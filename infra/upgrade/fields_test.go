package upgrade

import (
	"reflect"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// before is the access.yaml that stands. Each row changes it.
const before = `version: 1
mailFrom: countersign@example.com
operators: [arn:aws:iam::444455556666:role/OnCall]
alarms: [arn:aws:sns:eu-west-1:444455556666:on-call]
providers:
  - name: hestio
    account: "111122223333"
    principals: [role/Engineers-*]
    prefix: hestio
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, ./upload.json]
        rotateEvery: monthly
        overlap: 24h
        whenUnconfirmed: cut
        maxSession: 2h
        expires: "2099-12-31T23:59:59Z"
        notify: {mail: [ops@example.com], webhook: [{url: https://hooks.example.com/countersign, secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"}]}
      - name: audit
        permissions: [SecurityAudit]
        whenUnconfirmed: cut
  - name: legacy
    account: "222233334444"
    grants:
      - name: console
        permissions: [ReadOnlyAccess]
        externalId: false
`

// policyFiles lie beside it.
var policyFiles = map[string]string{
	"upload.json": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::uploads/*"}]}`,
	"write.json":  `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::others/*"}]}`,
}

// outcome is what becomes of the changed grant, migration, and of who gets in.
type outcome int

const (
	// same: the current external ID, the previous one and its deadline stay; the provider gets in; a revoked grant stays closed.
	same outcome = iota
	// others: the same, but other callers than before get in with it.
	others
	// sooner: the same, but the previous ID ends sooner.
	sooner
	// withoutID: the secret goes; the provider gets in without an ID.
	withoutID
	// anew: role replaced; the provider gets in with a new ID and none from before.
	anew
	// gone: the grant goes with its role and secret. While it is revoked the deploy is refused.
	gone
	// refused: the deploy fails, and all is as it was.
	refused
)

// row is one field of access.yaml, changed on a live stack.
type row struct {
	yaml    string   // the field, as the docs name it
	fields  []string // of internal/access's and internal/grant's types
	edit    []string // old, new, old, new, …
	becomes outcome
	so      string // why no grant opens, closes or loses its ID by it; or what ends
}

// noRules is what becomes of a schedule that the template doesn't have any more.
const noRules = "nothing rotates by the deploy; whether Secrets Manager forgets rules that a template leaves out AWS doesn't say: look at the secret's `NextRotationDate`"

// rows are all fields. A new one fails the test until it has a row.
var rows = []row{
	{"operators", []string{"Access.Operators"}, []string{"role/OnCall", "role/Duty"}, same,
		"who may operate stands in policies, none of a granted role"},
	{"mailFrom", []string{"Access.MailFrom"}, []string{"countersign@example.com", "access@example.com"}, same, "the functions are told"},
	{"alarms", []string{"Access.Alarms"}, []string{":on-call", ":duty"}, same, "alarms name other topics"},
	{"trustPolicyQuota", []string{"Access.Quota"}, []string{"version: 1", "version: 1\ntrustPolicyQuota: 4096"}, same, "a bound for later writes"},
	{"shards", []string{"Access.Shards"}, []string{"version: 1", "version: 1\nshards: 2"}, refused, "refused by `Custom::Layout`, before anything else: grants would move"},
	{"reshardedFrom", []string{"Access.ReshardedFrom"}, []string{"version: 1", "version: 1\nshards: 2\nreshardedFrom: 1"}, gone,
		"ENDS the grants that another stack has from now on; there they begin anew"},
	{"removeRevoked", []string{"Access.RemoveRevoked"}, []string{"version: 1", "version: 1\nremoveRevoked: [formerly]"}, same, "says what may go; nothing goes by it"},

	{"providers: name", []string{"Provider.Name"}, []string{"name: hestio", "name: hestia"}, same, "a word in the plan and in the role's description"},
	{"account", []string{"Provider.Account"}, []string{"111122223333", "777788889999"}, others, "the ID stays; it opens to the new account alone"},
	{"principals", []string{"Provider.Principals"}, []string{"Engineers-*", "Operations-*"}, others, "the ID stays; it opens to the new callers alone"},
	{"organization", []string{"Provider.Organization"}, []string{"    prefix: hestio", "    organization: o-abc1234567\n    prefix: hestio"}, others,
		"the ID stays; it opens to members of the organization alone"},
	{"prefix", []string{"Provider.Prefix"}, []string{"prefix: hestio", "prefix: hestioacme"}, same, "IDs that are in keep theirs; the next rotation's has the new one"},
	{"bus", []string{"Provider.Bus"}, []string{"    prefix: hestio", "    bus: arn:aws:events:eu-central-1:111122223333:event-bus/theirs\n    prefix: hestio"}, same, "events go there, too"},

	{"grants: name", []string{"Grant.Name"}, []string{"name: migration", "name: moving"}, gone, "ENDS the grant; one of the new name begins with a role, a secret and an ID of its own"},
	{"permissions: another policy", []string{"Permission.Managed"}, []string{"AmazonS3FullAccess", "AmazonS3ReadOnlyAccess"}, same, "what a session may do; not who gets in"},
	{"permissions: by ARN", []string{"Permission.ARN"}, []string{"AmazonS3FullAccess", "arn:aws:iam::444455556666:policy/Ours"}, same, "the same"},
	{"permissions: another file", []string{"Grant.Permissions", "Permission.File", "Permission.Document"}, []string{"upload.json", "write.json"}, same, "the same"},
	{"boundary", []string{"Grant.Boundary"}, []string{"        maxSession: 2h", "        boundary: arn:aws:iam::444455556666:policy/Bound\n        maxSession: 2h"}, same, "the same"},
	{"role: name", []string{"Grant.RoleName"}, []string{"        maxSession: 2h", "        role: {name: Vendor}\n        maxSession: 2h"}, anew,
		"ENDS the role and its sessions; the new one is born closed and opens to a new ID. A revoked grant stays revoked, by its secret's tag"},
	{"role: path", []string{"Grant.RolePath"}, []string{"        maxSession: 2h", "        role: {name: ServiceProvider-migration, path: /vendors/}\n        maxSession: 2h"}, refused,
		"refused by IAM, which knows a name once: give the role another name"},
	{"externalId", []string{"Grant.ExternalID"}, []string{"        rotateEvery: monthly\n        overlap: 24h\n        whenUnconfirmed: cut\n        maxSession: 2h",
		"        externalId: false\n        maxSession: 2h"}, withoutID, "ENDS secret and IDs; whom the plan names gets in without one. A revoked grant stays revoked, by its role's Deny"},
	{"rotateEvery", []string{"Grant.RotateEvery"}, []string{"monthly", "weekly"}, same, "`RotateImmediatelyOnUpdate` is false: nothing rotates by it"},
	{"rotateEvery: never", []string{"Grant.RotateEvery"}, []string{"rotateEvery: monthly", "rotateEvery: never"}, same, noRules},
	{"overlap", []string{"Grant.Overlap"}, []string{"overlap: 24h", "overlap: 12h"}, sooner, "a deadline that runs ends sooner, never later"},
	{"overlap, longer", []string{"Grant.Overlap"}, []string{"overlap: 24h", "overlap: 48h"}, same, "a longer one is for the next rotation, which waits until then"},
	{"whenUnconfirmed", []string{"Grant.WhenUnconfirmed"}, []string{"        whenUnconfirmed: cut\n        maxSession", "        whenUnconfirmed: extend\n        maxSession"}, same,
		"decided at each promotion: a deadline that runs stays"},
	{"providerMay", []string{"Grant.ProviderMay"}, []string{"        maxSession: 2h", "        providerMay: [confirm]\n        maxSession: 2h"}, same, "what a session may ask of the API"},
	{"issuedBy", []string{"Grant.IssuedBy"}, []string{"rotateEvery: monthly", "rotateEvery: never\n        issuedBy: provider"}, same,
		"the ID stays until the provider's first is handed over. The way back is refused by `Custom::Layout`"},
	{"maxSession", []string{"Grant.MaxSession"}, []string{"maxSession: 2h", "maxSession: 4h"}, same, "for new sessions"},
	{"expires", []string{"Grant.Expires"}, []string{"2099-12-31", "2098-12-31"}, same, "a date in the trust policy and in `CountersignExpiry`"},
	{"sourceIdentity", []string{"Grant.SourceIdentity"}, []string{"        maxSession: 2h", "        sourceIdentity: true\n        maxSession: 2h"}, same,
		"a statement of its own, for who gets in anyway"},
	{"mayShareResources", []string{"Grant.MayShareResources"}, []string{"        maxSession: 2h", "        mayShareResources: true\n        maxSession: 2h"}, same, "what the guard leaves a session"},
	{"mayAssumeRoles", []string{"Grant.MayAssumeRoles"}, []string{"        maxSession: 2h", "        mayAssumeRoles: [arn:aws:iam::444455556666:role/Deploy]\n        maxSession: 2h"}, same, "the same"},
	{"pickUp: account", []string{"PickUp.Session"}, []string{"        maxSession: 2h", "        pickUp: [account]\n        maxSession: 2h"}, same, "who reads the ID; not which it is"},
	{"pickUp: session", []string{"Grant.PickUp", "PickUp.Account"}, []string{"        maxSession: 2h", "        pickUp: [session]\n        maxSession: 2h"}, same, "the same"},
	{"notify: mail", []string{"Grant.Notify", "Destination.Channel", "Destination.Address"}, []string{"ops@example.com", "on-call@example.com"}, same, "who is told"},
	{"notify: webhook", []string{"Destination.Secret"}, []string{"hook-AbCdEf", "hook2-AbCdEf"}, same, "the same"},
	{"notify: for, on", []string{"Destination.For", "Destination.On"}, []string{"[ops@example.com]", "[{to: ops@example.com, for: operators, on: [revoke]}]"}, same, "the same"},
}

// noFields are parts of the types that are no fields of access.yaml.
var noFields = map[string]string{
	"Access.File": "where it was read", "Access.Warnings": "what is said of it", "Access.Providers": "the list", "Provider.Grants": "the list",
	"Destination.Name": "its place in the list",
	"Grant.Adopted":    "a grant on a role that was there before, see docs/adopt.md; one that changes over is not simulated",
}

// fields are what access.yaml can say, by reflection.
func fields() (out []string) {
	for _, v := range []any{access.Access{}, access.Provider{}, access.Grant{}, access.Permission{}, access.PickUp{}, grant.Destination{}} {
		for f := range reflect.TypeOf(v).Fields() {
			if name := reflect.TypeOf(v).Name() + "." + f.Name; noFields[name] == "" {
				out = append(out, name)
			}
		}
	}
	return out
}

func TestEveryFieldHasARow(t *testing.T) {
	rowOf := map[string]bool{}
	for _, r := range rows {
		for _, f := range r.fields {
			rowOf[f] = true
		}
	}
	known := map[string]bool{}
	for _, f := range fields() {
		known[f] = true
		if !rowOf[f] {
			t.Errorf("%s has no row: what does a deploy do that changes it on a live stack?", f)
		}
	}
	for f := range rowOf {
		if !known[f] {
			t.Errorf("there is no field %s", f)
		}
	}
	if len(known) < 35 {
		t.Errorf("only %d fields were found", len(known))
	}
}

// after is the access.yaml of a row.
func (r row) after(t *testing.T) string {
	t.Helper()
	out := before
	for i := 0; i < len(r.edit); i += 2 {
		if !strings.Contains(out, r.edit[i]) {
			t.Fatalf("%s: %q is not in the example", r.yaml, r.edit[i])
		}
		out = strings.Replace(out, r.edit[i], r.edit[i+1], 1)
	}
	return out
}
