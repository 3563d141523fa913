// Package organizations lists the accounts of an organisation in AWS Organizations.
//
// It decides nothing, not even which accounts are alive. What it gives was written by whoever names accounts: it trusts none of it.
package organizations

import (
	"context"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/countersign/countersign/internal/aws/awserr"
)

// The states of an account that AWS documents as out of use: nobody gets in, and nothing runs.
const (
	PendingActivation = string(types.AccountStatePendingActivation)
	Suspended         = string(types.AccountStateSuspended)
	Closed            = string(types.AccountStateClosed)
)

// Account is one account as its organisation tells it.
type Account struct {
	ID         string // 12 digits
	Name       string // as somebody wrote it
	State      string
	Management string // the organisation's management account; empty: not told
}

// Client calls Organizations. It answers the management account and delegated administrators only.
type Client struct{ api *organizations.Client }

// New makes a client.
func New(cfg aws.Config) *Client { return &Client{organizations.NewFromConfig(cfg)} }

// All gives every account of the organisation, in whatever state (ListAccounts, one call for each twenty). An error ends it.
func (c *Client) All(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		pages := organizations.NewListAccountsPaginator(c.api, &organizations.ListAccountsInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Account{}, awserr.From(err))
				return
			}
			for _, a := range page.Accounts {
				if !yield(told(a), nil) {
					return
				}
			}
		}
	}
}

// Under gives the accounts of an organisational unit, or of the root, and of the units in it, however deep (ListAccountsForParent
// and ListOrganizationalUnitsForParent of each). An error ends it: grant.ErrNotFound where there is no such unit.
func (c *Client) Under(ctx context.Context, parent string) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for units := []string{parent}; len(units) > 0; units = units[1:] {
			accounts := organizations.NewListAccountsForParentPaginator(c.api, &organizations.ListAccountsForParentInput{ParentId: &units[0]})
			for accounts.HasMorePages() {
				page, err := accounts.NextPage(ctx)
				if err != nil {
					yield(Account{}, awserr.From(err))
					return
				}
				for _, a := range page.Accounts {
					if !yield(told(a), nil) {
						return
					}
				}
			}
			below := organizations.NewListOrganizationalUnitsForParentPaginator(c.api, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &units[0]})
			for below.HasMorePages() {
				page, err := below.NextPage(ctx)
				if err != nil {
					yield(Account{}, awserr.From(err))
					return
				}
				for _, unit := range page.OrganizationalUnits {
					units = append(units, aws.ToString(unit.Id))
				}
			}
		}
	}
}

// told reads an account. The second account of its ARN is the one that manages it.
func told(a types.Account) Account {
	out := Account{ID: aws.ToString(a.Id), Name: aws.ToString(a.Name), State: string(a.State)}
	if parts := strings.Split(aws.ToString(a.Arn), ":"); len(parts) > 4 {
		out.Management = parts[4]
	}
	return out
}
