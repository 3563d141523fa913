//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/api"
)

func (s *story) whoEnters(t *testing.T) {
	right := s.current(t, "nightly").ExternalID
	migration := s.current(t, "migration").ExternalID
	wrong := strings.ToLower(right)
	wantAllowed(t, "the provider with the right ID", s.enters(t, s.engineer, "nightly", right))
	wantDenied(t, "the provider without an ID", s.enters(t, s.engineer, "nightly", ""))
	wantDenied(t, "the provider with a wrong ID", s.enters(t, s.engineer, "nightly", wrong))
	wantDenied(t, "the provider with another grant's ID", s.enters(t, s.engineer, "nightly", migration))
	wantDenied(t, "a third account with the right ID", s.enters(t, s.stranger, "nightly", right))
	wantDenied(t, "a third account's root with the right ID", s.enters(t, s.Owner(lab.Stranger), "nightly", right))
	wantDenied(t, "the customer's own user with the right ID", s.enters(t, s.operator, "nightly", right))
	wantAllowed(t, "anybody of the provider, where no principals are named", s.enters(t, s.outsider, "nightly", right))
	wantAllowed(t, "the provider's role that matches role/Engineers-*", s.enters(t, s.engineer, "migration", migration))
	wantDenied(t, "the provider's user that does not match", s.enters(t, s.outsider, "migration", migration))
}

func (s *story) withoutExternalID(t *testing.T) {
	wantAllowed(t, "the provider", s.enters(t, s.outsider, "legacy", ""))
	wantDenied(t, "a third account", s.enters(t, s.stranger, "legacy", ""))
	s.countersign(t, 0, "revoke", "legacy", "--direct", "--reason", "the API is down, say", "--yes")
	eventually(t, 10*time.Second, "the role is closed", func() bool { return lab.Denied(s.enters(t, s.outsider, "legacy", "")) })
}

func (s *story) rotateSecret(t *testing.T) {
	const grant = "migration"
	before := s.current(t, grant)
	token := "requested-by-hand-" + strings.Repeat("7", 32)
	secret := must[string](t)(s.Secret(t.Context(), grant))
	_ = must[*secretsmanager.RotateSecretOutput](t)(secretsmanager.NewFromConfig(s.operator).RotateSecret(t.Context(),
		&secretsmanager.RotateSecretInput{SecretId: &secret, ClientRequestToken: &token}))
	eventually(t, 20*time.Second, "the new version is current", func() bool { return s.current(t, grant).ID == token })
	after := s.current(t, grant)
	if after.ExternalID == before.ExternalID || !strings.HasPrefix(after.ExternalID, "hestio-") {
		t.Error("the new ID is not a fresh one with the provider's prefix")
	}
	wantAllowed(t, "the new ID", s.enters(t, s.engineer, grant, after.ExternalID))
	wantAllowed(t, "the previous ID, in the overlap", s.enters(t, s.engineer, grant, before.ExternalID))

	t.Run("the function was called with the four steps", func(t *testing.T) {
		if steps := must[[]string](t)(s.Steps(t.Context(), "countersign-rotate", token)); !slices.Equal(steps, fourSteps) {
			t.Errorf("steps %v", steps)
		}
	})
	t.Run("the previous ID opens no session that confirms", func(t *testing.T) {
		_, err := s.Enter(t.Context(), s.engineer, lab.RoleARN(grant), before.ExternalID, "confirm-"+token)
		wantDenied(t, "the previous ID, as confirm-"+token, err)
		_, err = s.Enter(t.Context(), s.engineer, lab.RoleARN(grant), after.ExternalID, "confirm-"+token)
		wantAllowed(t, "the new ID, as confirm-"+token, err)
	})
	t.Run("a further rotation waits for the overlap", func(t *testing.T) {
		out := s.countersign(t, 3, "rotate", grant, "--reason", "too soon")
		if s.current(t, grant).ID != token {
			t.Errorf("rotated all the same: %s%s", out.Stdout, out.Stderr)
		}
	})
	t.Run("the mail is in the provider's mailbox", func(t *testing.T) {
		var mail lab.Mail
		eventually(t, 15*time.Second, "a mail about the new version", func() bool {
			mails := must[[]lab.Mail](t)(s.Mails(t.Context()))
			i := slices.IndexFunc(mails, func(m lab.Mail) bool {
				return slices.Contains(m.To, lab.Mailbox) && strings.Contains(m.BodyText, token[:8])
			})
			if i >= 0 {
				mail = mails[i]
			}
			return i >= 0
		})
		if !strings.Contains(mail.BodyText, lab.RoleARN(grant)) || mail.BodyHTML == "" || !strings.Contains(mail.Subject, grant) {
			t.Errorf("mail %+v", mail)
		}
	})
	t.Run("the receiver verified the webhook", func(t *testing.T) {
		eventually(t, 15*time.Second, "a webhook about the new version", func() bool {
			return slices.ContainsFunc(s.around.Receiver.Deliveries(), func(d lab.Delivery) bool { return strings.Contains(string(d.Body), token) })
		})
		for _, d := range s.around.Receiver.Deliveries() {
			if d.Verified != nil {
				t.Errorf("a webhook did not verify: %v\n%s", d.Verified, d.Body)
			}
		}
	})
}

