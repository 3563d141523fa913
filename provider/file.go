package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// File is a Store in a JSON file that also holds what was accepted, for a command line or a single process. It is written whole
// and readable by its owner only. Several processes must not write it at once.
//
//	{"customers": [{"name": "acme", "account": "444455556666", "roleArn": "…", "grant": "migration", "prefix": "hestio",
//	  "externalId": "…"}]}
type File struct {
	path string
	mu   sync.Mutex
}

// OpenFile is the Store at a path. The file need not exist yet.
func OpenFile(path string) *File { return &File{path: path} }

// row is a customer in the file.
type row struct {
	Customer
	ExternalID string    `json:"externalId,omitempty"`
	PreviousID string    `json:"previousId,omitempty"`
	VersionID  string    `json:"versionId,omitempty"`
	Created    time.Time `json:"created,omitzero"`
	Confirmed  string    `json:"confirmed,omitempty"`
	Checked    time.Time `json:"checked,omitzero"`
	FoundARN   string    `json:"foundSecretArn,omitempty"`
	FoundURL   string    `json:"foundConfirmUrl,omitempty"`
	Revision   int64     `json:"revision,omitempty"`
}

type document struct {
	Customers []row `json:"customers"`
}

// Customer is what was accepted of a customer.
func (f *File) Customer(name string) (Customer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.read()
	if err != nil {
		return Customer{}, err
	}
	r, err := d.find(name)
	if err != nil {
		return Customer{}, err
	}
	return r.Customer, r.Validate()
}

// Load gives the state.
func (f *File) Load(_ context.Context, customer string) (State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.read()
	if err != nil {
		return State{}, err
	}
	r, err := d.find(customer)
	if err != nil {
		return State{}, err
	}
	return r.state()
}

func (r *row) state() (s State, err error) {
	s = State{
		VersionID: r.VersionID, Created: r.Created, Confirmed: r.Confirmed, Checked: r.Checked,
		SecretARN: r.FoundARN, ConfirmURL: r.FoundURL, Revision: r.Revision,
	}
	if r.ExternalID != "" {
		if s.ID, err = ParseExternalID(r.ExternalID); err != nil {
			return s, fmt.Errorf("customer %s: externalId: %w", r.Name, err)
		}
	}
	if r.PreviousID != "" {
		if s.Previous, err = ParseExternalID(r.PreviousID); err != nil {
			return s, fmt.Errorf("customer %s: previousId: %w", r.Name, err)
		}
	}
	return s, nil
}

// Save replaces the state of a customer that stands in the file.
func (f *File) Save(_ context.Context, customer string, s State) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.read()
	if err != nil {
		return err
	}
	r, err := d.find(customer)
	if err != nil {
		return err
	}
	if r.Revision != s.Revision {
		return ErrChanged
	}
	*r = row{
		Customer: r.Customer, ExternalID: s.ID.Reveal(), PreviousID: s.Previous.Reveal(), VersionID: s.VersionID, Created: s.Created,
		Confirmed: s.Confirmed, Checked: s.Checked, FoundARN: s.SecretARN, FoundURL: s.ConfirmURL, Revision: s.Revision + 1,
	}
	return f.write(d)
}

// Accept adds a customer, or replaces what was accepted of it, with the external ID to begin with.
func (f *File) Accept(c Customer, id ExternalID) error {
	if err := c.Validate(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := d.find(c.Name)
	if err != nil {
		d.Customers = append(d.Customers, row{})
		r = &d.Customers[len(d.Customers)-1]
	}
	*r = row{Customer: c, ExternalID: id.Reveal(), Revision: r.Revision + 1}
	return f.write(d)
}

func (d *document) find(name string) (*row, error) {
	for i := range d.Customers {
		if d.Customers[i].Name == name {
			return &d.Customers[i], nil
		}
	}
	return nil, fmt.Errorf("customer %.60q: %w", name, ErrUnknown)
}

func (f *File) read() (*document, error) {
	src, err := os.ReadFile(f.path)
	if err != nil {
		return &document{}, fmt.Errorf("reading customers: %w", err)
	}
	var d document
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return &d, fmt.Errorf("reading customers of %s: %w", f.path, withoutValue(err))
	}
	return &d, nil
}

// withoutValue is an error of encoding/json that can't quote a value of the file.
func withoutValue(err error) error {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("%s has another type", wrong.Field)
	}
	return err
}

// write puts the new file in the old one's place.
func (f *File) write(d *document) error {
	out, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("writing customers: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), ".customers-*") // readable by its owner only
	if err != nil {
		return fmt.Errorf("writing customers: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(append(out, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("writing customers: %w", err)
	}
	if err := os.Rename(tmp.Name(), f.path); err != nil {
		return fmt.Errorf("writing customers: %w", err)
	}
	return nil
}
