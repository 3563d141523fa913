package conformance

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

const manager = "Secrets Manager API reference, "

// labels reads which version carries which label.
func labels(t testing.TB, a Account, secret string) map[string]string {
	t.Helper()
	described, err := a.Secrets.Describe(t.Context(), secret)
	must(t, "DescribeSecret", err)
	out := map[string]string{}
	for id, stages := range described.Stages {
		for _, stage := range stages {
			if other, ok := out[stage]; ok {
				t.Errorf("%s is on %s and %s", stage, other, id)
			}
			out[stage] = id
		}
	}
	return out
}

func wantLabels(t testing.TB, a Account, secret string, want map[string]string) {
	t.Helper()
	if got := labels(t, a, secret); !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

func versionCases() []Case {
	return []Case{
		{"a version is read by its id", manager + "GetSecretValue", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("second"), grant.StagePending))
			v, err := a.Versions.Version(t.Context(), s, token("a", 1))
			must(t, "GetSecretValue", err)
			if v.ID != token("a", 1) || string(v.Value) != "second" || v.Created.IsZero() {
				t.Errorf("version %s of %s, created %s", v.ID, v.Value, v.Created)
			}
			first, err := a.Secrets.SecretString(t.Context(), s)
			must(t, "GetSecretValue of AWSCURRENT", err)
			if first != "first" {
				t.Errorf("AWSCURRENT holds %q, want the first value", first)
			}
		}},
		{"a value without a label becomes current, and the one before is found under AWSPREVIOUS", manager + "PutSecretValue", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			_, err := a.Secrets.AtStage(t.Context(), s, grant.StagePrevious)
			want(t, "GetSecretValue of AWSPREVIOUS", err, grant.ErrNotFound)
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("second")))
			for stage, value := range map[string]string{grant.StageCurrent: "second", grant.StagePrevious: "first"} {
				v, err := a.Secrets.AtStage(t.Context(), s, stage)
				must(t, "GetSecretValue of "+stage, err)
				if string(v.Value) != value || v.Created.IsZero() {
					t.Errorf("%s holds %q of %s, want %q", stage, v.Value, v.Created, value)
				}
			}
		}},
		{"nobody finds a version or a secret that is not there", manager + "GetSecretValue", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			_, err := a.Versions.Version(t.Context(), s, token("absent", 1))
			want(t, "GetSecretValue", err, grant.ErrNotFound)
			wantCode(t, "GetSecretValue", err, "ResourceNotFoundException")
			_, err = a.Secrets.Describe(t.Context(), s+"NotThere")
			want(t, "DescribeSecret", err, grant.ErrNotFound)
		}},
		{"the same token and value again change nothing", manager + "PutSecretValue: the request is ignored", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v"), grant.StagePending))
			must(t, "moving the label away", a.Versions.MoveStage(t.Context(), s, grant.StagePending, "", token("a", 1)))
			before := labels(t, a, s)
			want(t, "the same again", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v"), grant.StagePending), nil)
			wantLabels(t, a, s, before)
		}},
		{"the same token with another value is refused", manager + "PutSecretValue: you can't modify an existing version", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v"), grant.StagePending))
			err := a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("w"), grant.StagePending)
			want(t, "another value", err, grant.ErrConflict)
			wantCode(t, "another value", err, "ResourceExistsException")
			v, err := a.Versions.Version(t.Context(), s, token("a", 1))
			must(t, "GetSecretValue", err)
			if string(v.Value) != "v" {
				t.Errorf("the refused write changed the value to %q", v.Value)
			}
		}},
		{"a token has 32 to 64 characters", manager + "PutSecretValue: ClientRequestToken", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", true)
			for _, n := range []int{31, 65} {
				if a.Versions.PutVersion(t.Context(), s, strings.Repeat("x", n), []byte("v"), grant.StagePending) == nil {
					t.Errorf("PutSecretValue took a token of %d characters", n)
				}
				if a.Secrets.Rotate(t.Context(), s, strings.Repeat("x", n)) == nil {
					t.Errorf("RotateSecret took a token of %d characters", n)
				}
			}
		}},
		{"a value without labels becomes the current one", manager + "PutSecretValue: VersionStages", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			first := labels(t, a, s)[grant.StageCurrent]
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v")))
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": token("a", 1), "AWSPREVIOUS": first})
		}},
		{"a value has 1 to 65,536 bytes", manager + "PutSecretValue: SecretString", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			want(t, "65,536 bytes", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte(strings.Repeat("x", 65536)), grant.StagePending), nil)
			if a.Versions.PutVersion(t.Context(), s, token("a", 2), []byte(strings.Repeat("x", 65537)), grant.StagePending) == nil {
				t.Error("65,537 bytes were taken")
			}
			if a.Versions.PutVersion(t.Context(), s, token("a", 3), nil, grant.StagePending) == nil {
				t.Error("an empty value was taken")
			}
		}},
		{"a deleted secret refuses everything but to be looked at, until it is restored", manager + "DeleteSecret", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", true)
			current := labels(t, a, s)[grant.StageCurrent]
			a.Delete(t, s)
			_, err := a.Versions.Version(t.Context(), s, current)
			wantCode(t, "GetSecretValue", err, "InvalidRequestException")
			_, err = a.Secrets.SecretString(t.Context(), s)
			wantCode(t, "GetSecretValue of AWSCURRENT", err, "InvalidRequestException")
			wantCode(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v"), grant.StagePending), "InvalidRequestException")
			wantCode(t, "UpdateSecretVersionStage", a.Versions.MoveStage(t.Context(), s, "mine", current, ""), "InvalidRequestException")
			wantCode(t, "RotateSecret", a.Secrets.Rotate(t.Context(), s, token("rotate", 1)), "InvalidRequestException")
			wantCode(t, "TagResource", a.Secrets.Tag(t.Context(), s, map[string]string{"k": "v"}), "InvalidRequestException")
			described, err := a.Secrets.Describe(t.Context(), s)
			must(t, "DescribeSecret", err)
			if !described.Deleted {
				t.Error("DescribeSecret does not tell that it is deleted")
			}
			a.Restore(t, s)
			v, err := a.Versions.Version(t.Context(), s, current)
			must(t, "GetSecretValue after RestoreSecret", err)
			if string(v.Value) != "first" {
				t.Error("the value changed")
			}
		}},
		{"under a disabled key no value is read or written", manager + "GetSecretValue: DecryptionFailure", func(t testing.TB, a Account) {
			s, enable := a.NewKeyedSecret(t, "first")
			current := labels(t, a, s)[grant.StageCurrent]
			enable(false)
			if _, err := a.Versions.Version(t.Context(), s, current); err == nil {
				t.Error("a value was read")
			}
			if a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v"), grant.StagePending) == nil {
				t.Error("a value was written")
			}
			want(t, "moving a label", a.Versions.MoveStage(t.Context(), s, "mine", current, ""), nil)
			enable(true)
			_, err := a.Versions.Version(t.Context(), s, current)
			want(t, "reading under the enabled key", err, nil)
		}},
		{"only versions with a label are listed", manager + "ListSecretVersionIds: IncludeDeprecated", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			first := labels(t, a, s)[grant.StageCurrent]
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 1), []byte("v"), grant.StagePending))
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 2), []byte("w"), grant.StagePending))
			list, err := a.Versions.Versions(t.Context(), s)
			must(t, "ListSecretVersionIds", err)
			var got []string
			for _, v := range list {
				got = append(got, v.ID+" "+strings.Join(v.Stages, ","))
			}
			slices.Sort(got)
			if want := []string{token("a", 2) + " AWSPENDING", first + " AWSCURRENT"}; !slices.Equal(got, slices.Sorted(slices.Values(want))) {
				t.Errorf("versions %q, want %q", got, want)
			}
			if _, err := a.Versions.Version(t.Context(), s, token("a", 1)); err != nil {
				t.Errorf("a version without a label can still be read by its id: %v", err)
			}
		}},
	}
}

