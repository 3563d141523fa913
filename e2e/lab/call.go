package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Answer is what came back from a Call.
type Answer struct {
	Status int
	Body   string
}

// Refused says whether the call was refused before anything ran.
func (a Answer) Refused() bool {
	return a.Status == http.StatusForbidden || a.Status == http.StatusUnauthorized
}

// Call sends one request, signed for the service unless who is nil. An HTTP status is no error.
func (l *Lab) Call(ctx context.Context, who *aws.Config, service, method, url, contentType, body string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return Answer{}, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	return send(ctx, who, service, request, body)
}

// CallTarget sends one request of a service that speaks AWS's JSON protocol and has no client here.
func (l *Lab) CallTarget(ctx context.Context, who *aws.Config, service, target, body string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.Endpoint+"/", bytes.NewReader([]byte(body)))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", target)
	return send(ctx, who, service, request, body)
}

func send(ctx context.Context, who *aws.Config, service string, request *http.Request, body string) (Answer, error) {
	if who != nil {
		keys, err := who.Credentials.Retrieve(ctx)
		if err != nil {
			return Answer{}, err
		}
		sum := sha256.Sum256([]byte(body))
		if err := v4.NewSigner().SignHTTP(ctx, keys, request, hex.EncodeToString(sum[:]), service, Region, time.Now()); err != nil {
			return Answer{}, err
		}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	got, err := io.ReadAll(answer.Body)
	return Answer{answer.StatusCode, string(got)}, err
}
