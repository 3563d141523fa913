package sqs_test

import (
	"context"
	"crypto/md5" // SQS answers with the MD5 of what it took
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/sqs"
	"github.com/countersign/countersign/internal/deliver"
	"github.com/countersign/countersign/internal/grant"
)

const (
	url  = "https://sqs.eu-central-1.amazonaws.com/444455556666/countersign-check"
	body = `{"grant":"migration"}`
)

func taken(body string) awstest.Answer {
	sum := md5.Sum([]byte(body))
	return awstest.JSON(`{"MD5OfMessageBody": "` + hex.EncodeToString(sum[:]) + `", "MessageId": "219f8380-5770-4cc2-8c3e-5c715e145f5e"}`)
}

func send(ctx context.Context, cfg aws.Config) error {
	return sqs.New(cfg, url).Send(ctx, []byte(body), time.Minute)
}

func hide(ctx context.Context, cfg aws.Config) error {
	return sqs.New(cfg, url).Hide(ctx, "receipt", time.Hour)
}

func remove(ctx context.Context, cfg aws.Config) error {
	return sqs.New(cfg, url).Delete(ctx, "receipt")
}

func TestAllKeepTheAdaptersContract(t *testing.T) {
	awstest.SQS.Contract(t, taken(body), send)
	awstest.SQS.Contract(t, awstest.JSON(`{}`), hide)
	awstest.SQS.Contract(t, awstest.JSON(`{}`), remove)
	awstest.SQS.Contract(t, awstest.JSON(`{}`), func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.New(cfg, url).Receive(ctx, time.Minute)
		return err
	})
	awstest.SQS.Contract(t, awstest.JSON(depth), func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.New(cfg, url).Depth(ctx)
		return err
	})
}

func TestReceivedMessagesArePutOffAndEnded(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{}`))
	if err := sqs.New(server.Config(), url).Hide(t.Context(), "receipt", 11*time.Hour-time.Millisecond); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"QueueUrl": url, "ReceiptHandle": "receipt", "VisibilityTimeout": 39600.0}
	if diff := cmp.Diff(want, server.Only("ChangeMessageVisibility").JSON); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	// Zero hands a message back: it must stand there.
	server = awstest.New(t, awstest.JSON(`{}`))
	if err := sqs.New(server.Config(), url).Hide(t.Context(), "receipt", 0); err != nil {
		t.Fatal(err)
	}
	if got := server.Only("ChangeMessageVisibility").JSON["VisibilityTimeout"]; got != 0.0 {
		t.Errorf("hidden for %v", got)
	}
	server = awstest.New(t, awstest.JSON(`{}`))
	if err := remove(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"QueueUrl": url, "ReceiptHandle": "receipt"}, server.Only("DeleteMessage").JSON); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

const depth = `{"Attributes":{"ApproximateNumberOfMessages":"3","ApproximateNumberOfMessagesDelayed":"2","ApproximateNumberOfMessagesNotVisible":"1"}}`

func TestMessagesAreReceivedWithAllThatIsSaidOfThem(t *testing.T) {
	sum := md5.Sum([]byte(body))
	server := awstest.New(t, awstest.JSON(`{"Messages":[{"MessageId":"m1","ReceiptHandle":"r1","Body":"{\"grant\":\"migration\"}","MD5OfBody":"`+hex.EncodeToString(sum[:])+`",
		"Attributes":{"SentTimestamp":"1770174020123","ApproximateReceiveCount":"3"},
		"MessageAttributes":{"ERROR_CODE":{"DataType":"String","StringValue":"NO_PERMISSIONS"},"SentTimestamp":{"DataType":"String","StringValue":"1"}}}]}`))
	got, err := sqs.New(server.Config(), url).Receive(t.Context(), 5*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := []deliver.Received{{
		ID: "m1", Receipt: "r1", Body: body, Sent: time.UnixMilli(1770174020123).UTC(),
		Attributes: map[string]string{"SentTimestamp": "1770174020123", "ApproximateReceiveCount": "3", "ERROR_CODE": "NO_PERMISSIONS"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	asked := map[string]any{
		"QueueUrl": url, "MaxNumberOfMessages": 10.0, "WaitTimeSeconds": 1.0, "VisibilityTimeout": 300.0,
		"MessageSystemAttributeNames": []any{"All"}, "MessageAttributeNames": []any{"All"},
	}
	if diff := cmp.Diff(asked, server.Only("ReceiveMessage").JSON); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestADepthIsCounted(t *testing.T) {
	got, err := sqs.New(awstest.New(t, awstest.JSON(depth)).Config(), url).Depth(t.Context())
	if want := (sqs.Depth{Ready: 3, Waiting: 2, InHand: 1}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := sqs.New(awstest.New(t, awstest.JSON(`{"Attributes":{}}`)).Config(), url).Depth(t.Context()); err == nil {
		t.Error("nothing was counted, and that is no error")
	}
}

func TestDelaysAreWholeSeconds(t *testing.T) {
	for delay, want := range map[time.Duration]any{
		0:                       nil, // the SDK leaves a zero out, and the queue's own delay is none
		time.Nanosecond:         1.0,
		time.Second:             1.0,
		1500 * time.Millisecond: 2.0,
		time.Minute:             60.0,
		15 * time.Minute:        900.0,
	} {
		t.Run(delay.String(), func(t *testing.T) {
			server := awstest.New(t, taken(body))
			if err := sqs.New(server.Config(), url).Send(t.Context(), []byte(body), delay); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"QueueUrl": url, "MessageBody": body, "DelaySeconds": want}
			if want["DelaySeconds"] == nil {
				delete(want, "DelaySeconds")
			}
			if diff := cmp.Diff(want, server.Only("SendMessage").JSON); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	for _, code := range []string{"com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"} {
		awstest.Refused(t, awstest.JSONError(400, code, "The specified queue does not exist."), grant.ErrNotFound, send)
	}
}

func TestAMessageThatArrivedChangedIsAnError(t *testing.T) {
	if err := send(t.Context(), awstest.New(t, taken("something else")).Config()); err == nil {
		t.Error("a wrong checksum went unnoticed")
	} else if errors.Is(err, grant.ErrNotFound) {
		t.Errorf("error = %v", err)
	}
}