func labelCases() []Case {
	const move = manager + "UpdateSecretVersionStage"
	// start gives a secret with a current version and a pending one.
	start := func(t testing.TB, a Account) (secret, current, pending string) {
		secret = a.NewSecret(t, "first", false)
		must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), secret, token("a", 1), []byte("v"), grant.StagePending))
		return secret, labels(t, a, secret)[grant.StageCurrent], token("a", 1)
	}
	return []Case{
		{"a label that is put on a new version leaves the old one", manager + "PutSecretValue: VersionStages", func(t testing.TB, a Account) {
			s, current, _ := start(t, a)
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("a", 2), []byte("w"), grant.StagePending))
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current, "AWSPENDING": token("a", 2)})
		}},
		{"moving AWSCURRENT leaves AWSPREVIOUS behind and AWSPENDING alone", move, func(t testing.TB, a Account) {
			s, current, pending := start(t, a)
			must(t, "moving", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, pending, current))
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": pending, "AWSPENDING": pending, "AWSPREVIOUS": current})
		}},
		{"moving AWSCURRENT back swaps it with AWSPREVIOUS", move, func(t testing.TB, a Account) {
			s, current, pending := start(t, a)
			must(t, "moving", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, pending, current))
			must(t, "moving back", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, current, pending))
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current, "AWSPENDING": pending, "AWSPREVIOUS": pending})
		}},
		{"a label that is attached elsewhere needs RemoveFromVersionId", move + ": RemoveFromVersionId", func(t testing.TB, a Account) {
			s, current, pending := start(t, a)
			wantCode(t, "without it", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, pending, ""), "InvalidParameterException")
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current, "AWSPENDING": pending})
		}},
		{"RemoveFromVersionId must be the version that has the label", move + ": RemoveFromVersionId", func(t testing.TB, a Account) {
			s, current, pending := start(t, a)
			wantCode(t, "with another version", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, pending, pending), "InvalidParameterException")
			wantCode(t, "removing from another version", a.Versions.MoveStage(t.Context(), s, grant.StagePending, "", current), "InvalidParameterException")
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current, "AWSPENDING": pending})
		}},
		{"AWSPENDING can be removed, AWSCURRENT can't", move, func(t testing.TB, a Account) {
			s, current, pending := start(t, a)
			must(t, "removing AWSPENDING", a.Versions.MoveStage(t.Context(), s, grant.StagePending, "", pending))
			wantCode(t, "removing AWSCURRENT", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, "", current), "InvalidParameterException")
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current})
		}},
		{"a label can't go to a version that is not there", move, func(t testing.TB, a Account) {
			s, current, pending := start(t, a)
			want(t, "moving", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, token("absent", 1), current), grant.ErrNotFound)
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current, "AWSPENDING": pending})
		}},
	}
}

