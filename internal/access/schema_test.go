package access_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/countersign/countersign/internal/access"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(access.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("access.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("access.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// agrees says whether the schema takes a file.
func agrees(t *testing.T, s *jsonschema.Schema, src []byte) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(src)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestTheSchemaTakesWhatParseTakes(t *testing.T) {
	s := compileSchema(t)
	example, err := os.ReadFile("../../access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]string{
		"the example": string(example),
		"every key": `
version: 1
operators: [arn:aws:iam::444455556666:role/OnCall]
mailFrom: countersign@example.com
alarms: [arn:aws:sns:eu-west-1:444455556666:on-call]
trustPolicyQuota: 4096
shards: 2
reshardedFrom: 1
removeRevoked: [audit]
providers:
  - name: hestio
    account: "111122223333"
    principals: [role/Engineers-*, "arn:aws:iam::111122223333:user/ines"]
    organization: o-a1b2c3d4e5
    prefix: hestio
    bus: arn:aws:events:eu-central-1:111122223333:event-bus/countersign
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, ./policies/custom.json]
        boundary: arn:aws:iam::444455556666:policy/ProviderBoundary
        role: {name: HestioMigration, path: /}
        externalId: true
        rotateEvery: 30 days
        overlap: 24h
        issuedBy: countersign
        whenUnconfirmed: extend
        providerMay: [confirm]
        maxSession: 1h
        expires: "2026-12-31T23:59:59Z"
        sourceIdentity: true
        mayShareResources: true
        mayAssumeRoles: [arn:aws:iam::444455556666:role/Deploy]
        pickUp: [session, account]
        notify:
          mail: [ops@example.com, {to: boss@example.com, on: digest}, {to: on-call@example.net, for: operators, on: [revoke, digest]}]
          webhook: [{url: "https://hooks.example.com/countersign", secret: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf", for: provider, on: all}]
          sns: [arn:aws:sns:eu-west-1:444455556666:ops-alerts, {topic: "arn:aws:sns:eu-west-1:444455556666:revokes", on: [revoke]}]
`,
	} {
		if _, err := access.Parse("access.yaml", []byte(src), policies(), now); err != nil {
			t.Errorf("%s: Parse: %v", name, err)
		}
		if err := agrees(t, s, []byte(src)); err != nil {
			t.Errorf("%s: the schema refuses it: %v", name, err)
		}
	}
}

func TestWhatTheSchemaRefusesParseRefusesToo(t *testing.T) {
	s := compileSchema(t)
	for name, src := range map[string]string{
		"no version":              "providers: []\n",
		"another version":         strings.Replace(namedGrant, "version: 1", "version: 2", 1),
		"an unknown key":          namedGrant + "        color: red\n",
		"an account as a number":  strings.Replace(namedGrant, `"111122223333"`, "111122223333", 1),
		"a short account":         strings.Replace(namedGrant, `"111122223333"`, `"1111"`, 1),
		"a name with capitals":    strings.Replace(namedGrant, "name: migration", "name: Migration", 1),
		"no permissions":          strings.Replace(namedGrant, "permissions: [ReadOnlyAccess]", "permissions: []", 1),
		"too many permissions":    strings.Replace(namedGrant, "[ReadOnlyAccess]", "[A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11]", 1),
		"too often":               namedGrant + "        rotateEvery: 2h\n",
		"a day":                   namedGrant + "        rotateEvery: 1 days\n",
		"another issuer":          namedGrant + "        issuedBy: vendor\n",
		"another way":             namedGrant + "        whenUnconfirmed: keep\n",
		"another act":             namedGrant + "        providerMay: [revoke]\n",
		"an act twice":            namedGrant + "        providerMay: [confirm, confirm]\n",
		"an overlap without unit": namedGrant + "        overlap: 24\n",
		"a local time":            namedGrant + "        expires: \"2026-12-31T23:59:59+02:00\"\n",
		"an ID in the file":       namedGrant + "        externalId: abc\n",
		"a role's bad name":       namedGrant + "        role: {name: \"a b\"}\n",
		"a role's bad path":       namedGrant + "        role: {path: countersign}\n",
		"a webhook without key":   namedGrant + "        notify: {webhook: [{url: \"https://example.com\"}]}\n",
		"an unknown class":        namedGrant + "        notify: {mail: [{to: a@example.com, on: alarm}]}\n",
		"a digest for a topic":    namedGrant + "        notify: {sns: [{topic: \"arn:aws:sns:eu-west-1:444455556666:a\", on: [digest]}]}\n",
		"a class twice":           namedGrant + "        notify: {mail: [{to: a@example.com, on: [revoke, revoke]}]}\n",
		"no class":                namedGrant + "        notify: {mail: [{to: a@example.com, on: []}]}\n",
		"a mail to nobody":        namedGrant + "        notify: {mail: [{on: [revoke]}]}\n",
		"a mail for a stranger":   namedGrant + "        notify: {mail: [{to: a@example.com, for: press}]}\n",
		"a FIFO topic":            namedGrant + "        notify: {sns: [\"arn:aws:sns:eu-west-1:444455556666:a.fifo\"]}\n",
		"a pattern of roles":      namedGrant + "        mayAssumeRoles: [\"arn:aws:iam::444455556666:role/*\"]\n",
		"a third way to pick up":  namedGrant + "        pickUp: [session, mail]\n",
		"no way to pick up":       namedGrant + "        pickUp: []\n",
		"a principal as one star": strings.Replace(namedGrant, "    grants:", "    principals: [\"*\"]\n    grants:", 1),
		"a bus by name":           strings.Replace(namedGrant, "    grants:", "    bus: countersign\n    grants:", 1),
		"a capital prefix":        strings.Replace(namedGrant, "    grants:", "    prefix: Hestio\n    grants:", 1),
		"six topics of alarms":    "alarms: [" + strings.Repeat("arn:aws:sns:eu-west-1:444455556666:a, ", 6) + "]\n" + namedGrant,
		"a FIFO topic of alarms":  "alarms: [\"arn:aws:sns:eu-west-1:444455556666:a.fifo\"]\n" + namedGrant,
		"a bad name to remove":    "removeRevoked: [Audit]\n" + namedGrant,
		"a name to remove twice":  "removeRevoked: [audit, audit]\n" + namedGrant,
		"shards without end":      "shards: 99\n" + namedGrant,
	} {
		if _, err := access.Parse("access.yaml", []byte(src), policies(), now); err == nil {
			t.Errorf("%s: Parse takes it", name)
		}
		if agrees(t, s, []byte(src)) == nil {
			t.Errorf("%s: the schema takes it", name)
		}
	}
}

func TestSchemaAndParserKnowTheSameKeys(t *testing.T) {
	type object struct {
		Properties map[string]json.RawMessage
	}
	var doc struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(access.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	keysOf := func(o object) []string {
		var keys []string
		for k := range o.Properties {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return keys
	}
	var role, notify object
	for key, into := range map[string]*object{"role": &role, "notify": &notify} {
		if err := json.Unmarshal(doc.Defs["grant"].Properties[key], into); err != nil {
			t.Fatal(err)
		}
	}
	for name, in := range map[string]object{
		"file": doc.object, "provider": doc.Defs["provider"], "grant": doc.Defs["grant"], "webhook": doc.Defs["webhook"], "mail": doc.Defs["recipient"], "topic": doc.Defs["topic"], "role": role, "notify": notify,
	} {
		want := slices.Sorted(slices.Values(access.Keys[name]))
		if got := keysOf(in); !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %v, the parser %v", name, got, want)
		}
	}
}
