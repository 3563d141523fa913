package lab

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

//go:embed access.yaml.tmpl
var accessTemplate string

// Mailbox is where the grant "migration" sends its mails.
const Mailbox = "engineers@hestio.example"

// Surroundings are what the customer has before Countersign comes: a topic for its own operators with a queue behind it,
// a verified sender, and the secret that signs webhooks. The provider has a bus of its own with a queue behind it.
type Surroundings struct {
	Topic, Queue, WebhookSecret string
	ProviderBus, ProviderQueue  string // ARN, URL
	Receiver                    *Receiver
}

// Prepare makes the surroundings. took is called for each webhook, if not nil.
func (l *Lab) Prepare(ctx context.Context, took func(Delivery)) (*Surroundings, error) {
	key := "whsec_" + base64.StdEncoding.EncodeToString([]byte("a key for tests, of thirty-two b"))
	receiver, err := NewReceiver(key, took)
	if err != nil {
		return nil, fmt.Errorf("starting the webhook receiver: %w", err)
	}
	owner := l.Owner(Customer)
	secret, err := secretsmanager.NewFromConfig(owner).CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: new("webhooks/hestio"), SecretString: &key,
	})
	if err != nil {
		return nil, fmt.Errorf("creating the webhook's secret: %w", err)
	}
	topic, err := sns.NewFromConfig(owner).CreateTopic(ctx, &sns.CreateTopicInput{Name: new("ops-alerts")})
	if err != nil {
		return nil, fmt.Errorf("creating the topic: %w", err)
	}
	queue, err := l.NewQueue(ctx, "ops-alerts", "sns.amazonaws.com")
	if err != nil {
		return nil, err
	}
	if _, err := sns.NewFromConfig(owner).Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: topic.TopicArn, Protocol: new("sqs"), Endpoint: new("arn:aws:sqs:" + Region + ":" + Customer + ":ops-alerts"),
	}); err != nil {
		return nil, fmt.Errorf("subscribing the queue: %w", err)
	}
	for _, address := range []string{"countersign@customer.example", Mailbox} {
		if _, err := ses.NewFromConfig(owner).VerifyEmailIdentity(ctx, &ses.VerifyEmailIdentityInput{EmailAddress: &address}); err != nil {
			return nil, fmt.Errorf("verifying %s: %w", address, err)
		}
	}
	theirs, err := l.Subscribe(ctx)
	if err != nil {
		return nil, err
	}
	return &Surroundings{ProviderBus: theirs["BusArn"], ProviderQueue: theirs["QueueUrl"], Topic: *topic.TopicArn, Queue: queue, WebhookSecret: *secret.ARN, Receiver: receiver}, nil
}

// NewQueue makes a queue in the customer's account that an AWS service may send to, and gives its URL.
func (l *Lab) NewQueue(ctx context.Context, name, service string) (string, error) {
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": service}, "Action": "sqs:SendMessage",
		"Resource": "arn:aws:sqs:" + Region + ":" + Customer + ":" + name,
	}}})
	if err != nil {
		return "", err
	}
	queue, err := sqs.NewFromConfig(l.Owner(Customer)).CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &name, Attributes: map[string]string{"Policy": string(policy)},
	})
	if err != nil {
		return "", fmt.Errorf("creating queue %s: %w", name, err)
	}
	return *queue.QueueUrl, nil
}

// WriteAccess writes an access.yaml into the lab's folder and gives its path. maxSession and overlap are as in the file.
func (l *Lab) WriteAccess(s *Surroundings, name, maxSession string, overlap time.Duration) (string, error) {
	path := filepath.Join(l.Dir, name)
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	err = template.Must(template.New(name).Parse(accessTemplate)).Execute(file, map[string]any{
		"Customer": Customer, "Provider": Provider, "MaxSession": maxSession, "Overlap": overlap,
		"WebhookURL": s.Receiver.URL, "WebhookSecret": s.WebhookSecret, "Topic": s.Topic, "ProviderBus": s.ProviderBus,
	})
	return path, errors.Join(err, file.Close())
}
