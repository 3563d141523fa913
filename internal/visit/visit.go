// Package visit is what a shell has while somebody is in a customer's account: a private directory with an AWS configuration whose
// credentials come from the program that opened the shell, and that program's door, a socket in the directory.
//
// The provider's own credentials stay in that program. Who is in the shell gets the customer's, renewed before they end, and may
// ask the door for another customer's, which it opens from the provider's side again; no customer's session ever opens another.
//
// It trusts the processes of its own user, as ~/.aws does. It never writes a credential to a disk.
package visit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/entry"
)

// Variable is the environment's variable that names the directory of the visit that a shell is in.
const Variable = "COUNTERSIGN_VISIT"

// ErrNone says that this is no shell of a visit.
var ErrNone = errors.New("this shell is in no customer's account")

// Dir is the private directory of a visit.
type Dir struct{ Path string }

// NewDir makes one; only this user can look into it. base is where, empty: where the system keeps what ends with it.
func NewDir(base string) (Dir, error) {
	path, err := os.MkdirTemp(base, "countersign-")
	if err != nil {
		return Dir{}, fmt.Errorf("making the shell's directory: %w", err)
	}
	return Dir{path}, nil
}

// Remove ends it.
func (d Dir) Remove() error { return os.RemoveAll(d.Path) }

func (d Dir) facts() string { return filepath.Join(d.Path, "visit.json") }

// Socket is where the door is.
func (d Dir) Socket() string { return filepath.Join(d.Path, "door") }

// Config is the AWS configuration: one profile, whose credentials come from program.
func (d Dir) Config() string { return filepath.Join(d.Path, "config") }

// write replaces a file in one step.
func (d Dir) write(path string, content []byte) error {
	tmp, err := os.CreateTemp(d.Path, ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), path)
}

// Note writes down how things stand, for prompt and whoami.
func (d Dir) Note(v entry.Visit) error {
	out, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return d.write(d.facts(), out)
}

// Facts are what was noted last. ErrNone: there is no such visit, or it has ended.
func (d Dir) Facts() (entry.Visit, error) {
	if d.Path == "" {
		return entry.Visit{}, ErrNone
	}
	src, err := os.ReadFile(d.facts())
	if errors.Is(err, fs.ErrNotExist) {
		return entry.Visit{}, ErrNone
	}
	if err != nil {
		return entry.Visit{}, err
	}
	var v entry.Visit
	if err := json.Unmarshal(src, &v); err != nil {
		return v, fmt.Errorf("%s can't be read", d.facts())
	}
	return v, nil
}

// Configure writes the AWS configuration. command is the program with its arguments that prints the credentials.
func (d Dir) Configure(region string, command ...string) error {
	quoted := make([]string, len(command))
	for i, word := range command {
		if strings.ContainsAny(word, "\"\n\r") {
			return fmt.Errorf("%q can't stand in AWS's configuration", word)
		}
		quoted[i] = word
		if strings.ContainsAny(word, " \t'\\") {
			quoted[i] = `"` + word + `"`
		}
	}
	out := "[default]\ncredential_process = " + strings.Join(quoted, " ") + "\n"
	if region != "" {
		out += "region = " + region + "\n"
	}
	return errors.Join(d.write(d.Config(), []byte(out)), d.write(filepath.Join(d.Path, "credentials"), nil))
}

// Kept are variables of AWS's that say nothing of who somebody is; one that ends in an underscore stands for all that begin so.
var Kept = []string{
	"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_CA_BUNDLE", "AWS_USE_", "AWS_PAGER", "AWS_CLI_",
	"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_DEFAULT_OUTPUT",
}

// Environment is a shell's environment: the one that it inherits without anything of AWS's, and with what leads to the visit.
func (d Dir) Environment(inherited []string, region string) []string {
	var out []string
	for _, set := range inherited {
		if name, _, _ := strings.Cut(set, "="); inherits(name) {
			out = append(out, set)
		}
	}
	return append(out, d.Variables(region)...)
}

// Variables lead to the visit.
func (d Dir) Variables(region string) []string {
	out := []string{
		Variable + "=" + d.Path, "AWS_CONFIG_FILE=" + d.Config(), "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(d.Path, "credentials"),
		"AWS_SDK_LOAD_CONFIG=1", "AWS_EC2_METADATA_DISABLED=true",
	}
	if region != "" {
		out = append(out, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
	}
	return out
}

func inherits(name string) bool {
	upper := strings.ToUpper(name) // Windows knows no case
	switch {
	case upper == Variable, upper == "AMAZON_ACCESS_KEY_ID", upper == "AMAZON_SECRET_ACCESS_KEY", upper == "BOTO_CONFIG":
		return false
	case !strings.HasPrefix(upper, "AWS_"):
		return true
	}
	return slices.ContainsFunc(Kept, func(k string) bool {
		return upper == k || strings.HasSuffix(k, "_") && strings.HasPrefix(upper, k)
	})
}

// Line is what a prompt says: CUSTOMER, who, the account shortened, the time left. It has nothing that a shell expands.
func Line(v entry.Visit, now time.Time) string {
	parts := []string{"CUSTOMER"}
	if v.Customer != "" {
		parts = append(parts, v.Customer)
	}
	return strings.Join(append(parts, Short(v.Account), Left(v.Expires, now)), " ")
}

// Short is an account that a person recognises in a prompt.
func Short(account string) string {
	if len(account) != 12 {
		return "?"
	}
	return account[:4] + "…" + account[8:]
}

// Left is how long credentials still last.
func Left(expires, now time.Time) string {
	switch left := expires.Sub(now); {
	case left <= 0:
		return "ended"
	case left < time.Minute:
		return "under 1m"
	case left >= 10*time.Hour:
		return fmt.Sprintf("%dh", int(left.Hours()))
	case left >= time.Hour:
		return fmt.Sprintf("%dh%02dm", int(left.Hours()), int(left.Minutes())%60)
	default:
		return fmt.Sprintf("%dm", int(left.Minutes()))
	}
}
