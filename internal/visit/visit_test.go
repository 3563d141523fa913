package visit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/entry"
	"github.com/countersign/countersign/internal/visit"
)

// way opens sessions of an hour, and counts them.
type way struct {
	mu     sync.Mutex
	now    time.Time
	opened []string
	refuse *entry.Refusal
}

func (w *way) Enter(_ context.Context, r entry.Request, progress func(string)) (entry.Opened, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = append(w.opened, r.Customer+r.RoleARN)
	if progress != nil {
		progress("waiting for IAM")
	}
	if w.refuse != nil {
		return entry.Opened{}, w.refuse
	}
	v := entry.Visit{Customer: r.Customer, Account: "444455556666", RoleARN: "arn:aws:iam::444455556666:role/x/Y", Since: w.now, Expires: w.now.Add(time.Hour)}
	return entry.Opened{Visit: v, Credentials: aws.Credentials{AccessKeyID: "ASIA" + r.Customer, SecretAccessKey: "s", SessionToken: "t", Expires: v.Expires}}, nil
}

func (w *way) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func opened(t *testing.T) (visit.Dir, *way) {
	t.Helper()
	dir, err := visit.NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &way{now: time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)}
	first, err := w.Enter(t.Context(), entry.Request{Customer: "acme"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Note(first.Visit); err != nil {
		t.Fatal(err)
	}
	stop, err := visit.NewDoor(dir, w, entry.Request{Customer: "acme"}, first, w.clock).Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return dir, w
}

func TestADoorGivesCredentialsAndRenewsThemBeforeTheyEnd(t *testing.T) {
	dir, w := opened(t)
	begun := w.clock()
	for _, tc := range []struct {
		after   time.Duration
		opened  int
		expires time.Duration
	}{{0, 1, time.Hour}, {54 * time.Minute, 1, time.Hour}, {56 * time.Minute, 2, 116 * time.Minute}, {10 * time.Hour, 3, 11 * time.Hour}} {
		w.mu.Lock()
		w.now = begun.Add(tc.after)
		w.mu.Unlock()
		got, err := dir.Ask(t.Context(), nil)
		if err != nil || got.Credentials.AccessKeyID != "ASIAacme" || !got.Expires.Equal(begun.Add(tc.expires)) || len(w.opened) != tc.opened {
			t.Errorf("after %s: %v, until %s, %d sessions", tc.after, err, got.Expires, len(w.opened))
		}
		if v, err := dir.Facts(); err != nil || !v.Expires.Equal(got.Expires) || !v.Since.Equal(begun) {
			t.Errorf("after %s the prompt has %s, since %s: %v", tc.after, v.Expires, v.Since, err)
		}
	}
}

func TestADoorEntersOtherCustomersAndSaysWhyNot(t *testing.T) {
	dir, w := opened(t)
	var told []string
	got, err := dir.Enter(t.Context(), entry.Request{Customer: "umbrella"}, func(line string) { told = append(told, line) })
	if err != nil || got.Customer != "umbrella" || !slices.Equal(told, []string{"waiting for IAM"}) {
		t.Errorf("%v, %+v, %q", err, got.Visit, told)
	}
	w.refuse = &entry.Refusal{Cause: entry.CauseRevoked, Says: "gone revoked this access", Next: "Ask gone"}
	_, err = dir.Enter(t.Context(), entry.Request{Customer: "gone"}, nil)
	if no, ok := errors.AsType[*entry.Refusal](err); !ok || *no != *w.refuse {
		t.Errorf("%v", err)
	}
	before := len(w.opened)
	if _, err := dir.Enter(t.Context(), entry.Request{RoleARN: "arn:aws:iam::444455556666:role/x"}, nil); err == nil || len(w.opened) != before {
		t.Errorf("an ARN was entered from inside: %v", err)
	}
}

func TestNobodyElseSeesAVisitAndItEnds(t *testing.T) {
	dir, _ := opened(t)
	if info, err := os.Stat(dir.Path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := dir.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Facts(); !errors.Is(err, visit.ErrNone) {
		t.Errorf("%v", err)
	}
	if _, err := dir.Ask(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("%v", err)
	}
}

func TestNothingOfAWSIsInherited(t *testing.T) {
	dir, _ := opened(t)
	got := dir.Environment([]string{
		"PATH=/bin", "HOME=/h", "AWS_PROFILE=mine", "AWS_ACCESS_KEY_ID=AKIA", "AWS_SESSION_TOKEN=x", "AWS_VAULT=mine", "aws_profile=mine", "AWS_ROLE_ARN=x",
		"AWS_WEB_IDENTITY_TOKEN_FILE=x", "AWS_CONTAINER_CREDENTIALS_FULL_URI=x", "AWS_CONFIG_FILE=/mine", "AMAZON_ACCESS_KEY_ID=x", "BOTO_CONFIG=x", "AWS_REGION=us-east-1",
		"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:2", "AWS_CA_BUNDLE=/ca", "AWS_USE_FIPS_ENDPOINT=true", "COUNTERSIGN_VISIT=/outer",
	}, "eu-central-1")
	want := []string{
		"PATH=/bin", "HOME=/h", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:2", "AWS_CA_BUNDLE=/ca", "AWS_USE_FIPS_ENDPOINT=true",
		"COUNTERSIGN_VISIT=" + dir.Path, "AWS_CONFIG_FILE=" + dir.Config(), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir.Path, "credentials"),
		"AWS_SDK_LOAD_CONFIG=1", "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if err := dir.Configure("eu-central-1", "/opt/a b/countersign", "credential-process"); err != nil {
		t.Fatal(err)
	}
	if src, err := os.ReadFile(dir.Config()); err != nil || string(src) != "[default]\ncredential_process = \"/opt/a b/countersign\" credential-process\nregion = eu-central-1\n" {
		t.Errorf("%v\n%s", err, src)
	}
	if dir.Configure("", "a\nb") == nil {
		t.Error("a line break was written")
	}
}

func TestTheLineOfAPrompt(t *testing.T) {
	now := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]string{
		59*time.Minute + 59*time.Second: "CUSTOMER acme 4444…6666 59m", time.Hour: "CUSTOMER acme 4444…6666 1h00m", 30 * time.Second: "CUSTOMER acme 4444…6666 under 1m",
		0: "CUSTOMER acme 4444…6666 ended", -time.Hour: "CUSTOMER acme 4444…6666 ended", 11 * time.Hour: "CUSTOMER acme 4444…6666 11h",
	} {
		if got := visit.Line(entry.Visit{Customer: "acme", Account: "444455556666", Expires: now.Add(left)}, now); got != want {
			t.Errorf("%s: %q, want %q", left, got, want)
		}
	}
	if got := visit.Line(entry.Visit{Account: "x$(id)", Expires: now}, now); got != "CUSTOMER ? ended" {
		t.Errorf("%q", got)
	}
}
