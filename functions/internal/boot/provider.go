package boot

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/metric"
)

// Provider is what a provider's stack tells its function.
type Provider struct {
	Table string // the registry
	Topic string // ARN of the topic that tells people
	Log   *slog.Logger
	Meter metric.Meter
}

// LoadProvider reads the process's environment and AWS's configuration in it.
func LoadProvider() (Provider, aws.Config, error) {
	env, err := ReadProvider(os.Getenv)
	if err != nil {
		return Provider{}, aws.Config{}, err
	}
	cfg, err := awsconfig.Load(context.Background())
	return env, cfg, err
}

// ReadProvider reads the environment by getenv, for which os.Getenv is meant.
func ReadProvider(getenv func(string) string) (Provider, error) {
	p := Provider{
		Table: getenv("COUNTERSIGN_TABLE"), Topic: getenv("COUNTERSIGN_TOPIC"), Log: slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}
	p.Meter = metric.Meter{Log: p.Log, Stack: getenv("COUNTERSIGN_STACK"), Now: time.Now}
	for name, value := range map[string]string{"TABLE": p.Table, "TOPIC": p.Topic, "STACK": p.Meter.Stack} {
		if value == "" {
			return Provider{}, fmt.Errorf("COUNTERSIGN_%s is not set: deploy the stack again", name)
		}
	}
	return p, nil
}
