// Package sandbox is a customer's account over HTTP on this machine, for a provider's own tests: AWS STS, Secrets Manager,
// IAM's ListRoleTags and Countersign's API in AWS's wire formats, so that any AWS SDK works with AWS_ENDPOINT_URL.
//
// Behind it are the embedded AWS of package sim and Countersign's own functions: rotations, confirmations and refusals are theirs,
// the trust policy decides who gets in, and IAM's lag is as asked for. It decides nothing of its own but who a request is from.
// Requests of sessions must carry a valid signature of AWS's version 4. Whatever other credentials a request is signed with, it
// comes from the provider's principal; with an access key that begins with STRANGER from somebody else's account, with OPERATOR
// from the customer's operator. It never listens beyond this machine by itself.
package sandbox
