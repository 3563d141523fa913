//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/countersign/countersign/e2e/lab"
	"github.com/countersign/countersign/events"
)

// everyID is every external ID that this run made.
func (s *story) everyID(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, grant := range []string{"migration", "nightly", "platform", "telemetry", "snapshots"} {
		for _, v := range must[[]lab.Version](t)(s.Versions(t.Context(), grant)) {
			if v.ExternalID != "" {
				ids = append(ids, v.ExternalID)
			}
		}
	}
	if len(ids) != 16 {
		t.Fatalf("%d IDs: five births, nine rotations, another one while revoked and a restore make 16", len(ids))
	}
	return ids
}

// search looks for every ID everywhere, and for planted ones by the same way.
func (s *story) search(t *testing.T, ids []string) {
	found, places := s.look(t, ids)
	for _, f := range found {
		t.Error(f)
	}
	s.wantEvents(t)
	t.Logf("searched %d places for %d IDs", places, len(ids))
	t.Run("a planted ID is found", func(t *testing.T) { s.plant(t, ids) })
}

// searchLeft looks again, in what outlived the stack.
func (s *story) searchLeft(t *testing.T, ids []string) {
	found, _ := s.look(t, ids)
	for _, f := range found {
		t.Error(f)
	}
}

func (s *story) look(t *testing.T, ids []string) (found []string, places int) {
	t.Helper()
	searcher := must[*lab.Searcher](t)(lab.NewSearcher(ids))
	surfaces := must[[]lab.Surface](t)(s.Surfaces(t.Context()))
	for _, d := range s.around.Receiver.Deliveries() {
		var head strings.Builder
		_ = d.Header.Write(&head)
		surfaces = append(surfaces, lab.Surface{Name: "webhook", Text: head.String() + string(d.Body)})
	}
	s.wantCovered(t, surfaces)
	for _, surface := range surfaces {
		for _, what := range searcher.Find(surface.Text) {
			found = append(found, surface.Name+": "+what)
		}
	}
	return found, len(surfaces)
}

// wantCovered guards against a search of nothing: each kind of place must be there, with something in it.
func (s *story) wantCovered(t *testing.T, surfaces []lab.Surface) {
	t.Helper()
	has := func(part string) bool {
		for _, surface := range surfaces {
			if strings.Contains(surface.Name, part) && len(surface.Text) > 10 {
				return true
			}
		}
		return false
	}
	for _, part := range []string{"mail 1", "webhook", "messages in queues", "output of countersign", "file emulator.log", "file cdk.log", "template.json"} {
		if !has(part) {
			t.Errorf("nothing was searched of the kind %q", part)
		}
	}
}

// wantEvents makes sure that the archive holds what the story made the functions say.
func (s *story) wantEvents(t *testing.T) {
	t.Helper()
	for _, surface := range must[[]lab.Surface](t)(s.Surfaces(t.Context())) {
		if surface.Name != "archived events" {
			continue
		}
		for _, event := range []events.Type{events.TypeAccessGranted, events.TypeExternalIDRotated, events.TypeAccessRevoked, events.TypeAccessRestored, events.TypeDeliverySucceeded,
			events.TypeExternalIDConfirmed, events.TypeRotationUnconfirmed, events.TypeRotationFailed} {
			if !strings.Contains(surface.Text, string(event)) {
				t.Errorf("the archive holds no event %q", event)
			}
		}
		return
	}
	t.Error("no archive was searched")
}

// plant puts IDs, each in another disguise, into a log and a file, and looks for them as for the others.
func (s *story) plant(t *testing.T, ids []string) {
	client := cloudwatchlogs.NewFromConfig(s.Owner(lab.Customer))
	group, stream := new("planted"), new("planted")
	_ = must[*cloudwatchlogs.CreateLogGroupOutput](t)(client.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}))
	_ = must[*cloudwatchlogs.CreateLogStreamOutput](t)(client.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: group, LogStreamName: stream}))
	random := ids[4][strings.LastIndexByte(ids[4], '-')+1:]
	planted := []string{
		"raw " + ids[0],
		"hex " + hex.EncodeToString([]byte("id="+ids[1])),
		"base64 " + base64.StdEncoding.EncodeToString([]byte("id="+ids[2])),
		"URL " + percentEncoded(ids[3]),
		"piece …" + random[7:19] + "…",
	}
	var lines []logtypes.InputLogEvent
	for _, line := range planted {
		lines = append(lines, logtypes.InputLogEvent{Message: new(line), Timestamp: new(time.Now().UnixMilli())})
	}
	_ = must[*cloudwatchlogs.PutLogEventsOutput](t)(client.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{
		LogGroupName: group, LogStreamName: stream, LogEvents: lines}))
	file := filepath.Join(s.Dir, "planted.log")
	if err := os.WriteFile(file, []byte(ids[5]), 0o600); err != nil {
		t.Fatal(err)
	}
	found, _ := s.look(t, ids)
	for i, want := range []string{
		"log group planted: ID 0, raw", "log group planted: ID 1, hex", "log group planted: ID 2, base64",
		"log group planted: ID 3, URL-encoded", "log group planted: ID 4, raw", "file planted.log: ID 5, raw",
	} {
		if !slices.Contains(found, want) {
			t.Errorf("planted %d: want %q among %q", i, want, found)
		}
	}
	if len(found) != 6 {
		t.Errorf("found %q, want the six planted ones", found)
	}
	_ = must[*cloudwatchlogs.DeleteLogGroupOutput](t)(client.DeleteLogGroup(t.Context(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: group}))
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// percentEncoded is URL-encoding in which no character stays as it is.
func percentEncoded(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&out, "%%%02X", c)
	}
	return out.String()
}
