// Package s3 lists S3 buckets.
package s3

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/signed"
)

// Client calls S3.
type Client struct{ cfg aws.Config }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{cfg} }

// Bucket is one of an account's.
type Bucket struct {
	Name    string
	Created time.Time
}

// mostPages is how many pages of 1,000 buckets are read.
const mostPages = 20

// Buckets are all buckets of the account (ListBuckets).
func (c *Client) Buckets(ctx context.Context) (all []Bucket, err error) {
	query := url.Values{"max-buckets": {"1000"}}
	for range mostPages {
		body, err := signed.Get(ctx, c.cfg, "s3", "/?"+query.Encode(), "S3 ListBuckets")
		if err != nil {
			return nil, err
		}
		var page struct {
			Buckets []struct {
				Name         string
				CreationDate time.Time
			} `xml:"Buckets>Bucket"`
			ContinuationToken string
		}
		if xml.Unmarshal(body, &page) != nil {
			return nil, fmt.Errorf("S3 ListBuckets: the answer can't be read")
		}
		for _, b := range page.Buckets {
			all = append(all, Bucket{b.Name, b.CreationDate})
		}
		if page.ContinuationToken == "" {
			break
		}
		query.Set("continuation-token", page.ContinuationToken)
	}
	return all, nil
}
