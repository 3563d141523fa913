package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/customers"
	kit "github.com/countersign/countersign/internal/customers/customerstest"
	"github.com/countersign/countersign/internal/grant"
)

func TestTheTableKeepsTheRegistrysContract(t *testing.T) {
	kit.Contract(t, func(t *testing.T) kit.Store {
		_, cfg := newTable(t)
		return dynamodb.New(cfg, "customers")
	})
}

// What functions/enroll does is one call each, and what people do is one transaction.
func TestCallsOneByOne(t *testing.T) {
	tab, cfg := newTable(t)
	r := dynamodb.New(cfg, "customers")
	e := kit.Invited("acme", kit.Acme)
	for _, tc := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"add", func() error { return r.Add(t.Context(), e) }, []string{"TransactWriteItems"}},
		{"load", func() (err error) { e, _, err = r.Load(t.Context(), "acme"); return err }, []string{"BatchGetItem"}},
		{"guests", func() error { _, err := r.Guests(t.Context()); return err }, []string{"Query"}},
		{"note", func() error { return r.Note(t.Context(), "acme", customers.Heard{}) }, []string{"PutItem"}},
		{"change", func() error { return r.Change(t.Context(), e, e.Dismiss(customers.Customer{}, kit.Noon)) }, []string{"TransactWriteItems"}},
		{"all", func() error { _, err := r.All(t.Context()); return err }, []string{"Query", "Query"}},
		{"remove", func() error {
			e, _, err := r.Load(t.Context(), "acme")
			return errors.Join(err, r.Remove(t.Context(), e))
		}, []string{"BatchGetItem", "TransactWriteItems"}},
		{"no name, no call", func() error {
			if _, _, err := r.Load(t.Context(), "../x"); !errors.Is(err, customers.ErrUnknown) {
				return fmt.Errorf("error = %w", err)
			}
			return nil
		}, nil},
	} {
		tab.calls = nil
		if err := tc.do(); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if !slices.Equal(tab.calls, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, tab.calls, tc.want)
		}
	}
}

func TestPagesAreFollowed(t *testing.T) {
	_, cfg := newTable(t)
	r := dynamodb.New(cfg, "customers")
	for i := range 7 {
		if err := r.Add(t.Context(), kit.Invited(fmt.Sprintf("cust%d", i), fmt.Sprintf("%012d", i))); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.All(t.Context())
	guests, err2 := r.Guests(t.Context())
	if len(all) != 7 || len(guests) != 7 || err != nil || err2 != nil {
		t.Errorf("%d customers, %d accounts, %v, %v", len(all), len(guests), err, err2)
	}
}

func TestTheAdaptersContract(t *testing.T) {
	item := awstest.JSON(`{"Responses":{"customers":[{"kind":{"S":"customer"},"key":{"S":"acme"},"account":{"S":"444455556666"},"revision":{"N":"1"}}]},"UnprocessedKeys":{}}`)
	t.Run("Load", func(t *testing.T) {
		awstest.DynamoDB.Contract(t, item, func(ctx context.Context, cfg aws.Config) error {
			_, _, err := dynamodb.New(cfg, "customers").Load(ctx, "acme")
			return err
		})
	})
	t.Run("Note", func(t *testing.T) {
		awstest.DynamoDB.Contract(t, awstest.JSON(`{}`), func(ctx context.Context, cfg aws.Config) error {
			return dynamodb.New(cfg, "customers").Note(ctx, "acme", customers.Heard{})
		})
	})
	t.Run("Guests", func(t *testing.T) {
		awstest.DynamoDB.Contract(t, awstest.JSON(`{"Items":[]}`), func(ctx context.Context, cfg aws.Config) error {
			_, err := dynamodb.New(cfg, "customers").Guests(ctx)
			return err
		})
	})
	t.Run("Add", func(t *testing.T) {
		awstest.DynamoDB.Contract(t, awstest.JSON(`{}`), func(ctx context.Context, cfg aws.Config) error {
			return dynamodb.New(cfg, "customers").Add(ctx, kit.Invited("acme", kit.Acme))
		})
	})
}

func TestAnswersThatAreNoAnswers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer string
		want   error
	}{
		{"keys left over", `{"Responses":{},"UnprocessedKeys":{"customers":{"Keys":[{"kind":{"S":"customer"},"key":{"S":"acme"}}]}}}`, grant.ErrThrottled},
		{"nothing there", `{"Responses":{"customers":[]},"UnprocessedKeys":{}}`, customers.ErrUnknown},
	} {
		_, _, err := dynamodb.New(awstest.New(t, awstest.JSON(tc.answer)).Config(), "customers").Load(t.Context(), "acme")
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	broken := `{"Responses":{"customers":[{"kind":{"S":"customer"},"key":{"S":"acme"},"invited":{"S":"yesterday"}}]}}`
	if _, _, err := dynamodb.New(awstest.New(t, awstest.JSON(broken)).Config(), "customers").Load(t.Context(), "acme"); err == nil {
		t.Error("a time that is none is read")
	}
}

// A row is complete: whatever an entry holds comes back.
func TestARowHoldsAllOfAnEntry(t *testing.T) {
	_, cfg := newTable(t)
	r := dynamodb.New(cfg, "customers")
	e := customers.Entry{
		Name: "old", Account: kit.Acme, Kind: customers.KindStatic, StaticSecretARN: kit.Secret("111122223333", "old"), Teams: []string{"blue"},
		Offered: customers.Binding{Account: kit.Acme, RoleARN: kit.Role(kit.Acme, "Vendor")}, Invited: kit.Noon, Decided: kit.Noon, By: "ann",
	}
	if err := r.Add(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	got, _, err := r.Load(t.Context(), "old")
	got.Revision = 0
	if diff := cmp.Diff(e, got); diff != "" || err != nil {
		t.Errorf("%v (-written +read):\n%s", err, diff)
	}
}