// soon starts a rotation, with patience while a step of the one before may still be running.
func soon(t testing.TB, a Account, secret, token string) error {
	err := a.Secrets.Rotate(t.Context(), secret, token)
	for range 10 {
		if !errors.Is(err, grant.ErrBusy) {
			break
		}
		a.Pass(time.Second)
		err = a.Secrets.Rotate(t.Context(), secret, token)
	}
	return err
}

func rotationCases() []Case {
	const rotate = manager + "RotateSecret"
	return []Case{
		{"a rotation begins with an empty pending version of that id", rotate + ": ClientRequestToken", func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", true)
			current := labels(t, a, s)[grant.StageCurrent]
			must(t, "RotateSecret", a.Secrets.Rotate(t.Context(), s, token("rotate", 1)))
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": current, "AWSPENDING": token("rotate", 1)})
			_, err := a.Versions.Version(t.Context(), s, token("rotate", 1))
			want(t, "reading the empty version", err, grant.ErrNotFound)
			want(t, "filling it", a.Versions.PutVersion(t.Context(), s, token("rotate", 1), []byte("v"), grant.StagePending), nil)
		}},
		{"a pending version that is not current blocks the next rotation", rotate, func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", true)
			must(t, "RotateSecret", a.Secrets.Rotate(t.Context(), s, token("rotate", 1)))
			err := a.Secrets.Rotate(t.Context(), s, token("rotate", 2))
			want(t, "RotateSecret again", err, grant.ErrBusy)
			wantCode(t, "RotateSecret again", err, "InvalidRequestException")
			must(t, "clearing AWSPENDING", a.Versions.MoveStage(t.Context(), s, grant.StagePending, "", token("rotate", 1)))
			want(t, "RotateSecret after that", soon(t, a, s, token("rotate", 2)), nil)
		}},
		{"a pending label on the current version blocks nothing", rotate, func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", true)
			current := labels(t, a, s)[grant.StageCurrent]
			must(t, "RotateSecret", a.Secrets.Rotate(t.Context(), s, token("rotate", 1)))
			must(t, "PutSecretValue", a.Versions.PutVersion(t.Context(), s, token("rotate", 1), []byte("v"), grant.StagePending))
			must(t, "promoting", a.Versions.MoveStage(t.Context(), s, grant.StageCurrent, token("rotate", 1), current))
			want(t, "RotateSecret again", soon(t, a, s, token("rotate", 2)), nil)
			wantLabels(t, a, s, map[string]string{"AWSCURRENT": token("rotate", 1), "AWSPENDING": token("rotate", 2), "AWSPREVIOUS": current})
		}},
		{"a secret without a rotation function can't be rotated", rotate, func(t testing.TB, a Account) {
			s := a.NewSecret(t, "first", false)
			wantCode(t, "RotateSecret", a.Secrets.Rotate(t.Context(), s, token("rotate", 1)), "InvalidRequestException")
		}},
	}
}
