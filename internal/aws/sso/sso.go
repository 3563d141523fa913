// Package sso signs a person in to IAM Identity Center, as aws sso login does, and keeps the token where AWS's own CLI and SDKs
// look for it.
package sso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc/types"
)

// Session is a sign-in that a profile names.
type Session struct {
	Name     string // of the sso-session; empty in profiles of the older form
	StartURL string
	Region   string
}

// ErrNone says that a profile signs in to no Identity Center.
var ErrNone = errors.New("the profile has no sso-session")

// Of is the sign-in of a profile.
func Of(ctx context.Context, profile string) (Session, error) {
	p, err := config.LoadSharedConfigProfile(ctx, profile, func(o *config.LoadSharedConfigOptions) {
		if file := os.Getenv("AWS_CONFIG_FILE"); file != "" {
			o.ConfigFiles = []string{file}
		}
		if file := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); file != "" {
			o.CredentialsFiles = []string{file}
		}
	})
	switch {
	case err != nil:
		return Session{}, fmt.Errorf("reading profile %.60q: %w", profile, err)
	case p.SSOSession != nil:
		return Session{p.SSOSession.Name, p.SSOSession.SSOStartURL, p.SSOSession.SSORegion}, nil
	case p.SSOStartURL != "":
		return Session{"", p.SSOStartURL, p.SSORegion}, nil
	}
	return Session{}, ErrNone
}

// Step is what the person is to do.
type Step struct {
	URL  string // to open, which holds the code already
	Code string // to compare
}

// SignIn signs in: tell hears what to do in the browser, and wait is called between looks.
func (s Session) SignIn(ctx context.Context, cfg aws.Config, tell func(Step), wait func(context.Context, time.Duration) error, now func() time.Time) error {
	api := ssooidc.New(ssooidc.Options{Region: s.Region, BaseEndpoint: cfg.BaseEndpoint, HTTPClient: cfg.HTTPClient})
	client, err := api.RegisterClient(ctx, &ssooidc.RegisterClientInput{ClientName: new("countersign"), ClientType: new("public"), Scopes: []string{"sso:account:access"}})
	if err != nil {
		return fmt.Errorf("signing in at %s: %w", s.StartURL, err)
	}
	device, err := api.StartDeviceAuthorization(ctx, &ssooidc.StartDeviceAuthorizationInput{ClientId: client.ClientId, ClientSecret: client.ClientSecret, StartUrl: &s.StartURL})
	if err != nil {
		return fmt.Errorf("signing in at %s: %w", s.StartURL, err)
	}
	tell(Step{aws.ToString(device.VerificationUriComplete), aws.ToString(device.UserCode)})
	pause := time.Duration(max(device.Interval, 1)) * time.Second
	for {
		if err := wait(ctx, pause); err != nil {
			return err
		}
		token, err := api.CreateToken(ctx, &ssooidc.CreateTokenInput{
			ClientId: client.ClientId, ClientSecret: client.ClientSecret, DeviceCode: device.DeviceCode, GrantType: new("urn:ietf:params:oauth:grant-type:device_code"),
		})
		var pending *types.AuthorizationPendingException
		var slower *types.SlowDownException
		switch {
		case errors.As(err, &pending):
		case errors.As(err, &slower):
			pause += 5 * time.Second
		case err != nil:
			return fmt.Errorf("signing in at %s: %w", s.StartURL, err)
		default:
			return s.keep(client, token, now())
		}
	}
}

// keep writes the token in the form that AWS's own CLI writes.
func (s Session) keep(client *ssooidc.RegisterClientOutput, token *ssooidc.CreateTokenOutput, now time.Time) error {
	key := s.Name
	if key == "" {
		key = s.StartURL
	}
	path, err := ssocreds.StandardCachedTokenFilepath(key)
	if err != nil {
		return fmt.Errorf("keeping the sign-in: %w", err)
	}
	out := map[string]string{
		"startUrl": s.StartURL, "region": s.Region, "accessToken": aws.ToString(token.AccessToken),
		"expiresAt": now.Add(time.Duration(token.ExpiresIn) * time.Second).UTC().Format(time.RFC3339),
		"clientId":  aws.ToString(client.ClientId), "clientSecret": aws.ToString(client.ClientSecret),
		"registrationExpiresAt": time.Unix(client.ClientSecretExpiresAt, 0).UTC().Format(time.RFC3339),
	}
	if token.RefreshToken != nil {
		out["refreshToken"] = *token.RefreshToken
	}
	content, err := json.Marshal(out)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keeping the sign-in: %w", err)
	}
	return nil
}
