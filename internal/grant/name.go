// Package grant is the noun that everything turns on: one role, one external ID in one secret, a schedule, and who is told.
//
// It decides what a grant's parts are called, how its facts are coded in the plan, the secret and the tags, and whether
// they say that it is closed. It does no I/O and trusts nothing it parses.
package grant

import (
	"fmt"
	"strings"

	"github.com/countersign/countersign/internal/form"
)

// Name is the key of a grant in config, API, events, CLI, tags and reports.
type Name string

var nameForm = form.New(`^[a-z0-9][a-z0-9-]{0,39}$`)

// ParseName takes 1 to 40 lower-case letters, digits and hyphens, the first no hyphen.
func ParseName(s string) (Name, error) {
	if !nameForm.MatchString(s) {
		return "", fmt.Errorf("grant name %.60q: 1 to 40 lower-case letters, digits and hyphens, not starting with a hyphen", s)
	}
	return Name(s), nil
}

// The names by which all parts find each other.
const (
	ParameterPrefix   = "/countersign/" // plan of a grant: SSM parameter
	SecretPrefix      = "countersign/"  // its secret
	DefaultRolePath   = "/countersign/"
	DefaultRolePrefix = "ServiceProvider-"

	RevocationPolicy = "CountersignRevocation" // inline policies of every granted role
	ExpiryPolicy     = "CountersignExpiry"
	GuardPolicy      = "CountersignGuard"
)

// Parameter is the name of the SSM parameter that holds the grant's plan.
func (n Name) Parameter() string { return ParameterPrefix + string(n) }

// Secret is the name of the grant's secret.
func (n Name) Secret() string { return SecretPrefix + string(n) }

// DefaultRole is the role's name where access.yaml gives none.
func (n Name) DefaultRole() string { return DefaultRolePrefix + string(n) }

// PickUpDescription is the description of the stack's managed policy that lets a session read its own grant's secret.
const PickUpDescription = "Countersign: a provider's session reads its own grant's external ID"

// PolicyDescription is the description of the managed policy that is made from a file of access.yaml.
func PolicyDescription(file string, n Name) string {
	return "Countersign: " + file + " of grant " + string(n)
}

// PolicyFile reads the file from a PolicyDescription, "" where it is none of this grant.
func PolicyFile(description string, n Name) string {
	rest, ours := strings.CutPrefix(description, "Countersign: ")
	file, its := strings.CutSuffix(rest, " of grant "+string(n))
	if !ours || !its {
		return ""
	}
	return file
}

// NameOfSecret reads the grant's name from its secret's ARN. Secrets Manager appends a hyphen and six characters.
func NameOfSecret(arn string) (Name, error) {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[2] != "secretsmanager" || parts[5] != "secret" {
		return "", fmt.Errorf("not the ARN of a secret: %.200q", arn)
	}
	rest, ok := strings.CutPrefix(parts[6], SecretPrefix)
	if !ok || len(rest) < 8 || rest[len(rest)-7] != '-' {
		return "", fmt.Errorf("not the ARN of a grant's secret: %.200q", arn)
	}
	return ParseName(rest[:len(rest)-7])
}
