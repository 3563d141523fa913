package upgrade

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// verb is what CloudFormation does to a resource.
type verb string

const (
	changes verb = "changes" // in place
	makes   verb = "makes"
	deletes verb = "deletes" // behind the update
)

// effect is what a deploy does to one resource.
type effect struct {
	verb       verb
	id         string
	what       string // in words, see part
	properties []string
}

// difference is what CloudFormation does between two templates. A replaced resource is made and deleted.
func difference(t *testing.T, before, after *infratest.Template) (out []effect) {
	t.Helper()
	for _, id := range slices.Sorted(maps.Keys(before.Resources)) {
		old := before.Resources[id]
		now, stays := after.Resources[id]
		if !stays {
			out = append(out, effect{deletes, id, part(before, old), nil})
			continue
		}
		var properties []string
		anew := old.Type != now.Type
		for _, p := range slices.Sorted(maps.Keys(union(old.Properties, now.Properties))) {
			if reflect.DeepEqual(old.Properties[p], now.Properties[p]) {
				continue
			}
			properties = append(properties, p)
			says, known := behaviours[now.Type][p]
			if !known {
				t.Errorf("%s changes %s of a %s, and what CloudFormation does then stands nowhere here", id, p, now.Type)
			}
			anew = anew || says == replaced
		}
		switch {
		case anew:
			out = append(out, effect{makes, id, part(after, now), properties}, effect{deletes, id, part(before, old), properties})
		case len(properties) > 0:
			out = append(out, effect{changes, id, part(after, now), properties})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(after.Resources)) {
		if _, was := before.Resources[id]; !was {
			out = append(out, effect{makes, id, part(after, after.Resources[id]), nil})
		}
	}
	return out
}

func union(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// sampleGrant is the grant as the one-click template's logical ids name it, whatever its name is.
const sampleGrant = grant.Name("the-grant")

// part names a resource by what it is: a grant's own parts by the grant, the others by their kind.
func part(t *infratest.Template, r infratest.Resource) string {
	for _, g := range append(names(t), sampleGrant) {
		if !strings.HasPrefix(r.ID, "ServiceProviderAccess"+access.Logical(g)) {
			continue
		}
		switch r.Type {
		case "AWS::IAM::Role":
			return "role"
		case "AWS::IAM::Policy":
			return "`" + t.Text(r.Properties["PolicyName"]) + "`"
		case "AWS::IAM::ManagedPolicy":
			return "policy from a file"
		case "AWS::SSM::Parameter":
			return "plan"
		case "AWS::SecretsManager::Secret":
			return "secret"
		case "AWS::SecretsManager::ResourcePolicy":
			return "secret's policy"
		case "AWS::SecretsManager::RotationSchedule":
			return "schedule"
		}
		return r.Type
	}
	switch r.Type {
	case "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy":
		switch {
		case strings.Contains(r.ID, "PickUp"):
			return "permission to read one's ID"
		case strings.Contains(r.ID, "Forward"):
			return "permission to forward events"
		}
		return "functions' permissions"
	case "AWS::Lambda::Function":
		return "functions"
	case "AWS::Lambda::Version":
		return "functions' versions"
	case "AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping":
		return "who invokes functions"
	case "AWS::KMS::Key":
		return "key's policy"
	case "AWS::ApiGateway::RestApi":
		return "API's policy"
	case "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::ApiGateway::Method":
		return "API's deployment"
	case "AWS::Events::EventBusPolicy", "AWS::SQS::QueuePolicy":
		return "policies of bus and queues"
	case "AWS::Events::Rule":
		return "rules of the bus"
	case "AWS::CloudWatch::Alarm":
		return "alarms"
	}
	return r.Type
}

// names are the grants of a template, the longest first.
func names(t *infratest.Template) (out []grant.Name) {
	for _, r := range t.Resources {
		if r.Type == "Custom::Grant" {
			out = append(out, grant.Name(t.Text(r.Properties["Grant"])))
		}
	}
	slices.SortFunc(out, func(a, b grant.Name) int { return len(b) - len(a) })
	return out
}

// words tells effects for people: changes first, then what is made and what is deleted.
func words(effects []effect) string {
	var out []string
	for _, v := range []verb{changes, makes, deletes} {
		properties := map[string]map[string]bool{}
		for _, e := range effects {
			if e.verb != v {
				continue
			}
			if properties[e.what] == nil {
				properties[e.what] = map[string]bool{}
			}
			for _, p := range e.properties {
				properties[e.what][p] = true
			}
		}
		var parts []string
		for _, what := range slices.Sorted(maps.Keys(properties)) {
			text := what
			if what == "role" && v == changes {
				text += fmt.Sprintf(" (%s)", strings.Join(slices.Sorted(maps.Keys(properties[what])), ", "))
			}
			parts = append(parts, text)
		}
		if len(parts) > 0 {
			out = append(out, string(v)+" "+strings.Join(parts, ", "))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, "; ")
}
