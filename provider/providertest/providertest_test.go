package providertest_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign/internal/sandbox/conformance"
	"github.com/countersign/countersign/provider/providertest"
)

// An Account answers what Countersign's own functions answer.
func TestAnAccountAnswersAsTheFunctionsDo(t *testing.T) {
	account := providertest.New(t)
	conformance.Run(t, &conformance.HTTP{
		URL: account.URL(), Region: "eu-central-1", Now: account.Version,
		Enter: func(ctx context.Context, session string) (aws.Credentials, error) {
			customer := account.Customer()
			state, err := account.Store().Load(ctx, customer.Name) // what is current now
			if err != nil {
				return aws.Credentials{}, err
			}
			out, err := sts.NewFromConfig(account.Config()).AssumeRole(ctx, &sts.AssumeRoleInput{
				RoleArn: &customer.RoleARN, RoleSessionName: &session, ExternalId: new(state.ID.Reveal()),
			})
			if err != nil {
				return aws.Credentials{}, err
			}
			c := out.Credentials
			return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
		},
	}, func(conformance.Case) bool { return true })
}
