package events_test

import (
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/countersign/countersign/events"
)

// A consumer reads the event from what EventBridge delivered. What it does next is read the secret: no event holds an ID.
func Example() {
	delivered, err := events.Example(events.TypeExternalIDRotated)
	if err != nil {
		log.Fatal(err)
	}
	var envelope events.Envelope
	if err := json.Unmarshal(delivered, &envelope); err != nil {
		log.Fatal(err)
	}
	event, err := envelope.Event()
	if err != nil {
		log.Fatal(err)
	}
	switch data := event.Data.(type) {
	case *events.ExternalIDRotated:
		fmt.Println("grant:", event.Metadata.Grant)
		fmt.Println("read version:", data.VersionID)
		fmt.Println("before:", data.PreviousUntil.Format(time.RFC3339))
	}
	// Output:
	// grant: migration
	// read version: 8c1e5f0a-6b7c-4d8e-9f10-213243546576
	// before: 2026-02-05T03:00:20Z
}

// Announcing the same change again gives the same id, so that a consumer can drop the repeat.
func ExampleNew() {
	first := events.New("migration", "rv-20260901T160200Z-5d0c2e9a", "1.0.0", time.Unix(1788278520, 0), events.AccessRevoked{})
	again := events.New("migration", "rv-20260901T160200Z-5d0c2e9a", "1.0.0", time.Unix(1788278580, 0), events.AccessRevoked{})
	fmt.Println(first.Metadata.ID == again.Metadata.ID)
	// Output: true
}
