// Package eks lists EKS clusters.
package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/signed"
)

// Client calls EKS.
type Client struct{ cfg aws.Config }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{cfg} }

// mostPages is how many pages of 100 clusters are read.
const mostPages = 100

// Clusters are the names of a Region's clusters (ListClusters).
func (c *Client) Clusters(ctx context.Context) (names []string, err error) {
	query := url.Values{"maxResults": {"100"}}
	for range mostPages {
		body, err := signed.Get(ctx, c.cfg, "eks", "/clusters?"+query.Encode(), "EKS ListClusters")
		if err != nil {
			return nil, err
		}
		var page struct {
			Clusters  []string
			NextToken string
		}
		if json.Unmarshal(body, &page) != nil {
			return nil, fmt.Errorf("EKS ListClusters: the answer is no JSON")
		}
		if names = append(names, page.Clusters...); page.NextToken == "" {
			break
		}
		query.Set("nextToken", page.NextToken)
	}
	return names, nil
}