// pickUp reads the secret by its full ARN from the provider's account, as a provider does who was told of a new version.
func (s *story) pickUp(t *testing.T) {
	read := func(who aws.Config, grant string) (string, error) {
		secret := must[string](t)(s.Secret(t.Context(), grant))
		got, err := secretsmanager.NewFromConfig(who).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &secret})
		if err != nil {
			return "", err
		}
		return *got.SecretString, nil
	}
	value, err := read(s.engineer, "nightly")
	wantAllowed(t, "the provider's engineer", err)
	if !strings.Contains(value, s.current(t, "nightly").ExternalID) {
		t.Error("what the engineer read is not the current ID")
	}
	_, err = read(s.engineer, "migration")
	wantAllowed(t, "the provider's role that matches role/Engineers-*", err)
	_, err = read(s.outsider, "migration")
	wantDenied(t, "the provider's user that does not match", err)
	_, err = read(s.stranger, "nightly")
	wantDenied(t, "a third account's user", err)
	_, err = read(s.Owner(lab.Stranger), "nightly")
	wantDenied(t, "a third account's root", err)
	_, err = read(s.clerk, "nightly")
	wantDenied(t, "the customer's user without permission", err)

	session := must[aws.Config](t)(s.Enter(t.Context(), s.engineer, lab.RoleARN("nightly"), s.current(t, "nightly").ExternalID, "jdoe"))
	value, err = read(session, "nightly")
	wantAllowed(t, "a session of the role", err)
	if !strings.Contains(value, s.current(t, "nightly").ExternalID) {
		t.Error("what the session read is not the current ID")
	}
	_, err = read(session, "migration")
	wantDenied(t, "a session of another grant's role", err)
	tags, err := iam.NewFromConfig(session).ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: new(lab.RoleName("nightly"))})
	wantAllowed(t, "the session listing its role's tags", err)
	if err == nil {
		found := map[string]string{}
		for _, tag := range tags.Tags {
			found[*tag.Key] = *tag.Value
		}
		if found["countersign:secret"] != must[string](t)(s.Secret(t.Context(), "nightly")) || !strings.HasSuffix(found["countersign:confirm"], "/grants/nightly/confirm") {
			t.Errorf("tags %v", found)
		}
	}
	_, err = iam.NewFromConfig(session).ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: new(lab.RoleName("migration"))})
	wantDenied(t, "the session listing another role's tags", err)
}

