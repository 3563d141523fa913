package main

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/trust"
)

const adoptedYAML = `version: 1
providers:
  - name: hestio
    account: "111122223333"
    grants:
      - name: backups
        role: {name: VendorBackups, adopted: true}
`

// A plan says of an adopted role what a deploy does and what it leaves to others.
func TestPlanOfAnAdoptedRole(t *testing.T) {
	doc, err := trust.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole",` +
		`"Condition":{"StringEquals":{"sts:ExternalId":"vendor-number-one"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	a := readAccess(t, adoptedYAML)
	stands := func(change func(*standing)) []standing {
		s := standing{stack: defaultStack, plan: a.Entries()[0].Plan(access.Site{Partition: "aws", Account: "444455556666", Region: "eu-west-1",
			SecretARN: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/backups-AbCdEf"}), doc: doc}
		s.policies = []attached{{arn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}, {arn: "arn:aws:iam::444455556666:policy/picks-up", pickUp: true}}
		if change != nil {
			change(&s)
		}
		return []standing{s}
	}
	const gone = "version: 1\nproviders:\n  - name: hestio\n    account: \"111122223333\"\n    grants:\n      - {name: other, permissions: [ReadOnlyAccess]}\n"
	for name, c := range map[string]struct {
		yaml   string
		stands []standing
		kind   kind
		says   string
		loses  int
	}{
		"it is new":                {adoptedYAML, nil, added, "hand its external ID over: countersign adopt, with the ARN of VendorBackups", 0},
		"it stays":                 {adoptedYAML, stands(nil), unchanged, "", 0},
		"it rotates oftener":       {adoptedYAML + "        rotateEvery: weekly\n", stands(nil), changed, "", 0},
		"it is another role":       {strings.Replace(adoptedYAML, "VendorBackups", "VendorOther", 1), stands(nil), changed, "role VendorBackups keeps its external ID", 0},
		"it goes":                  {gone, stands(nil), removed, "would be closed for everybody; to give it back as it is, before: countersign release backups", 1},
		"it goes, and is released": {gone, stands(func(s *standing) { s.released = true }), removed, "was given back, and stays as it is", 0},
		"it goes, and is revoked":  {gone, stands(func(s *standing) { s.closed = true }), removed, "", 0},
	} {
		for _, got := range compare(readAccess(t, c.yaml), defaultStack, c.stands, "aws") {
			if got.Grant != "backups" {
				continue
			}
			if notes := strings.Join(got.Notes, "; "); got.Kind != c.kind || !strings.Contains(notes, c.says) || len(got.Loses) != c.loses || len(got.Gains) > 0 || got.Problem != "" {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
