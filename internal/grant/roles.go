package grant

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/form"
)

// Roles are the roles of a stack's grants, by the grant's name: the one list that functions know before they read anything.
type Roles map[Name]string

var roleForm = form.New(`^[\w+=,.@-]{1,64}$`) // IAM's form of a role name

// ParseRoles reads the list that the stack puts into the functions' environment: grants separated by commas, each with
// "=" and its role's name where that isn't the default.
func ParseRoles(list string) (Roles, error) {
	roles := Roles{}
	for entry := range strings.SplitSeq(list, ",") {
		if entry == "" {
			continue
		}
		text, role, given := strings.Cut(entry, "=")
		name, err := ParseName(text)
		if err != nil {
			return nil, err
		}
		if !given {
			role = name.DefaultRole()
		}
		if !roleForm.MatchString(role) {
			return nil, fmt.Errorf("role name of grant %s: 1 to 64 letters, digits and _+=,.@-", name)
		}
		if _, twice := roles[name]; twice {
			return nil, fmt.Errorf("grant %s is listed twice", name)
		}
		roles[name] = role
	}
	return roles, nil
}

// Names are the grants in alphabetical order.
func (r Roles) Names() []Name { return slices.Sorted(maps.Keys(r)) }

// Set says of each grant that it is there.
func (r Roles) Set() map[Name]bool {
	set := make(map[Name]bool, len(r))
	for name := range r {
		set[name] = true
	}
	return set
}

// HasSession says whether an ARN is a session of one of these roles, or one of these roles itself. AWS tells role names
// apart without regard to case.
func (r Roles) HasSession(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return false
	}
	path := strings.Split(parts[5], "/")
	var role string
	switch path[0] {
	case "assumed-role":
		if len(path) < 2 {
			return false
		}
		role = path[1]
	case "role":
		role = path[len(path)-1]
	default:
		return false
	}
	for _, name := range r {
		if strings.EqualFold(name, role) {
			return true
		}
	}
	return false
}
