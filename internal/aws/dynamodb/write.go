package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/countersign/countersign/internal/aws/awserr"
	"github.com/countersign/countersign/internal/customers"
	"github.com/countersign/countersign/internal/grant"
)

// Add makes an entry with its claims (TransactWriteItems).
func (r *Registry) Add(ctx context.Context, e customers.Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	err := r.write(ctx, r.put(e, 0), nil, e)
	if errors.Is(err, customers.ErrChanged) {
		return fmt.Errorf("customer %s: %w", e.Name, customers.ErrExists)
	}
	return err
}

// Change replaces an entry and moves its claims (TransactWriteItems).
func (r *Registry) Change(ctx context.Context, was, now customers.Entry) error {
	if err := now.Check(); err != nil {
		return err
	}
	return r.write(ctx, r.put(now, was.Revision), was.Claims(), now)
}

// Remove takes an entry away, its claims and what was heard (TransactWriteItems).
func (r *Registry) Remove(ctx context.Context, e customers.Entry) error {
	gone := &types.Delete{TableName: &r.table, Key: key(Customer, e.Name)}
	gone.ConditionExpression, gone.ExpressionAttributeNames, gone.ExpressionAttributeValues = unchanged(e.Revision)
	writes := []write{{item: types.TransactWriteItem{Delete: gone}}}
	for _, c := range e.Claims() {
		writes = append(writes, r.release(e.Name, c))
	}
	writes = append(writes, write{item: types.TransactWriteItem{Delete: &types.Delete{TableName: &r.table, Key: key(Heard, e.Name)}}})
	return r.transact(ctx, e.Name, writes)
}

// write is one part of a transaction, with what it claims where it does.
type write struct {
	item  types.TransactWriteItem
	claim customers.Claim
	by    func(was row) string // who has it, where it is refused
}

func (r *Registry) put(e customers.Entry, was int64) write {
	e.Revision = was + 1
	p := &types.Put{TableName: &r.table, Item: entryRow(e)}
	p.ConditionExpression, p.ExpressionAttributeNames, p.ExpressionAttributeValues = unchanged(was)
	return write{item: types.TransactWriteItem{Put: p}}
}

// write stores an entry, gives up the claims that it has no more and takes the new ones.
func (r *Registry) write(ctx context.Context, entry write, was []customers.Claim, e customers.Entry) error {
	writes := []write{entry}
	for _, c := range was {
		if !slices.Contains(e.Claims(), c) {
			writes = append(writes, r.release(e.Name, c))
		}
	}
	for _, c := range e.Claims() {
		if !slices.Contains(was, c) {
			writes = append(writes, r.claim(e, c))
		}
	}
	if e.Prefix != "" && was == nil {
		writes = append(writes,
			r.issue(prefix, e.Prefix, account, e.Account, customers.Claim{Field: customers.FieldPrefix, Value: e.Prefix}),
			r.issue(account, e.Account, prefix, e.Prefix, customers.Claim{}))
	}
	return r.transact(ctx, e.Name, writes)
}

// claim keeps something for a customer, if nobody else has it.
func (r *Registry) claim(e customers.Entry, c customers.Claim) write {
	item := key(string(c.Field), c.Value)
	item["customer"] = text(e.Name)
	if c.Field == customers.FieldGrant {
		g := e.Guest()
		item.set("account", e.Account)
		item.set("grant", g.Grant)
		item.set("role", g.Role)
	}
	return write{claim: c, by: func(was row) string { return was.text("customer") }, item: types.TransactWriteItem{Put: &types.Put{
		TableName: &r.table, Item: item, ConditionExpression: new("attribute_not_exists(#kind)"),
		ExpressionAttributeNames:            map[string]string{"#kind": PartitionKey},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// release gives up a claim.
func (r *Registry) release(name string, c customers.Claim) write {
	return write{item: types.TransactWriteItem{Delete: &types.Delete{
		TableName: &r.table, Key: key(string(c.Field), c.Value), ConditionExpression: new("#customer = :name"),
		ExpressionAttributeNames:  map[string]string{"#customer": "customer"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":name": text(name)},
	}}}
}

// issue binds one value to another, unless it is bound to a third. claim is what is refused then; zero: the other value, which
// the row tells.
func (r *Registry) issue(kind, value, to, other string, claim customers.Claim) write {
	item := key(kind, value)
	item[to] = text(other)
	by := func(was row) string { return "account " + was.text(account) }
	if kind == account {
		by = func(row) string { return "account " + value }
	}
	return write{claim: claim, by: by, item: types.TransactWriteItem{Put: &types.Put{
		TableName: &r.table, Item: item, ConditionExpression: new("attribute_not_exists(#kind) OR #to = :to"),
		ExpressionAttributeNames:            map[string]string{"#kind": PartitionKey, "#to": to},
		ExpressionAttributeValues:           map[string]types.AttributeValue{":to": text(other)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}}
}

// transact writes all or nothing, and says what was in the way.
func (r *Registry) transact(ctx context.Context, name string, writes []write) error {
	in := &dynamodb.TransactWriteItemsInput{}
	for _, w := range writes {
		in.TransactItems = append(in.TransactItems, w.item)
	}
	_, err := r.api.TransactWriteItems(ctx, in)
	canceled := (*types.TransactionCanceledException)(nil)
	if !errors.As(err, &canceled) || len(canceled.CancellationReasons) != len(writes) {
		if err != nil {
			return fmt.Errorf("writing customer %s: %w", name, awserr.From(err))
		}
		return nil
	}
	for i, reason := range canceled.CancellationReasons {
		switch aws.ToString(reason.Code) {
		case "ConditionalCheckFailed":
			if w := writes[i]; w.by != nil {
				taken := &customers.Taken{Claim: w.claim, By: w.by(row(reason.Item))}
				if taken.Field == "" {
					taken.Claim = customers.Claim{Field: customers.FieldPrefix, Value: row(reason.Item).text(prefix)}
				}
				return fmt.Errorf("customer %s: %w", name, taken)
			}
			return fmt.Errorf("customer %s: %w", name, customers.ErrChanged)
		case "TransactionConflict":
			return fmt.Errorf("writing customer %s: %w: %w", name, grant.ErrConflict, customers.ErrChanged)
		case "ThrottlingError", "ProvisionedThroughputExceeded":
			return fmt.Errorf("writing customer %s: %w", name, grant.ErrThrottled)
		}
	}
	return fmt.Errorf("writing customer %s: %w", name, awserr.From(err))
}
