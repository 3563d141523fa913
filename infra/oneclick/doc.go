// Package oneclick makes the CloudFormation template that customers deploy from a link: the stack of package infra for one
// grant, with parameters in the place of an access.yaml.
//
// There is one source. The template is not written, it is worked out: the same construct is synthesised for an access.yaml in
// which every field has a sample value, and again without each field that may be left out. Where the results differ stands
// a condition, where a sample stands comes its parameter. So what changes in package infra changes here too.
//
// Customers makes the template for a provider's own account from its construct in the same way. It has no parameters.
//
// It trusts the release that it is told: the bucket and the sums of the archives. It needs no bootstrap, takes no bucket as
// a parameter, and has no default account.
package oneclick
