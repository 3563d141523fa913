package infra

import (
	"iter"
	"strings"

	"github.com/countersign/countersign/internal/access"
)

// widest are the longest values of CloudFormation's names.
var widest = strings.NewReplacer(partition, "aws-us-gov", account, "444455556666", region, "ap-southeast-2")

// width is the most characters that an ARN takes in a policy once CloudFormation has filled it in, quotes and comma
// included. A resource's own ARN counts as the longest one of this stack.
func (s *ServiceProviderAccess) width(resource string) int {
	const quotes = len(`"",`)
	if strings.HasPrefix(resource, "${Token[") {
		return len(widest.Replace(arn("secretsmanager", ""))) + longestName(s.entries) + quotes
	}
	return len(widest.Replace(resource)) + quotes
}

// longestName is the length of the longest resource part of a role's or a secret's ARN.
func longestName(entries []access.Entry) int {
	longest := 0
	for _, e := range entries {
		role := len("role") + len(e.Grant.RolePath) + len(e.Grant.RoleName)
		secret := len("secret:") + len(e.Grant.Name.Secret()) + len("-AbCdEf")
		longest = max(longest, role, secret)
	}
	return longest
}

// chunks splits a list so that no part is wider than limit.
func chunks(list []string, limit int, width func(string) int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for len(list) > 0 {
			n, used := 0, 0
			for n < len(list) && (n == 0 || used+width(list[n]) <= limit) {
				used += width(list[n])
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}
