package access_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/countersign/countersign/internal/access"
)

func TestTheDocumentedFileIsValid(t *testing.T) {
	page, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/access.md has no example")
	}
	policies := fstest.MapFS{"policies/read-invoices.json": {Data: []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::invoices/*"}]}`)}}
	a, err := access.Parse("access.yaml", []byte(example), policies, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Warnings) > 0 {
		t.Errorf("warnings: %v", a.Warnings)
	}
}
