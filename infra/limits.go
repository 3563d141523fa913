package infra

import (
	"iter"
	"strings"
)

// managedPolicies is how many managed policies AWS lets a role have, unless it is asked for more.
const managedPolicies = 10

// widest are the longest values of CloudFormation's names.
var widest = strings.NewReplacer(partition, "aws-us-gov", account, "444455556666", region, "ap-southeast-2")

// width is the most characters that the object takes in a policy, quotes and comma included.
func (o object) width() int { return len(widest.Replace(o.like)) + len(`"",`) }

// chunks splits a list so that no part is wider than limit.
func chunks(list []object, limit int) iter.Seq[[]object] {
	return func(yield func([]object) bool) {
		for len(list) > 0 {
			n, used := 0, 0
			for n < len(list) && (n == 0 || used+list[n].width() <= limit) {
				used += list[n].width()
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}
