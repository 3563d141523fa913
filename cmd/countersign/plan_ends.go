package main

import (
	"cmp"
	"strings"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// goes is a grant that access.yaml doesn't name any more. One that is revoked goes only where access.yaml says so, or with a role that
// stays, as an adopted one does.
func goes(s standing, forced bool) change {
	c := changeOf(removed, s.plan)
	c.Deletes = append(endOfRole(s.plan), endOfSecret(s.plan)...)
	c.Revoked = s.closed
	switch {
	case s.closed && s.plan.Adopted:
		c.Notes = append(c.Notes, "its role is adopted, stays, and stays closed for everybody")
	case s.closed && forced:
		c.Notes = append(c.Notes, "it is revoked, and what says so goes with it: a grant of that name would open again")
	case s.closed:
		c.Problem = "it is revoked, and the deploy is refused: a grant of that name would open again. Put it back, or say removeRevoked: [" + c.Grant + "] in access.yaml"
	case s.released:
		c.Notes = append(c.Notes, "its role was given back, and stays as it is")
	default:
		c.Loses = entriesOf(s.doc)
		if s.plan.Adopted {
			c.Notes = append(c.Notes, "its role is adopted, and would be closed for everybody; to give it back as it is, before: countersign release "+c.Grant)
		}
	}
	return c
}

// first says how the provider gets the first external ID of a role that it can't enter yet.
func first(g *access.Grant) string {
	switch {
	case !g.ExternalID:
		return ""
	case g.PickUp.Account:
		return ", and reads its first external ID from its own account"
	}
	return ", and somebody has to hand it the first external ID: countersign reveal " + string(g.Name)
}

// endOfRole is what goes with a grant's role. An adopted one stays.
func endOfRole(p grant.Plan) []string {
	if p.Adopted {
		return nil
	}
	return one("role " + p.RoleName() + ", its policies and every session of it")
}

// endOfSecret is what goes with a grant's secret.
func endOfSecret(p grant.Plan) []string {
	if p.NoExternalID {
		return nil
	}
	return one("secret " + p.Grant.Secret() + " with all of its external IDs, and " + p.Provider + "'s use of the key for it")
}

// renamed says of grants that come and go what a grant's name is, and what a role's.
func renamed(changes []change) {
	for i := range changes {
		came := &changes[i]
		for _, old := range changes {
			switch {
			case came.Kind != added || old.Kind != removed:
			case strings.EqualFold(came.Role, old.Role):
				came.Problem = cmp.Or(came.Problem, "its role "+came.Role+" is grant "+old.Grant+"'s, and IAM knows a name once: the deploy fails. Give it another role, or remove "+old.Grant+" in a deploy of its own")
			case came.Provider == old.Provider:
				came.Notes = append(came.Notes, "a grant's name can't be changed: if this is "+old.Grant+" under another name, "+came.Provider+" needs the new role's ARN and secret's")
			}
		}
	}
}
