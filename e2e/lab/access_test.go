package lab

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/access"
)

func TestTheAccessFilesAreValid(t *testing.T) {
	l := &Lab{Dir: t.TempDir()}
	s := &Surroundings{
		ProviderBus:   "arn:aws:events:us-east-1:111122223333:event-bus/countersign-customers",
		Topic:         "arn:aws:sns:us-east-1:444455556666:ops-alerts",
		WebhookSecret: "arn:aws:secretsmanager:us-east-1:444455556666:secret:webhooks/hestio-a1b2c3",
		Receiver:      &Receiver{URL: "http://127.0.0.1:40000/countersign"},
	}
	path, err := l.WriteAccess(s, "access.yaml", "1h", 8*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	a, err := access.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(a.Entries()); got != 6 {
		t.Errorf("%d grants, want 6", got)
	}
}
