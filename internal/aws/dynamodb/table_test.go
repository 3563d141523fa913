package dynamodb_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/countersign/countersign/internal/aws/awstest"
)

// table is a DynamoDB that counts its calls.
type table struct {
	awstest.Table
	mu    sync.Mutex
	calls []string
}

func newTable(t *testing.T) (*table, aws.Config) {
	tab := &table{Table: awstest.Table{Name: "customers", Page: 2, Fault: t.Errorf}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
		tab.calls = append(tab.calls, operation)
		tab.Serve(w, operation, body)
	}))
	t.Cleanup(server.Close)
	return tab, aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "example", ""),
	}
}
