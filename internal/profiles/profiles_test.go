package profiles_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/profiles"
)

const mine = "[default]\nregion = eu-west-1\n\n[profile hestio]\nsso_session = hestio # mine\n"

func profile(name string) profiles.Profile {
	return profiles.Profile{Name: name, Command: []string{"/opt/a b/countersign", "credential-process", name, "--profile", "hestio"}, Region: "eu-central-1"}
}

func write(t *testing.T, src string, want ...profiles.Profile) (string, profiles.Change) {
	t.Helper()
	out, change, err := profiles.Write([]byte(src), want)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), change
}

func TestProfilesStandBetweenMarkers(t *testing.T) {
	out, change := write(t, mine, profile("acme"), profile("umbrella"))
	if !strings.HasPrefix(out, mine) || !strings.Contains(out, "[profile acme]\ncredential_process = \"/opt/a b/countersign\" credential-process acme --profile hestio\nregion = eu-central-1\n") {
		t.Errorf("%s", out)
	}
	if !slices.Equal(change.Added, []string{"acme", "umbrella"}) || change.Removed != nil || change.Taken != nil {
		t.Errorf("%+v", change)
	}
	again, change := write(t, out, profile("acme"), profile("umbrella"))
	if again != out || len(change.Kept) != 2 || change.Added != nil {
		t.Errorf("written twice: %+v\n%s", change, again)
	}
	less, change := write(t, out+"[profile after]\nregion = us-east-1\n", profile("umbrella"))
	if !slices.Equal(change.Removed, []string{"acme"}) || strings.Contains(less, "acme") || !strings.HasSuffix(less, "[profile after]\nregion = us-east-1\n") {
		t.Errorf("%+v\n%s", change, less)
	}
	if none, _ := write(t, out); none != mine {
		t.Errorf("with none:\n%s", none)
	}
	if fresh, _ := write(t, "", profile("acme")); !strings.HasPrefix(fresh, "# countersign: begin") {
		t.Errorf("%s", fresh)
	}
}

func TestAProfileOfOnesOwnStays(t *testing.T) {
	out, change := write(t, mine, profile("hestio"), profile("acme"))
	if !slices.Equal(change.Taken, []string{"hestio"}) || strings.Count(out, "[profile hestio]") != 1 || !slices.Equal(change.Added, []string{"acme"}) {
		t.Errorf("%+v\n%s", change, out)
	}
}

func TestMarkersThatDoNotMatchAreRefused(t *testing.T) {
	out, _ := write(t, mine, profile("acme"))
	for _, bad := range []string{
		strings.Replace(out, "# countersign: end", "", 1), strings.Replace(out, "# countersign: begin", "#", 1), out + out,
	} {
		if _, _, err := profiles.Write([]byte(bad), nil); !errors.Is(err, profiles.ErrMarkers) {
			t.Errorf("%v for\n%s", err, bad)
		}
	}
	for _, name := range []string{"a b", "a]\n[default", "a\ncredential_process = x", `a"`} {
		if _, _, err := profiles.Write(nil, []profiles.Profile{profile(name)}); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}
