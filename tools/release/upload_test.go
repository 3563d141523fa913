package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeAWS is an AWS CLI whose buckets are folders, as far as upload.sh uses it.
const fakeAWS = `#!/usr/bin/env bash
set -euo pipefail
echo "$*" >> "$FAKE/calls"
command="$2"; shift 2
while [ $# -gt 0 ]; do
  case "$1" in
    --bucket) bucket="$2"; shift 2 ;;
    --key) key="$2"; shift 2 ;;
    --body) body="$2"; shift 2 ;;
    --if-none-match) once=yes; shift 2 ;;
    --checksum-sha256) sum="$2"; shift 2 ;;
    *) shift ;;
  esac
done
file="$FAKE/$bucket/$key"
case "$command" in
  head-object) [ -f "$file" ] || exit 254; openssl dgst -sha256 -binary "$file" | base64 ;;
  put-object)
    [ -n "${once:-}" ] && [ -f "$file" ] && { echo 'PreconditionFailed' >&2; exit 254; }
    [ "$sum" = "$(openssl dgst -sha256 -binary "$body" | base64)" ] || { echo 'BadDigest' >&2; exit 254; }
    mkdir -p "$(dirname "$file")" && cp "$body" "$file" ;;
esac
`

// uploader is a small release in a folder, and what runs its script.
func uploader(t *testing.T) (release, buckets string, run func() (string, error)) {
	t.Helper()
	r, f := example(), &folder{path: t.TempDir()}
	for _, step := range []func(*folder) error{
		func(f *folder) error { return f.write("functions/arm64/rotate.zip", []byte("zip"), 0o644) },
		func(f *folder) error { return f.write("countersign.template.json", []byte("{}"), 0o644) },
		r.writeUpload, (*folder).writeSums,
	} {
		if err := step(f); err != nil {
			t.Fatal(err)
		}
	}
	buckets = t.TempDir()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(fakeAWS), 0o755); err != nil {
		t.Fatal(err)
	}
	return f.path, buckets, func() (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(f.path, "upload.sh"))
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "FAKE="+buckets)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

func TestUploading(t *testing.T) {
	release, buckets, run := uploader(t)
	if out, err := run(); err != nil || strings.Count(out, "\n") != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, region := range []string{"eu-west-1", "us-east-1"} {
		for _, file := range []string{"functions/arm64/rotate.zip", "countersign.template.json", "upload.sh", "SHA256SUMS"} {
			got, err := os.ReadFile(filepath.Join(buckets, "example-countersign-"+region, "countersign/v1.2.3", file))
			want, _ := os.ReadFile(filepath.Join(release, file))
			if err != nil || string(got) != string(want) {
				t.Errorf("%s in %s: %v", file, region, err)
			}
		}
	}
	puts := func() int {
		calls, _ := os.ReadFile(filepath.Join(buckets, "calls"))
		return strings.Count(string(calls), "put-object")
	}
	before := puts()
	if out, err := run(); err != nil || puts() != before {
		t.Errorf("a second run puts %d objects: %v: %s", puts()-before, err, out)
	}
}

func TestWhatIsPublishedStaysAsItIs(t *testing.T) {
	_, buckets, run := uploader(t)
	there := filepath.Join(buckets, "example-countersign-eu-west-1/countersign/v1.2.3/countersign.template.json")
	if err := os.MkdirAll(filepath.Dir(there), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(there, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err == nil || !strings.Contains(out, "give the release another version") {
		t.Errorf("%v: %s", err, out)
	}
	if got, _ := os.ReadFile(there); string(got) != "another" {
		t.Error("it was overwritten")
	}
}

func TestAChangedFileIsNotUploaded(t *testing.T) {
	release, buckets, run := uploader(t)
	if err := os.WriteFile(filepath.Join(release, "functions/arm64/rotate.zip"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err == nil {
		t.Errorf("uploaded: %s", out)
	}
	if _, err := os.Stat(filepath.Join(buckets, "calls")); err == nil {
		t.Error("AWS was asked for something before the sums were checked")
	}
}

// What docs/release.md says of signing works, and a changed manifest doesn't verify.
func TestTheRecipeForSigning(t *testing.T) {
	src, err := os.ReadFile("../../docs/release.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ssh-keygen -Y sign -f ~/.ssh/release -n countersign-release dist/release/v1.2.3/SHA256SUMS",
		"ssh-keygen -Y verify -f allowed_signers -I release@example.com -n countersign-release -s SHA256SUMS.sig < SHA256SUMS",
	} {
		if !strings.Contains(string(src), line) {
			t.Errorf("the recipe doesn't say %s", line)
		}
	}
	folder := t.TempDir()
	script := `set -euo pipefail
ssh-keygen -q -t ed25519 -N '' -C release -f key
echo "release@example.com namespaces=\"countersign-release\" $(cut -d' ' -f1,2 key.pub)" > allowed_signers
echo 'abc  file' > SHA256SUMS
ssh-keygen -q -Y sign -f key -n countersign-release SHA256SUMS
ssh-keygen -q -Y verify -f allowed_signers -I release@example.com -n countersign-release -s SHA256SUMS.sig < SHA256SUMS
echo more >> SHA256SUMS
if ssh-keygen -q -Y verify -f allowed_signers -I release@example.com -n countersign-release -s SHA256SUMS.sig < SHA256SUMS; then exit 3; fi
`
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// What can't be meant is refused before anything is built.
func TestWhatIsRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*release)
		says   string
	}{
		{func(r *release) { r.version = "1.2.3" }, "VERSION=v1.0.0"},
		{func(r *release) { r.version = "v1/../x" }, "no version"},
		{func(r *release) { r.bucket = "Example" }, "bucket"},
		{func(r *release) { r.bucket = "a.b" }, "bucket"},
		{func(r *release) { r.bucket = strings.Repeat("b", 47) }, "bucket"},
		{func(r *release) { r.regions = nil }, "no Region"},
		{func(r *release) { r.regions = []string{"eu-west-1", "moon"} }, "moon"},
		{func(r *release) { r.regions = []string{"cn-north-1"} }, "commercial console"},
		{func(*release) {}, ""},
	} {
		r := example()
		c.change(r)
		if err := r.check(); c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
	for _, bad := range []string{"hestio", "hestio=1111", "Hestio=111122223333", "=111122223333", "customers=111122223333", `he"stio=111122223333`} {
		if err := example().readProviders([]string{bad}); err == nil {
			t.Errorf("provider %s passes", bad)
		}
	}
	out := t.TempDir()
	r := example()
	if err := os.MkdirAll(filepath.Join(out, r.version), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.write(out); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Error(fmt.Sprint(err))
	}
}

// The same binary gives the same archive, executable for Lambda.
func TestAnArchiveHoldsNothingOfThisMachine(t *testing.T) {
	first, err := zipped([]byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := zipped([]byte("binary"))
	if err != nil || string(first) != string(second) {
		t.Errorf("two archives of one binary differ: %v", err)
	}
}
