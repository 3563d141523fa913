// Package signed makes single requests of AWS's REST services, signed by hand: for calls that are too few to link an SDK of
// megabytes for.
package signed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 8 << 20

// Get is a GET of a service's path with its query. It gives the body of an answer of 200; other answers are errors of package
// awserr. operation names it there, as "EKS ListClusters".
func Get(ctx context.Context, cfg aws.Config, service, path, operation string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint(cfg, service)+path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, awserr.From(err)
	}
	nothing := sha256.Sum256(nil)
	hash := hex.EncodeToString(nothing[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(ctx, creds, request, hash, service, cfg.Region, time.Now()); err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	client := cfg.HTTPClient
	if client == nil {
		client = &http.Client{Timeout: 30 * time.Second}
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	if response.StatusCode != http.StatusOK {
		code, message := problem(response.Header.Get("X-Amzn-Errortype"), body)
		if code == "" {
			code = fmt.Sprintf("HTTP %d", response.StatusCode)
		}
		id := response.Header.Get("X-Amzn-Requestid") + response.Header.Get("X-Amz-Request-Id")
		return nil, awserr.OfCode(operation, code, message, id)
	}
	return body, nil
}

func endpoint(cfg aws.Config, service string) string {
	if at := aws.ToString(cfg.BaseEndpoint); at != "" {
		return strings.TrimSuffix(at, "/")
	}
	suffix := "amazonaws.com"
	if strings.HasPrefix(cfg.Region, "cn-") {
		suffix += ".cn"
	}
	return "https://" + service + "." + cfg.Region + "." + suffix
}

// problem reads an error in the form of REST-JSON or of REST-XML.
func problem(kind string, body []byte) (code, message string) {
	var answer struct{ Code, Message string }
	if json.Unmarshal(body, &answer) != nil {
		_ = xml.Unmarshal(body, &answer)
	}
	if kind, _, _ = strings.Cut(kind, ":"); kind != "" {
		answer.Code = kind
	}
	return answer.Code, answer.Message
}
