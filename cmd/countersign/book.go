package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/dynamodb"
	"github.com/countersign/countersign/internal/customers"
)

// freshCopy is how old a copy of the registry may be that lists and completions show. An entry always reads its own row anew.
const freshCopy = 5 * time.Minute

// book is the registry with a copy of it on this machine, for what needs no network: lists, parts of names, completion. The copy
// holds what the registry holds: no external ID.
type book struct {
	customers.Reader // nil: the copy is all there is
	copied           string
	now              func() time.Time
	copy             *page // once it was read
}

// openBook is the registry that is named, or configured.
func (c *cli) openBook(cfg aws.Config, named string) *book {
	b := c.closedBook(named)
	if b.Reader == nil {
		b.Reader = dynamodb.New(cfg, c.registryName(named))
	}
	return b
}

func (c *cli) registryName(named string) string {
	return cmp.Or(named, c.env("COUNTERSIGN_CUSTOMERS"), defaultTable)
}

// closedBook is what needs no credentials: the copy, and a registry that is a file.
func (c *cli) closedBook(named string) *book {
	named = c.registryName(named)
	b := &book{now: c.now}
	if strings.HasSuffix(named, ".json") {
		b.Reader = customersFile(named)
		if full, err := filepath.Abs(named); err == nil {
			named = full
		}
	}
	if cache, err := os.UserCacheDir(); err == nil {
		b.copied = filepath.Join(cache, "countersign", fmt.Sprintf("customers-%x", sha256.Sum256([]byte(named)))[:42])
	}
	return b
}

// Rows are all customers, and as of when: of the copy if it is fresh, or else, and with anew, of the registry.
func (b *book) Rows(ctx context.Context, anew bool) (rows []customers.Customer, at time.Time, err error) {
	rows, at = b.read()
	if b.Reader == nil {
		if rows == nil {
			return nil, at, fmt.Errorf("there is no copy of the registry on this machine")
		}
		return rows, at, nil
	}
	if file, ok := b.Reader.(customersFile); ok {
		info, err := os.Stat(string(file))
		anew = anew || err != nil || info.ModTime().After(at)
	}
	if !anew && rows != nil && b.now().Sub(at) < freshCopy {
		return rows, at, nil
	}
	now, err := b.All(ctx)
	if err != nil {
		return rows, at, err
	}
	b.write(now)
	return now, b.now(), nil
}

// page is the form of the copy.
type page struct {
	At   time.Time
	Rows []customers.Customer
}

func (b *book) read() ([]customers.Customer, time.Time) {
	if b.copy != nil {
		return b.copy.Rows, b.copy.At
	}
	file, err := os.Open(b.copied)
	if err != nil {
		return nil, time.Time{}
	}
	defer file.Close() //nolint:errcheck // it was read
	var p page
	if gob.NewDecoder(file).Decode(&p) != nil {
		return nil, time.Time{}
	}
	b.copy = &p
	return p.Rows, p.At
}

// write keeps a copy. Nothing depends on it: a machine that keeps none is slower.
func (b *book) write(rows []customers.Customer) {
	var copied bytes.Buffer
	if b.copied == "" || gob.NewEncoder(&copied).Encode(page{b.now(), rows}) != nil || os.MkdirAll(filepath.Dir(b.copied), 0o700) != nil {
		return
	}
	_ = replaceFile(b.copied, copied.Bytes(), 0o600)
}

// customersFile is a registry in a file: what countersign customers export writes, and what package provider and the sandbox keep.
// A customer in it counts as accepted unless it says otherwise.
type customersFile string

func (f customersFile) All(context.Context) ([]customers.Customer, error) {
	src, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("reading customers: %w", err)
	}
	var in struct{ Customers []customers.Customer }
	if err := json.Unmarshal(src, &in); err != nil {
		if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) { // its text may quote a value
			return nil, fmt.Errorf("reading customers of %s: %s has another type", string(f), wrong.Field)
		}
		return nil, fmt.Errorf("reading customers of %s: %w", string(f), err)
	}
	for i := range in.Customers {
		c := &in.Customers[i]
		if err := customers.CheckName(c.Name); err != nil {
			return nil, fmt.Errorf("reading customers of %s: %w", string(f), err)
		}
		c.State, c.Kind = cmp.Or(c.State, customers.StateAccepted), cmp.Or(c.Kind, customers.KindCountersign)
	}
	slices.SortFunc(in.Customers, func(a, b customers.Customer) int { return strings.Compare(a.Name, b.Name) })
	return in.Customers, nil
}

func (f customersFile) Get(ctx context.Context, name string) (customers.Customer, error) {
	all, err := f.All(ctx)
	if err != nil {
		return customers.Customer{}, err
	}
	names := make([]string, len(all))
	for i, c := range all {
		if names[i] = c.Name; c.Name == name {
			return c, nil
		}
	}
	return customers.Customer{}, customers.Unknown(name, names)
}
