// Package upgrade holds what a deploy does to a live stack: one of a changed access.yaml, field by field, one of another version
// of Countersign, and the stack's deletion. CloudFormation's part is read from synthesised templates and CloudFormation's
// documented behaviour; what becomes of who gets in is tried on the embedded AWS, with those very templates. It is tests alone.
package upgrade