func (s *story) leaked(t *testing.T) {
	const grant = "platform"
	before := s.current(t, grant)
	s.countersign(t, 0, "rotate", grant, "--leaked", "--reason", "it stood in a ticket")
	eventually(t, 20*time.Second, "another ID is current", func() bool { return s.current(t, grant).ID != before.ID })
	eventually(t, 10*time.Second, "the leaked ID is out", func() bool { return lab.Denied(s.enters(t, s.engineer, grant, before.ExternalID)) })
	after := s.current(t, grant)
	if !strings.HasPrefix(after.ID, "cut-") {
		t.Errorf("version %s, want one that begins with cut-", after.ID)
	}
	wantAllowed(t, "the new ID", s.enters(t, s.engineer, grant, after.ExternalID))
}

// plans compares what is deployed with the file that it was deployed from, and with one that differs.
func (s *story) plans(t *testing.T) {
	same := filepath.Join(s.Dir, "first.yaml")
	s.countersign(t, 0, "plan", "--file", same, "--exit-code")
	yaml := string(must[[]byte](t)(os.ReadFile(same)))
	for from, to := range map[string]string{"name: legacy": "name: later", "permissions: [ReadOnlyAccess]": "permissions: [SecurityAudit]"} {
		if !strings.Contains(yaml, from) {
			t.Fatalf("%q is not in %s", from, same)
		}
		yaml = strings.Replace(yaml, from, to, 1)
	}
	other := filepath.Join(s.Dir, "other.yaml")
	if err := os.WriteFile(other, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var plan struct {
		Grants []struct{ Grant, Change string }
	}
	decode(t, s.countersign(t, 5, "plan", "--file", other, "--exit-code", "--json").Stdout, &plan)
	got := map[string]string{}
	for _, g := range plan.Grants {
		got[g.Grant] = g.Change
	}
	want := map[string]string{"migration": "unchanged", "nightly": "changed", "platform": "unchanged", "later": "new", "legacy": "removed", "telemetry": "unchanged", "snapshots": "unchanged"}
	if !maps.Equal(got, want) {
		t.Errorf("plan %v, want %v", got, want)
	}
	refused := must[lab.Output](t)(s.Countersign(t.Context(), s.clerk, "plan", "--file", same))
	if refused.Code != 4 || refused.Stdout != "" {
		t.Errorf("somebody who may read nothing gets exit %d: %s", refused.Code, refused.Stdout)
	}
}

func (s *story) shows(t *testing.T) {
	var list api.List
	decode(t, s.countersign(t, 0, "grants", "--json").Stdout, &list)
	var names []string
	for _, g := range list.Grants {
		names = append(names, g.Grant)
	}
	slices.Sort(names)
	if want := []string{"legacy", "migration", "nightly", "platform", "snapshots", "telemetry"}; !slices.Equal(names, want) {
		t.Errorf("grants %v, want %v", names, want)
	}
	var status api.Status
	decode(t, s.countersign(t, 0, "show", "nightly", "--json").Stdout, &status)
	if status.State != api.Open || status.RoleARN != lab.RoleARN("nightly") || len(status.Accepted) != 1 || status.NextRotation.IsZero() {
		t.Errorf("status %+v", status)
	}
	plan := must[*access.Access](t)(access.Load(filepath.Join(s.Dir, "first.yaml")))
	nightly, _ := plan.Find("nightly")
	schedule := nightly.Grant.Schedule()
	// Two windows and a few minutes' grace, in case one has just opened.
	if windows := schedule.Next(time.Now().Add(-5*time.Minute), 2); !slices.ContainsFunc(windows, func(w access.Window) bool { return w.End.Equal(status.NextRotation) }) {
		t.Errorf("rotates by %s; explain says %s", status.NextRotation, schedule)
	}
	s.countersign(t, 0, "show", "nightly")
	s.countersign(t, 0, "grants")
	if out := must[lab.Output](t)(s.Countersign(t.Context(), s.operator, "reveal", "nightly")); out.Code == 0 || out.Stdout != "" {
		t.Errorf("reveal into a pipe: exit %d, %d characters of output", out.Code, len(out.Stdout))
	}
	out := must[lab.Output](t)(s.Countersign(t.Context(), s.clerk, "show", "nightly"))
	if out.Code != 4 {
		t.Errorf("a user without permission: exit %d, want 4\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
}

// decode reads what the tool printed as JSON.
func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
