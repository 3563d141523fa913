package infra_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/infra"
	"github.com/countersign/countersign/infra/infratest"
)

var update = flag.Bool("update", false, "write the golden files")

// assetHash is what changes with every build of the functions' code.
var assetHash = regexp.MustCompile(`[0-9a-f]{64}\.zip`)

// golden compares with a file, or writes it under -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test ./infra -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what is synthesised; read the difference, then go test ./infra -update\n%s", file, diff)
	}
}

// The template of access.yaml, to be read by a person at every change.
func TestTheTemplateOfTheExample(t *testing.T) {
	loaded, err := infra.LoadAccess(infratest.Example)
	if err != nil {
		t.Fatal(err)
	}
	raw := infratest.Synth(t, loaded)[0].Raw
	raw = assetHash.ReplaceAll(raw, []byte("HASH.zip"))
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", " "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	golden(t, "testdata/example.template.json", pretty.Bytes())
}

func TestTheSameInputGivesTheSameTemplate(t *testing.T) {
	if diff := cmp.Diff(string(rich(t).Raw), string(richAnew(t).Raw)); diff != "" {
		t.Error(diff)
	}
}
