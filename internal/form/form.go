// Package form has the forms that names, numbers and ARNs are held to: regular expressions that are compiled when the first text is
// held to them. A command that ends at once, and a function that starts cold, compile only those that they need.
package form

import (
	"regexp"
	"sync"
)

// Form is a regular expression.
type Form struct{ compiled func() *regexp.Regexp }

// New is the form of a pattern, which must be a valid one: the first use panics otherwise.
func New(pattern string) Form {
	return Form{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })}
}

// MatchString is Regexp's.
func (f Form) MatchString(s string) bool { return f.compiled().MatchString(s) }

// FindStringSubmatch is Regexp's.
func (f Form) FindStringSubmatch(s string) []string { return f.compiled().FindStringSubmatch(s) }

// FindStringSubmatchIndex is Regexp's.
func (f Form) FindStringSubmatchIndex(s string) []int { return f.compiled().FindStringSubmatchIndex(s) }
