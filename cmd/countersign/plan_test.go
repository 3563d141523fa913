package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/trust"
)

const planYAML = `version: 1
providers:
  - name: hestio
    account: "111122223333"
    principals: [role/Engineers-*]
    grants:
      - name: migration
        permissions: [AmazonS3FullAccess, read.json]
        rotateEvery: monthly
        overlap: 24h
`

const readJSON = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}`

// readAccess is access.yaml with its one policy file.
func readAccess(t *testing.T, yaml string) *access.Access {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"access.yaml": yaml, "read.json": readJSON} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := access.Load(filepath.Join(folder, "access.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// deployedAs is what stands once planYAML is deployed and its first external ID is in.
func deployedAs(t *testing.T, yaml string) []standing {
	t.Helper()
	var out []standing
	for _, e := range readAccess(t, yaml).Entries() {
		p := e.Plan(access.Site{
			Partition: "aws", Account: "444455556666", Region: "eu-west-1",
			SecretARN: "arn:aws:secretsmanager:eu-west-1:444455556666:secret:countersign/migration-AbCdEf",
		})
		born, err := trust.Parse([]byte(trust.BornDocument))
		if err != nil {
			t.Fatal(err)
		}
		want := p.Trust()
		if !p.NoExternalID {
			want.Current = fakeID
		}
		doc, _, err := trust.Apply(born, want)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, standing{stack: access.StackName(defaultStack, e.Shard), plan: p, doc: doc, policies: []attached{
			{arn: "arn:aws:iam::aws:policy/AmazonS3FullAccess"},
			{arn: "arn:aws:iam::444455556666:policy/made", file: "read.json", document: []byte(strings.ReplaceAll(readJSON, " ", ""))},
			{arn: "arn:aws:iam::444455556666:policy/picks-up", pickUp: true},
		}})
	}
	return out
}

// roomy is a list of patterns that take room in a trust policy.
func roomy(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("role/a-name-that-takes-some-room-%d-*", i))
	}
	return strings.Join(out, ", ")
}

// edited edits planYAML; every edit must apply.
func edited(t *testing.T, yaml string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(yaml, pairs[i]) {
			t.Fatalf("%q is not in the file", pairs[i])
		}
		yaml = strings.Replace(yaml, pairs[i], pairs[i+1], 1)
	}
	return yaml
}

func TestWhatADeployChanges(t *testing.T) {
	const old = "arn:aws:iam::111122223333:root under "
	print := trust.Fingerprint(fakeID)
	closed := func(s *standing) { s.closed = true }
	for name, c := range map[string]struct {
		yaml  []string // edits
		stand func(*standing)
		want  string
	}{
		"nothing": {want: ""},
		"an end": {yaml: []string{"overlap: 24h", `overlap: 24h
        expires: "2099-12-31T23:59:59Z"`}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  keeps     ` + old + print + ` if ArnLike
            aws:PrincipalArn until 2099-12-31T23:59:59Z
  ends      2099-12-31T23:59:59Z; was when it is revoked`},
		"other principals": {yaml: []string{"[role/Engineers-*]", "[role/Engineers-*, role/Ops]"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  callers   gains arn:aws:iam::111122223333:role/Ops`},
		"another account": {yaml: []string{"111122223333", "777788889999"}, want: `
migration   CHANGED: hestio (777788889999) in role ServiceProvider-migration
  gains     arn:aws:iam::777788889999:root under ` + print + ` if ArnLike
            aws:PrincipalArn
  loses     ` + old + print + ` if ArnLike
            aws:PrincipalArn
  provider  hestio (777788889999); was hestio (111122223333)
  callers   arn:aws:iam::777788889999:role/Engineers-*; was
            arn:aws:iam::111122223333:role/Engineers-*`},
		"no external ID": {yaml: []string{"rotateEvery: monthly\n        overlap: 24h", "externalId: false"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  gains     arn:aws:iam::111122223333:root if ArnLike aws:PrincipalArn
  loses     ` + old + print + ` if ArnLike
            aws:PrincipalArn
  deletes   secret countersign/migration with all of its external IDs, and
            hestio's use of the key for it
  needs     no external ID; was an external ID
  rotates   not any more: monthly
  overlap   not any more: 24 h
  confirms  not any more: auto
  may ask   not any more: confirm, rotate
  reads     not any more: a new external ID in its session`},
		"another way with what nobody confirmed": {yaml: []string{"overlap: 24h", "overlap: 24h\n        whenUnconfirmed: cut"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  confirms  cut; was auto
  note      a previous external ID that waits to be confirmed ends with this
            deploy, if its overlap is over: countersign show migration`},
		"somebody to tell": {yaml: []string{"overlap: 24h", "overlap: 24h\n        notify: {mail: [{to: a@example.com, on: [revoke, digest]}]}"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  tells     mail a@example.com (revoke, weekly digest); was nobody but the event
            bus: set notify, so that the provider hears of a new ID`},
		"another class of events": {
			yaml:  []string{"overlap: 24h", "overlap: 24h\n        notify: {mail: [{to: a@example.com, on: all}]}"},
			stand: func(s *standing) { s.plan.Notify = grant.Notify{{Channel: grant.Mail, Address: "a@example.com"}} }, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  tells     mail a@example.com (all); was mail a@example.com (action, revoke)`},
		"the classes that it has anyway": {
			yaml:  []string{"overlap: 24h", "overlap: 24h\n        notify: {mail: [{to: a@example.com, on: [revoke, action]}]}"},
			stand: func(s *standing) { s.plan.Notify = grant.Notify{{Channel: grant.Mail, Address: "a@example.com"}} },
		},
		"another schedule": {yaml: []string{"monthly", "weekly", "24h", "12h"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  rotates   weekly; was monthly
  overlap   12 h; was 24 h`},
		"other permissions": {yaml: []string{"AmazonS3FullAccess", "AmazonEC2FullAccess"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  may do    gains AmazonEC2FullAccess; loses AmazonS3FullAccess`},
		"a file says something else": {stand: func(s *standing) { s.policies[1].document = []byte(`{"Statement":[]}`) }, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  may do    gains read.json with other content; loses read.json`},
		"another role": {yaml: []string{"        rotateEvery", "        role: {name: Vendor}\n        rotateEvery"}, want: `
migration   CHANGED: hestio (111122223333) in role Vendor
  gains     arn:aws:iam::111122223333:root under a new external ID if ArnLike
            aws:PrincipalArn
  loses     ` + old + print + ` if ArnLike
            aws:PrincipalArn
  deletes   role ServiceProvider-migration, its policies and every session of it
  role      Vendor; was ServiceProvider-migration
  note      its role is replaced: hestio needs the new one's ARN, and reads its
            first external ID from its own account`},
		"a revoked grant": {yaml: []string{"[role/Engineers-*]", "[role/Ops]"}, stand: closed, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  revoked   stays revoked: a deploy opens nothing
  callers   arn:aws:iam::111122223333:role/Ops; was
            arn:aws:iam::111122223333:role/Engineers-*`},
		"a revoked grant's role": {yaml: []string{"        rotateEvery", "        role: {name: Vendor}\n        rotateEvery"}, stand: closed, want: `
migration   CHANGED: hestio (111122223333) in role Vendor
  revoked   stays revoked: a deploy opens nothing
  deletes   role ServiceProvider-migration, its policies and every session of it
  role      Vendor; was ServiceProvider-migration`},
		"the same role on another path": {yaml: []string{"        rotateEvery", "        role: {name: ServiceProvider-migration, path: /}\n        rotateEvery"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  deletes   role ServiceProvider-migration, its policies and every session of it
  problem   its role has the name ServiceProvider-migration already, on another
            path, and IAM knows a name once: the deploy fails. Give it another
            name`},
		"a revoked grant that moves": {stand: func(s *standing) { s.closed, s.stack = true, "ServiceProviderAccess-2" }, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  deletes   role ServiceProvider-migration, its policies and every session of it
  deletes   secret countersign/migration with all of its external IDs, and
            hestio's use of the key for it
  note      moves from stack ServiceProviderAccess-2 to ServiceProviderAccess:
            role and secret are made anew, and nobody gets in meanwhile
  problem   it is revoked, and the deploy is refused: what says so would go with
            its role, and it would open again. Leave role and shards as they
            are, or restore it first`},
		"drift": {stand: func(s *standing) {
			s.doc = mustParse(t, strings.Replace(string(s.doc.Bytes()), "Engineers-*", "*", 1))
		}, want: `
migration   unchanged: hestio (111122223333) in role ServiceProvider-migration
  note      drift, which is mended or reported without a deploy: countersign
            show migration`},
		"a bus": {yaml: []string{`account: "111122223333"`, `account: "111122223333"
    bus: arn:aws:events:eu-central-1:111122223333:event-bus/countersign`}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  bus       arn:aws:events:eu-central-1:111122223333:event-bus/countersign`},
		"another bus": {yaml: []string{`account: "111122223333"`, `account: "111122223333"
    bus: arn:aws:events:eu-central-1:111122223333:event-bus/countersign`}, stand: func(s *standing) {
			s.bus = "arn:aws:events:eu-west-1:111122223333:event-bus/old"
		}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  bus       arn:aws:events:eu-central-1:111122223333:event-bus/countersign; was
            arn:aws:events:eu-west-1:111122223333:event-bus/old`},
		"no bus any more": {stand: func(s *standing) { s.bus = "arn:aws:events:eu-west-1:111122223333:event-bus/old" }, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  bus       not any more: arn:aws:events:eu-west-1:111122223333:event-bus/old`},
		"the same bus": {yaml: []string{`account: "111122223333"`, `account: "111122223333"
    bus: arn:aws:events:eu-central-1:111122223333:event-bus/countersign`}, stand: func(s *standing) {
			s.bus = "arn:aws:events:eu-central-1:111122223333:event-bus/countersign"
		}, want: ""},
		"picked up from its account only": {yaml: []string{"overlap: 24h", "overlap: 24h\n        pickUp: [account]"}, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  reads     not any more: a new external ID in its session`},
		"picked up in session, too": {stand: func(s *standing) { s.policies = s.policies[:2] }, want: `
migration   CHANGED: hestio (111122223333) in role ServiceProvider-migration
  reads     a new external ID in its session`},
		"born": {stand: func(s *standing) { s.doc = mustParse(t, trust.BornDocument) }, want: ""},
		"no room": {yaml: []string{"[role/Engineers-*]", "[" + roomy(9) + "]"},
			stand: func(s *standing) {
				foreign := `{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999900001111:role/` + strings.Repeat("x", 60) + `"},"Action":"sts:AssumeRole"},`
				s.doc = mustParse(t, strings.Replace(string(s.doc.Bytes()), `"Statement":[`, `"Statement":[`+foreign+foreign, 1))
			}, want: "problem"},
	} {
		t.Run(name, func(t *testing.T) {
			stands := deployedAs(t, planYAML)
			if c.stand != nil {
				c.stand(&stands[0])
			}
			changes := compare(readAccess(t, edited(t, planYAML, c.yaml...)), defaultStack, stands, "aws")
			if len(changes) != 1 {
				t.Fatalf("%d changes", len(changes))
			}
			got := strings.TrimSpace(changes[0].text())
			if c.want == "problem" {
				if !strings.Contains(got, "\n  problem ") || !strings.Contains(changes[0].Problem, "the quota is 2048: save ") {
					t.Errorf("it fits, they say:\n%s", got)
				}
				return
			}
			if got != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
		})
	}
}

func mustParse(t *testing.T, document string) *trust.Document {
	t.Helper()
	doc, err := trust.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// A deploy that changes nothing is no change, whatever phase the external ID is in.
func TestARotationIsNoChange(t *testing.T) {
	until := time.Date(2026, 2, 5, 3, 0, 0, 0, time.UTC)
	for name, ids := range map[string]trust.Plan{
		"overlap":  {Current: fakeID, Pending: fakeOldID},
		"promoted": {Current: fakeID, Previous: trust.Previous{ID: fakeOldID, Until: until}},
		"endless":  {Current: fakeID, Previous: trust.Previous{ID: fakeOldID}},
	} {
		stands := deployedAs(t, planYAML)
		want := stands[0].plan.Trust()
		want.Current, want.Pending, want.Previous = ids.Current, ids.Pending, ids.Previous
		doc, _, err := trust.Apply(stands[0].doc, want)
		if err != nil {
			t.Fatal(err)
		}
		stands[0].doc = doc
		got := compare(readAccess(t, planYAML), defaultStack, stands, "aws")
		if got[0].Kind != unchanged || len(got[0].Notes) > 0 || got[0].Problem != "" {
			t.Errorf("%s: %+v", name, got[0])
		}
	}
}

func TestGrantsThatComeAndGo(t *testing.T) {
	stands := deployedAs(t, planYAML)
	a := readAccess(t, edited(t, planYAML, "name: migration", "name: audit"))
	got := compare(a, defaultStack, stands, "aws")
	if len(got) != 2 || got[0].Kind != added || got[1].Kind != removed {
		t.Fatalf("%+v", got)
	}
	if g := got[0].Gains; len(g) != 1 || g[0].Fingerprint != freshID || len(got[0].Loses) > 0 {
		t.Errorf("new: %+v", got[0])
	}
	if l := got[1].Loses; len(l) != 1 || l[0].Fingerprint != trust.Fingerprint(fakeID) || len(got[1].Gains) > 0 {
		t.Errorf("removed: %+v", got[1])
	}
	stands[0].closed = true
	if got = compare(a, defaultStack, stands, "aws"); len(got[1].Loses) > 0 || !got[1].Revoked {
		t.Errorf("a revoked grant's provider loses what it has not: %+v", got[1])
	}
	if got = compare(a, defaultStack, nil, "aws-cn"); !strings.HasPrefix(got[0].Gains[0].Principal, "arn:aws-cn:iam::") {
		t.Errorf("in China: %+v", got[0].Gains)
	}
	open := compare(readAccess(t, edited(t, planYAML, "rotateEvery: monthly\n        overlap: 24h", "externalId: false")), defaultStack, nil, "aws")
	if g := open[0].Gains; len(g) != 1 || g[0].Fingerprint != "" {
		t.Errorf("without an external ID: %+v", g)
	}
}

func TestNoPlanShowsAnID(t *testing.T) {
	stands := deployedAs(t, planYAML)
	for _, yaml := range []string{planYAML, edited(t, planYAML, "111122223333", "777788889999"), edited(t, planYAML, "name: migration", "name: audit")} {
		for _, g := range compare(readAccess(t, yaml), defaultStack, stands, "aws") {
			text := g.text()
			if slices.ContainsFunc([]string{fakeID, sampleID}, func(id string) bool { return strings.Contains(text, id[8:]) }) {
				t.Errorf("an external ID in %s", text)
			}
		}
	}
}

func TestPolicyFilesAreFoundAgain(t *testing.T) {
	for _, file := range []string{"read.json", "policies/of grant x.json", "./a b.json"} {
		if got := grant.PolicyFile(grant.PolicyDescription(file, "migration"), "migration"); got != file {
			t.Errorf("%q reads as %q", file, got)
		}
	}
	for _, description := range []string{"", "uploads", "Countersign: read.json of grant other", "of grant migration"} {
		if got := grant.PolicyFile(description, "migration"); got != "" {
			t.Errorf("%q reads as %q", description, got)
		}
	}
}
