// Package dynamodb keeps the provider's registry in one DynamoDB table. Each row is found by its kind and its key:
//
//	customer  <name>              what people decided; written by the writers' role alone
//	heard     <name>              what the account said; written by functions/enroll alone
//	grant     <account>/<grant>   which customer that is, and so who was invited
//	role      <ARN>               which customer it belongs to
//	secret    <ARN>               the same
//	prefix    <prefix>            which account it was issued to, for good
//	account   <account>           which prefix it was issued, for good
//
// The kind is the partition key, so that IAM can tell who may write which (dynamodb:LeadingKeys). A row that binds is written with
// the condition that nobody else has it, in one transaction with the customer's: that is what makes the binding one to one.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/grant"
)

// The kinds of rows, each a partition.
const (
	Customer = "customer"
	Heard    = "heard"
	Grant    = string(customers.FieldGrant)
	role     = string(customers.FieldRole)
	secret   = string(customers.FieldSecret)
	prefix   = string(customers.FieldPrefix)
	account  = "account"
)

// The keys of the table.
const (
	PartitionKey = "kind"
	SortKey      = "key"
)

// Registry is one table.
type Registry struct {
	api   *dynamodb.Client
	table string
}

var (
	_ customers.Registry = (*Registry)(nil)
	_ customers.Hearings = (*Registry)(nil)
)

// New makes a client of a table.
func New(cfg aws.Config, table string) *Registry {
	return &Registry{dynamodb.NewFromConfig(cfg), table}
}

// Get gives one customer (BatchGetItem; where there is none, Query for the names that are near).
func (r *Registry) Get(ctx context.Context, name string) (customers.Customer, error) {
	e, h, err := r.Load(ctx, name)
	if !errors.Is(err, customers.ErrUnknown) {
		return customers.Join(e, h), err
	}
	rows, err := r.partition(ctx, Customer, SortKey)
	if err != nil {
		return customers.Customer{}, fmt.Errorf("listing customers: %w", err)
	}
	return customers.Customer{}, customers.Unknown(name, slices.Collect(maps.Keys(rows)))
}

// Load gives both rows of a customer (BatchGetItem).
func (r *Registry) Load(ctx context.Context, name string) (customers.Entry, customers.Heard, error) {
	if err := customers.CheckName(name); err != nil {
		return customers.Entry{}, customers.Heard{}, fmt.Errorf("%w: %w", customers.ErrUnknown, err)
	}
	out, err := r.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		r.table: {Keys: []map[string]types.AttributeValue{key(Customer, name), key(Heard, name)}, ConsistentRead: new(true)},
	}})
	if err != nil {
		return customers.Entry{}, customers.Heard{}, fmt.Errorf("reading customer %s: %w", name, awserr.From(err))
	}
	if len(out.UnprocessedKeys) > 0 {
		return customers.Entry{}, customers.Heard{}, fmt.Errorf("reading customer %s: %w", name, grant.ErrThrottled)
	}
	found := map[string]row{}
	for _, item := range out.Responses[r.table] {
		found[row(item).text(PartitionKey)] = row(item)
	}
	if found[Customer] == nil {
		return customers.Entry{}, customers.Heard{}, customers.Unknown(name, nil)
	}
	e, err := found[Customer].entry()
	if err != nil {
		return customers.Entry{}, customers.Heard{}, err
	}
	h, err := found[Heard].heard()
	return e, h, err
}

// All gives all customers by name (Query, twice, a call for each megabyte).
func (r *Registry) All(ctx context.Context) ([]customers.Customer, error) {
	entries, err := r.partition(ctx, Customer, "")
	if err != nil {
		return nil, fmt.Errorf("listing customers: %w", err)
	}
	heard, err := r.partition(ctx, Heard, "")
	if err != nil {
		return nil, fmt.Errorf("listing what customers said: %w", err)
	}
	out := make([]customers.Customer, 0, len(entries))
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e, err := entries[name].entry()
		if err != nil {
			return nil, err
		}
		h, err := heard[name].heard()
		if err != nil {
			return nil, err
		}
		out = append(out, customers.Join(e, h))
	}
	return out, nil
}

// Guests are the accounts that were invited (Query, a call for each megabyte: some 10,000 of them).
func (r *Registry) Guests(ctx context.Context) (customers.Guests, error) {
	rows, err := r.partition(ctx, Grant, "")
	if err != nil {
		return nil, fmt.Errorf("listing invited accounts: %w", err)
	}
	out := customers.Guests{}
	for _, k := range slices.Sorted(maps.Keys(rows)) {
		w := rows[k]
		out[w.text("account")] = append(out[w.text("account")], customers.Guest{Name: w.text("customer"), Grant: w.text("grant"), Role: w.text("role")})
	}
	return out, nil
}

// partition reads all rows of a kind, by key. only names the one attribute to bring; empty: all.
func (r *Registry) partition(ctx context.Context, kind, only string) (map[string]row, error) {
	in := &dynamodb.QueryInput{
		TableName: &r.table, KeyConditionExpression: new("#kind = :kind"), ConsistentRead: new(true),
		ExpressionAttributeNames:  map[string]string{"#kind": PartitionKey},
		ExpressionAttributeValues: map[string]types.AttributeValue{":kind": text(kind)},
	}
	if only != "" {
		in.ProjectionExpression = new("#only")
		in.ExpressionAttributeNames["#only"] = only
	}
	rows := map[string]row{}
	for pages := dynamodb.NewQueryPaginator(r.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err)
		}
		for _, item := range page.Items {
			rows[row(item).text(SortKey)] = row(item)
		}
	}
	return rows, nil
}

// Note replaces what was heard of a customer (PutItem).
func (r *Registry) Note(ctx context.Context, name string, h customers.Heard) error {
	was := h.Revision
	h.Revision++
	in := &dynamodb.PutItemInput{TableName: &r.table, Item: heardRow(name, h)}
	in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = unchanged(was)
	_, err := r.api.PutItem(ctx, in)
	if failed := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &failed) {
		return fmt.Errorf("what was heard of %s: %w", name, customers.ErrChanged)
	}
	if err != nil {
		return fmt.Errorf("noting what was heard of %s: %w", name, awserr.From(err))
	}
	return nil
}

// unchanged is the condition that a row has this revision; 0: that there is none.
func unchanged(revision int64) (*string, map[string]string, map[string]types.AttributeValue) {
	if revision == 0 {
		return new("attribute_not_exists(#kind)"), map[string]string{"#kind": PartitionKey}, nil
	}
	return new("#revision = :was"), map[string]string{"#revision": "revision"}, map[string]types.AttributeValue{":was": number(revision)}
}
