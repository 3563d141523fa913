package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Adopted roles were there before Countersign. Their external ID goes into the secret as a version of a purpose of its own,
// by an operator's call: it may have any form, and it is never asked for but where it stands in the trust policy already.
const adoptedHead = "adopted-"

// StageAdopted is the label that keeps the version of an adopted ID: what has a label AWS doesn't delete. So a trust policy
// that somebody puts back is known as one of ours even after a hundred rotations.
const StageAdopted = "COUNTERSIGNADOPTED"

// AdoptedToken is the version id of the external ID that a role had when it was adopted for the nth time, counted from 0. It
// follows from secret, role and count, so that the same again, late or twice at once, stores nothing and moves no label. It
// doesn't follow from the ID, which may be one that can be guessed.
func AdoptedToken(secretARN, roleARN string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", secretARN, roleARN, n))
	return adoptedHead + hex.EncodeToString(sum[:16])
}

// IsAdopted says whether a version holds the external ID with which a role was adopted.
func IsAdopted(versionID string) bool { return strings.HasPrefix(versionID, adoptedHead) }

// DecodeVersion is DecodeValue for a version whose id is known. The ID of an adopted role may have any form in the version
// with which it was adopted, and in no other.
func (p Plan) DecodeVersion(v Version) (ID, error) {
	if p.Adopted && IsAdopted(v.ID) {
		p.IssuedBy = IssuedByProvider
	}
	return p.DecodeValue(v.Value)
}

// ReleasedRevocation is the body of CountersignRevocation of an adopted role that was given back: it denies nothing, and from
// then on the functions leave the role alone. Only who may write the role's policies can write it.
var ReleasedRevocation = strings.Replace(OpenRevocation, "CountersignOpen", sidReleased, 1)

const sidReleased = "CountersignReleased"

// KeptClosedPolicy is the inline policy that keeps sessions out of a role that outlives its grant, adopted or made elsewhere: the
// template's own CountersignRevocation goes with the grant, and its Deny with it.
const KeptClosedPolicy = "CountersignClosed"

// Unadoptable says why a role can't be adopted whatever its trust policy says, "" where it can: others write it, or what it
// guards is ours. path begins and ends with a slash.
func Unadoptable(name, path string) string {
	switch {
	case strings.HasPrefix(path, "/aws-service-role/"), strings.HasPrefix(name, "AWSServiceRoleFor"):
		return "it is service-linked: AWS alone edits its trust policy"
	case strings.HasPrefix(path, "/aws-reserved/"), strings.HasPrefix(name, "AWSReservedSSO_"):
		return "it is IAM Identity Center's, which lets nobody edit it: take the assignment away there"
	case strings.HasPrefix(strings.ToLower(name), "cdk-"):
		return "it is CDK's, and deploys as administrator: no provider should enter it"
	case strings.HasPrefix(path, DefaultRolePath):
		return "it lies under " + DefaultRolePath + ", where Countersign's own roles are"
	}
	return ""
}

// SplitRoleARN takes the ARN of an IAM role apart. path begins and ends with a slash.
func SplitRoleARN(arn string) (partition, account, path, name string, err error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || len(parts[4]) != 12 || !strings.HasPrefix(parts[5], "role/") {
		return "", "", "", "", fmt.Errorf("not the ARN of a role: %.200q", arn)
	}
	rest := strings.TrimPrefix(parts[5], "role")
	cut := strings.LastIndexByte(rest, '/') + 1
	if name = rest[cut:]; name == "" {
		return "", "", "", "", fmt.Errorf("not the ARN of a role: %.200q", arn)
	}
	return parts[1], parts[4], rest[:cut], name, nil
}
