package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/countersign/countersign/internal/grant"
)

// Options are what a Client can be told. The zero value is a good one.
type Options struct {
	SessionName string        // what the customer's CloudTrail shows; empty: "countersign"
	Duration    time.Duration // of a session; zero: AWS's default of one hour
	// Every is how old what is known of a secret may get, if no event says that it changed; zero: 6 h.
	Every time.Duration
	// RetireIn is how long after the confirmation the ID before stays: as long as a worker may go on with what it has loaded. Zero:
	// 15 minutes; negative: not at all.
	RetireIn time.Duration
	// DoNotConfirm leaves the ID before to the customer's own deadline.
	DoNotConfirm bool
	// ByAccount reads the secret with the provider's own credentials where no session can: after a leak or a restore. They need
	// secretsmanager:GetSecretValue and kms:Decrypt on it, and a customer whose pickUp has "account".
	ByAccount bool

	// Problem is told what kept a Client from following a rotation while it got in all the same: above all ErrNotAccepted. Nil:
	// Log tells it.
	Problem func(ctx context.Context, c Customer, err error)
	Log     *slog.Logger     // nil: slog.Default
	Now     func() time.Time // nil: time.Now
}

// Client enters customers' roles. It is safe for concurrent use.
type Client struct {
	cfg   aws.Config
	sts   *sts.Client
	store Store
	http  aws.HTTPClient
	Options
}

// New makes a Client that calls AWS as cfg says; cfg's credentials are those of the principal whom customers let in, and need
// nothing but sts:AssumeRole.
func New(cfg aws.Config, store Store, o Options) *Client {
	c := &Client{cfg: cfg, sts: sts.NewFromConfig(cfg), store: store, http: staying(cfg.HTTPClient), Options: o}
	if c.SessionName == "" {
		c.SessionName = "countersign"
	}
	if c.Every == 0 {
		c.Every = 6 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Problem == nil {
		c.Problem = func(ctx context.Context, customer Customer, err error) {
			c.Log.WarnContext(ctx, "not followed", "customer", customer.Name, "grant", customer.Grant, "error", err)
		}
	}
	return c
}

// assume is AssumeRole on the accepted role, and on no other; with a source identity, where one is given.
func (c *Client) assume(ctx context.Context, customer Customer, id ExternalID, session string, source ...string) (aws.Credentials, error) {
	in := &sts.AssumeRoleInput{RoleArn: &customer.RoleARN, RoleSessionName: &session, SourceIdentity: given(source)}
	if !id.IsZero() {
		in.ExternalId = new(id.Reveal())
	}
	if c.Duration > 0 {
		in.DurationSeconds = new(int32(c.Duration.Seconds()))
	}
	out, err := c.sts.AssumeRole(ctx, in)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("entering %s: %w", customer.RoleARN, withoutID(err))
	}
	got := out.Credentials
	return aws.Credentials{
		AccessKeyID: *got.AccessKeyId, SecretAccessKey: *got.SecretAccessKey, SessionToken: *got.SessionToken,
		Source: "countersign", CanExpire: true, Expires: *got.Expiration, AccountID: customer.Account,
	}, nil
}

// withoutID keeps the code of an error of AWS's and drops its text, which may quote parameters.
func withoutID(err error) error {
	if answered := smithy.APIError(nil); errors.As(err, &answered) && answered.ErrorCode() == "ValidationError" {
		return &smithy.GenericAPIError{Code: "ValidationError", Message: "AWS takes no such request"}
	}
	return err
}

// denied says whether AWS refused, and not something else went wrong.
func denied(err error) bool {
	answered := smithy.APIError(nil)
	return errors.As(err, &answered) && (answered.ErrorCode() == "AccessDenied" || answered.ErrorCode() == "AccessDeniedException")
}

// brief is what AWS answered, without the SDK's words around it.
func brief(err error) error {
	if answered := smithy.APIError(nil); errors.As(err, &answered) {
		return answered
	}
	return err
}

// as is the configuration with a session's credentials, in a Region.
func (c *Client) as(creds aws.Credentials, region string) aws.Config {
	cfg := c.cfg.Copy()
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
	cfg.Region = region
	return cfg
}

// version is a version of a customer's secret.
type version struct {
	id      string
	created time.Time
	value   ExternalID
}

// read reads the current version, or that of a stage, of a secret that checkSecret let through, and holds it to the customer.
func (c *Client) read(ctx context.Context, cfg aws.Config, customer Customer, secretARN string, stage ...string) (version, error) {
	cfg.Region = grant.SecretRegion(secretARN)
	got, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &secretARN, VersionStage: given(stage)})
	switch {
	case denied(err):
		return version{}, fmt.Errorf("customer %s: %w: %w", customer.Name, ErrUnread, brief(err))
	case err != nil:
		return version{}, fmt.Errorf("customer %s: reading its secret: %w", customer.Name, err)
	}
	v := version{id: aws.ToString(got.VersionId), created: aws.ToTime(got.CreatedDate).UTC()}
	switch {
	case aws.ToString(got.ARN) != secretARN:
		return version{}, customer.refuse("another secret was answered with")
	case !grant.IsProvable(v.id):
		return version{}, customer.refuse("version %.80q is in no form of Secrets Manager's", v.id)
	}
	v.value, err = customer.decode([]byte(aws.ToString(got.SecretString)))
	return v, err
}

// find completes what is known of where the secret is, and where to confirm if that is asked for, with the tags of the customer's role.
func (c *Client) find(ctx context.Context, creds aws.Credentials, customer Customer, s *State, api bool) (secretARN string, err error) {
	if s.SecretARN != "" && customer.checkSecret(s.SecretARN) != nil {
		s.SecretARN, s.ConfirmURL = "", ""
	}
	if customer.SecretARN != "" {
		s.SecretARN = customer.SecretARN
	}
	if s.SecretARN != "" && (!api || customer.ConfirmURL+s.ConfirmURL != "") {
		return s.SecretARN, nil
	}
	name := roleName(customer.RoleARN)
	out, err := iam.NewFromConfig(c.as(creds, c.cfg.Region)).ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: &name})
	switch {
	case denied(err) && s.SecretARN != "":
		return s.SecretARN, nil // then nobody says where to confirm
	case err != nil:
		return "", fmt.Errorf("customer %s: reading its role's tags: %w", customer.Name, err)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	arn, url := tags[grant.TagSecret], tags[grant.TagConfirm]
	if s.SecretARN != "" {
		arn = s.SecretARN
	}
	if err := customer.checkSecret(arn); err != nil {
		return "", err
	}
	if url != "" {
		if err := customer.checkConfirm(url, arn, c.endpoint()); err != nil {
			return "", err
		}
	}
	s.SecretARN, s.ConfirmURL = arn, url
	return arn, nil
}

// endpoint is that of an emulator that stands in for AWS, "" where none does.
func (c *Client) endpoint() string { return aws.ToString(c.cfg.BaseEndpoint) }
