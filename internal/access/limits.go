package access

import (
	"cmp"
	"fmt"

	"github.com/countersign/countersign/internal/trust"
)

// checkSizes holds one grant to the quotas of what is made from it.
func (r *reader) checkSizes(e Entry, at grantPlace, principals value) {
	if size := e.planSize(); size > MaxPlan {
		where := at.notify
		if !where.present() {
			where = at.name
		}
		r.errorf(where, "an SSM parameter holds no more", fmt.Sprintf("save %s bytes: fewer destinations or principals", thousands(size-MaxPlan)),
			"the plan of %s takes %s bytes; the limit is %s", e.Grant.Name, thousands(size), thousands(MaxPlan))
	}
	if e.Grant.Adopted { // only the live document tells: adopt measures it
		return
	}
	quota := cmp.Or(e.quota, trust.DefaultQuota)
	size, err := e.trustSize(partitionOf(e.Provider))
	where := principals
	if !where.present() {
		where = at.name
	}
	if err != nil {
		r.errorf(where, "", "", "the trust policy of %s can't be built: %s", e.Grant.Name, err)
		return
	}
	if size > quota {
		r.errorf(where, fmt.Sprintf("while two IDs are valid and the grant is closed: %s characters", thousands(size)),
			fmt.Sprintf("save %s: fewer or shorter principals; or raise AWS's quota and set trustPolicyQuota", thousands(size-quota)),
			"the trust policy of %s would not fit into %s characters", e.Grant.Name, thousands(quota))
	}
}

// partitionOf is the partition that the provider's principals name, AWS's commercial one where none does.
func partitionOf(p *Provider) string {
	for _, s := range p.Principals {
		if m := principalARN.FindStringSubmatch(s); m != nil {
			return m[1]
		}
	}
	return "aws"
}

// checkShards holds each stack to what fits into one.
func (r *reader) checkShards(shards, providers value, a *Access) {
	where := shards
	if !where.present() {
		where = providers
		where.field = "shards"
	}
	entries := a.Entries()
	for shard := range a.Shards {
		n, env := len(a.Shard(shard)), len(a.GrantsEnv(shard))
		if n <= MaxGrantsPerShard && env <= MaxGrantsEnv {
			continue
		}
		why := fmt.Sprintf("stack %d of %d would hold %d", shard+1, a.Shards, n)
		message := fmt.Sprintf("too many grants: a stack holds %d", MaxGrantsPerShard)
		if n <= MaxGrantsPerShard {
			why = fmt.Sprintf("stack %d of %d has %s characters of them", shard+1, a.Shards, thousands(env))
			message = fmt.Sprintf("grants and role names are too long together: a function's environment takes %s characters", thousands(MaxGrantsEnv))
		}
		fix := "shorter role names, or none"
		if need := shardsNeeded(entries, a.Shards+1); need > 0 {
			fix = fmt.Sprintf("shards: %d", need)
			if a.Shards > 1 {
				fix += fmt.Sprintf(", and reshardedFrom: %d if this is deployed already", a.Shards)
			}
		}
		r.errorf(where, why, fix, "%s", message)
		return
	}
}

// shardsNeeded is the smallest number of stacks, from the given one on, that takes all grants; 0 if none does.
func shardsNeeded(entries []Entry, from int) int {
	for n := from; n <= MaxShards; n++ {
		stacks := make([][]Entry, n)
		for _, e := range entries {
			k := ShardOf(e.Grant.Name, n)
			stacks[k] = append(stacks[k], e)
		}
		fits := true
		for _, s := range stacks {
			fits = fits && len(s) <= MaxGrantsPerShard && len(grantsEnv(s)) <= MaxGrantsEnv
		}
		if fits {
			return n
		}
	}
	return 0
}
