// Package access reads access.yaml: who may enter, as what, for how long, and who is told.
//
// It decides whether the file can be deployed, and says everything that is wrong with it at once, with line, column and
// fix. It trusts nothing in the file and nothing in the policy files that it names; those lie beside it or below. It
// calls no AWS service, and it never sees an external ID: none may stand in the file, and a value where one was tried
// is not printed.
package access

import (
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/grant"
)

// The limits that the file is held to, so that a deploy doesn't fail on them.
const (
	MaxGrantsPerShard = 40   // statements of the functions' policies, environment, key policy
	MaxShards         = 50   // stacks
	MaxPlan           = 4096 // bytes of a standard SSM parameter
	MaxGrantsEnv      = 3072 // characters of COUNTERSIGN_GRANTS; a function's whole environment holds 4 KB
	MaxPolicies       = 9    // managed policies of a role: AWS's default quota, less the one of Countersign's that reads the external ID
	MaxPolicyFile     = 6144 // characters of a managed policy, white space aside
	maxFile           = 1 << 20
)

// Access is the whole file, valid and with the defaults filled in.
type Access struct {
	File      string   // name it was read from
	Operators []string // ARNs of the account's principals that may operate; empty: the account's own, outside the granted roles
	MailFrom  string   // SES sender; empty: no mail
	Alarms    []string // ARNs of the topics that alarms tell; empty: those of the grants, see AlarmTopics
	Quota     int      // of trust policies, in characters; zero: AWS's default
	Shards    int      // stacks that the grants are spread over, at least 1
	// ReshardedFrom is the number of shards that was deployed before, where it changes; zero: it does not.
	ReshardedFrom int
	RemoveRevoked []grant.Name // grants that a deploy may remove although they are revoked; none of them is in the file
	Providers     []Provider
	Warnings      []Problem // what can be deployed and should be looked at
}

// Provider is a third party with its AWS account.
type Provider struct {
	Name         string
	Account      string   // 12 digits
	Principals   []string // ARNs or patterns as written; empty: everybody whom that account lets
	Organization string   // o-…; empty: no condition
	Prefix       string   // issued by the provider, in front of each external ID; may be empty
	Bus          string   // ARN of an event bus of the provider's, to which events on its grants are forwarded; may be empty
	Grants       []Grant
}

// Grant is one role that a provider may enter.
type Grant struct {
	Name              grant.Name
	Permissions       []Permission
	Boundary          string // ARN of a permissions boundary; may be empty
	RoleName          string // without path
	RolePath          string // "/" or "/…/"
	Adopted           bool   // the role was there before Countersign, and what it may do is its owner's
	ExternalID        bool
	IssuedBy          grant.Issuer  // of external IDs
	RotateEvery       Every         // Never where ExternalID is false
	Overlap           time.Duration // zero where ExternalID is false
	WhenUnconfirmed   grant.Unconfirmed
	ProviderMay       []grant.ProviderAct // nothing where ExternalID is false
	MaxSession        time.Duration       // 1 to 12 hours
	Expires           time.Time           // UTC, to the second; zero: no end
	SourceIdentity    bool
	MayShareResources bool
	MayAssumeRoles    []string // role ARNs
	PickUp            PickUp   // neither where ExternalID is false
	Notify            grant.Notify
}

// PickUp is how the provider reads the external ID from its secret.
type PickUp struct {
	Session bool // in a session of the granted role, which may read its own grant's secret
	Account bool // from the provider's account, by whom may enter
}

// Lets says whether sessions of the role may ask for an act.
func (g *Grant) Lets(act grant.ProviderAct) bool { return slices.Contains(g.ProviderMay, act) }

// Permission is one policy of a granted role: exactly one of Managed, ARN and File is set.
type Permission struct {
	Managed  string // AWS managed policy: its name with its path, as "job-function/ViewOnlyAccess"
	ARN      string // a policy by ARN
	File     string // path as written, from the folder of access.yaml
	Document []byte // content of File: a valid policy, as it stands there
}

// String is the permission as written.
func (p Permission) String() string { return p.Managed + p.ARN + p.File }

// PolicyARN is the ARN of a managed policy, "" for a file.
func (p Permission) PolicyARN(partition string) string {
	if p.Managed != "" {
		return "arn:" + partition + ":iam::aws:policy/" + p.Managed
	}
	return p.ARN
}

// Load reads and validates a file as of now. The error is *Problems if the file was read and is wrong.
func Load(name string) (*Access, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return Parse(name, src, os.DirFS(filepath.Dir(name)), time.Now())
}

// Entry is a grant with its provider and the stack that it lies in.
type Entry struct {
	Provider *Provider
	Grant    *Grant
	Shard    int // 0 for the first stack
	quota    int
}

// Entries are all grants in the file's order.
func (a *Access) Entries() []Entry {
	var out []Entry
	for i := range a.Providers {
		p := &a.Providers[i]
		for j := range p.Grants {
			g := &p.Grants[j]
			out = append(out, Entry{Provider: p, Grant: g, Shard: ShardOf(g.Name, a.Shards), quota: a.Quota})
		}
	}
	return out
}

// Shard is the grants of one stack, in the file's order.
func (a *Access) Shard(shard int) []Entry {
	var out []Entry
	for _, e := range a.Entries() {
		if e.Shard == shard {
			out = append(out, e)
		}
	}
	return out
}

// Find is the grant of that name.
func (a *Access) Find(name grant.Name) (Entry, bool) {
	for _, e := range a.Entries() {
		if e.Grant.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// ShardOf is the stack that a grant lies in, counted from 0: FNV-1a of its name, so that adding a grant moves no other.
func ShardOf(name grant.Name, shards int) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % uint32(max(shards, 1)))
}

// StackName is the name of a shard's stack: the base itself, then base-2, base-3 and on.
func StackName(base string, shard int) string {
	if shard == 0 {
		return base
	}
	return fmt.Sprintf("%s-%d", base, shard+1)
}

// GrantsEnv is the list of a shard's grants as the functions read it from COUNTERSIGN_GRANTS: the grant's name, and its
// role's where that isn't the default.
func (a *Access) GrantsEnv(shard int) string { return grantsEnv(a.Shard(shard)) }

func grantsEnv(entries []Entry) string {
	var items []string
	for _, e := range entries {
		item := string(e.Grant.Name)
		if e.Grant.RoleName != e.Grant.Name.DefaultRole() {
			item += "=" + e.Grant.RoleName
		}
		items = append(items, item)
	}
	return strings.Join(items, ",")
}

// cleanFile is a policy file's path as fs.FS wants it; ok is false where it leaves the folder.
func cleanFile(name string) (string, bool) {
	clean := path.Clean(filepath.ToSlash(name))
	return clean, !path.IsAbs(clean) && clean != ".." && !strings.HasPrefix(clean, "../")
}
