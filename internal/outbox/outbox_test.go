package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/events"
	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/outbox"
)

// world takes tags and events, and fails the nth act.
type world struct {
	acts []string
	fail int
	tags map[string]string
	ids  map[string]bool
}

var errLost = errors.New("lost")

func (w *world) act(name string) error {
	w.acts = append(w.acts, name)
	if len(w.acts) == w.fail {
		return errLost
	}
	return nil
}

func (w *world) Tag(_ context.Context, arn string, tags map[string]string) error {
	if err := w.act("tag " + arn); err != nil {
		return err
	}
	maps.Copy(w.tags, tags)
	return nil
}

func (w *world) TagRole(ctx context.Context, role string, tags map[string]string) error {
	return w.Tag(ctx, role, tags)
}

func (w *world) Put(_ context.Context, e events.Event) error {
	w.ids[e.Metadata.ID] = true
	return w.act("put " + string(e.Data.Type()))
}

func announce(w *world, p grant.Plan) error {
	o := outbox.Outbox{Secrets: w, Roles: w, Bus: w, StackVersion: "1", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	return o.Announce(context.Background(), p, maps.Clone(w.tags), grant.FactRotated, "v2", events.ExternalIDRotated{VersionID: "v2"})
}

func TestAChangeIsNotedAnnouncedAndMarked(t *testing.T) {
	for name, p := range map[string]grant.Plan{
		"secret": {Grant: "migration", SecretARN: "secret", RoleARN: "arn:aws:iam::444455556666:role/role"},
		"role":   {Grant: "migration", NoExternalID: true, RoleARN: "arn:aws:iam::444455556666:role/role"},
	} {
		w := &world{tags: map[string]string{}, ids: map[string]bool{}}
		if err := announce(w, p); err != nil {
			t.Fatal(err)
		}
		want := []string{"tag " + name, "put External ID Rotated", "tag " + name}
		if diff := cmp.Diff(want, w.acts); diff != "" {
			t.Error(diff)
		}
		if err := announce(w, p); err != nil || len(w.acts) != 3 {
			t.Errorf("announced twice: %v %v", w.acts, err)
		}
	}
}

func TestWhateverActFailsTheRetryAnnouncesUnderTheSameID(t *testing.T) {
	for fail := 1; fail <= 3; fail++ {
		w := &world{tags: map[string]string{}, ids: map[string]bool{}, fail: fail}
		if err := announce(w, grant.Plan{Grant: "migration", SecretARN: "secret"}); !errors.Is(err, errLost) {
			t.Fatalf("act %d: %v", fail, err)
		}
		w.fail = 0
		if fail > 1 && grant.FactRotated.Unannounced(w.tags) != "v2" {
			t.Errorf("act %d: nobody can see that an announcement is missing", fail)
		}
		if err := announce(w, grant.Plan{Grant: "migration", SecretARN: "secret"}); err != nil {
			t.Fatal(err)
		}
		if len(w.ids) != 1 || grant.FactRotated.Unannounced(w.tags) != "" || w.tags[grant.FactRotated.AnnouncedTag()] != "v2" {
			t.Errorf("act %d: %v %v", fail, w.ids, w.tags)
		}
	}
}

func TestAForgottenFactIsNewsAgain(t *testing.T) {
	w := &world{tags: map[string]string{}, ids: map[string]bool{}}
	p := grant.Plan{Grant: "migration", SecretARN: "secret"}
	if err := announce(w, p); err != nil {
		t.Fatal(err)
	}
	o := outbox.Outbox{Secrets: w, Bus: w, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if err := o.Forget(t.Context(), p, grant.FactRotated); err != nil || grant.FactRotated.Unannounced(w.tags) != "" {
		t.Errorf("%v %v", w.tags, err)
	}
	before := len(w.acts)
	if err := announce(w, p); err != nil || len(w.acts) != before+3 {
		t.Errorf("%v %v", w.acts, err)
	}
}

// A mention is for the record: it is put on the bus once, leaves no tag, and fails nobody.
func TestAMentionIsOneEventAndNothingElse(t *testing.T) {
	for _, fail := range []int{0, 1} {
		w := &world{tags: map[string]string{}, ids: map[string]bool{}, fail: fail}
		var log strings.Builder
		o := outbox.Outbox{Bus: w, Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))}
		o.Mention(t.Context(), grant.Plan{Grant: "migration"}, "rotate v2", events.OperationRequested{Operation: "rotate"})
		if diff := cmp.Diff([]string{"put Operation Requested"}, w.acts); diff != "" {
			t.Error(diff)
		}
		if failed := strings.Contains(log.String(), "level=ERROR"); failed != (fail == 1) {
			t.Errorf("act %d fails: %s", fail, log.String())
		}
	}
}
