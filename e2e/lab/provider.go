package lab

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Subscribe deploys provider/subscription.template.yaml into the provider's account, for events of the customer's, and gives
// the outputs of its stack.
func (l *Lab) Subscribe(ctx context.Context) (map[string]string, error) {
	body, err := os.ReadFile(filepath.Join(l.Root, "provider/subscription.template.yaml"))
	if err != nil {
		return nil, err
	}
	client, name := cloudformation.NewFromConfig(l.Owner(Provider)), "subscription"
	if _, err := client.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: new(string(body)),
		Parameters: []types.Parameter{{ParameterKey: new("CustomerAccounts"), ParameterValue: new(Customer)}},
	}); err != nil {
		return nil, fmt.Errorf("deploying the provider's template: %w", err)
	}
	for range 100 {
		found, err := client.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
		if err != nil {
			return nil, fmt.Errorf("looking at the provider's stack: %w", err)
		}
		stack := found.Stacks[0]
		switch status := string(stack.StackStatus); {
		case stack.StackStatus == types.StackStatusCreateComplete:
			outputs := map[string]string{}
			for _, o := range stack.Outputs {
				outputs[*o.OutputKey] = *o.OutputValue
			}
			return outputs, nil
		case strings.HasSuffix(status, "FAILED"), strings.HasPrefix(status, "ROLLBACK"):
			return nil, fmt.Errorf("the provider's stack is %s", status)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, fmt.Errorf("the provider's stack is not complete after 10 s")
}

// Calling is a configuration whose requests to a REST API by AWS's own name for it reach the emulator: so a provider confirms
// where the role's tag or an event says, signed for that name.
func (l *Lab) Calling(who aws.Config) aws.Config {
	who = who.Copy()
	who.HTTPClient = gateway{who.HTTPClient, strings.TrimPrefix(l.Endpoint, "http://")}
	return who
}

type gateway struct {
	aws.HTTPClient
	emulator string // host and port
}

// Do sends a request.
func (g gateway) Do(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Host, ".execute-api.") {
		r = r.Clone(r.Context())
		r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, "http", g.emulator
	}
	return g.HTTPClient.Do(r)
}
