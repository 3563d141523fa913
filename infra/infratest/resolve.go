package infratest

import (
	"fmt"
	"regexp"
	"strings"
)

// Resolve gives a property's value as the account would have it.
func (t *Template) Resolve(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, 0, len(v))
		for i := range v {
			if item := t.Resolve(v[i]); item != (nothing{}) {
				out = append(out, item)
			}
		}
		return out
	case map[string]any:
		if len(v) == 1 {
			for name, arg := range v {
				if out, ok := t.intrinsic(name, arg); ok {
					return out
				}
			}
		}
		out := make(map[string]any, len(v))
		for key := range v {
			if member := t.Resolve(v[key]); member != (nothing{}) {
				out[key] = member
			}
		}
		return out
	}
	return v
}

// nothing is AWS::NoValue: what has this value is not there.
type nothing struct{}

func (t *Template) intrinsic(name string, arg any) (any, bool) {
	switch name {
	case "Ref":
		if arg == "AWS::NoValue" {
			return nothing{}, true
		}
		if value, ok := t.Values[arg.(string)]; ok {
			return value, true
		}
		return t.ref(arg.(string)), true
	case "Fn::If":
		of := arg.([]any)
		if t.Holds(of[0].(string)) {
			return t.Resolve(of[1]), true
		}
		return t.Resolve(of[2]), true
	case "Fn::Split":
		of := arg.([]any)
		var out []any
		for _, part := range strings.Split(t.Resolve(of[1]).(string), of[0].(string)) {
			out = append(out, part)
		}
		return out, true
	case "Fn::FindInMap":
		of := t.Resolve(arg).([]any)
		return t.Mappings[of[0].(string)][of[1].(string)][of[2].(string)], true
	case "Fn::GetAtt":
		of := arg.([]any)
		return t.attribute(of[0].(string), of[1].(string)), true
	case "Fn::Join":
		parts := arg.([]any)
		var out []string
		for _, p := range t.Resolve(parts[1]).([]any) {
			out = append(out, p.(string))
		}
		return strings.Join(out, parts[0].(string)), true
	case "Fn::Sub":
		out := arg.(string)
		for _, pseudo := range []string{"AWS::Partition", "AWS::AccountId", "AWS::Region", "AWS::URLSuffix", "AWS::StackName"} {
			out = strings.ReplaceAll(out, "${"+pseudo+"}", t.ref(pseudo))
		}
		out = resourceID.ReplaceAllStringFunc(out, func(id string) string {
			if value, ok := t.Values[id[2:len(id)-1]].(string); ok {
				return value
			}
			return t.ref(id[2 : len(id)-1])
		})
		return strings.ReplaceAll(out, "${!", "${"), true
	}
	return nil, false
}

// resourceID is a resource of the template in a text of Fn::Sub.
var resourceID = regexp.MustCompile(`\$\{[A-Za-z0-9]+\}`)

func (t *Template) ref(id string) string {
	switch id {
	case "AWS::Partition":
		return t.Site.Partition
	case "AWS::AccountId":
		return t.Site.Account
	case "AWS::Region":
		return t.Site.Region
	case "AWS::StackId":
		return t.arn("cloudformation", t.Site.Region, "stack/ServiceProviderAccess/00000000-5555-6666-7777-888888888888")
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::StackName":
		return "ServiceProviderAccess"
	}
	r, ok := t.Resources[id]
	if !ok {
		panic(fmt.Sprintf("Ref of %s, which the template doesn't have", id))
	}
	switch r.Type {
	case "AWS::IAM::Role":
		return t.roleName(r)
	case "AWS::IAM::ManagedPolicy":
		return t.arn("iam", "", "policy/"+id)
	case "AWS::SecretsManager::Secret":
		return t.arn("secretsmanager", t.Site.Region, "secret:"+t.Text(r.Properties["Name"])+"-AbCdEf")
	case "AWS::SQS::Queue":
		return "https://sqs." + t.Site.Region + ".amazonaws.com/" + t.Site.Account + "/" + t.Text(r.Properties["QueueName"])
	case "AWS::Events::EventBus":
		return t.Text(r.Properties["Name"])
	case "AWS::Lambda::Function":
		return t.Text(r.Properties["FunctionName"])
	case "AWS::Logs::LogGroup":
		return t.Text(r.Properties["LogGroupName"])
	case "AWS::SNS::Topic":
		return t.arn("sns", t.Site.Region, t.Text(r.Properties["TopicName"]))
	case "AWS::DynamoDB::Table":
		return t.Text(r.Properties["TableName"])
	case "AWS::SES::ConfigurationSet":
		return t.Text(r.Properties["Name"])
	case "AWS::ApiGateway::RestApi":
		return "a1b2c3d4e5"
	case "AWS::ApiGateway::Resource", "AWS::ApiGateway::Deployment":
		return "f6g7h8"
	case "AWS::IAM::Policy":
		return id
	case "AWS::Lambda::Version":
		return t.arn("lambda", t.Site.Region, "function:"+t.Text(r.Properties["FunctionName"])+":"+t.number(id))
	case "AWS::Lambda::Alias":
		return t.arn("lambda", t.Site.Region, "function:"+t.Text(r.Properties["FunctionName"])+":"+t.Text(r.Properties["Name"]))
	}
	panic(fmt.Sprintf("Ref of %s, a %s", id, r.Type))
}

func (t *Template) attribute(id, name string) string {
	r, ok := t.Resources[id]
	if !ok {
		panic(fmt.Sprintf("GetAtt of %s, which the template doesn't have", id))
	}
	region := t.Site.Region
	switch r.Type + "." + name {
	case "AWS::IAM::Role.Arn":
		path, _ := r.Properties["Path"].(string)
		if path == "" {
			path = "/"
		}
		return t.arn("iam", "", "role"+path+t.roleName(r))
	case "AWS::KMS::Key.Arn":
		return t.arn("kms", region, "key/00000000-1111-2222-3333-444444444444")
	case "AWS::Lambda::Version.Version":
		return t.number(id)
	case "AWS::Lambda::Function.Arn":
		return t.arn("lambda", region, "function:"+t.Text(r.Properties["FunctionName"]))
	case "AWS::SQS::Queue.Arn":
		return t.arn("sqs", region, t.Text(r.Properties["QueueName"]))
	case "AWS::SQS::Queue.QueueName":
		return t.Text(r.Properties["QueueName"])
	case "AWS::Events::EventBus.Arn":
		return t.arn("events", region, "event-bus/"+t.Text(r.Properties["Name"]))
	case "AWS::Events::Rule.Arn":
		bus := ""
		if on := r.Properties["EventBusName"]; on != nil {
			bus = t.Text(on) + "/"
		}
		return t.arn("events", region, "rule/"+bus+t.Text(r.Properties["Name"]))
	case "AWS::Logs::LogGroup.Arn":
		return t.arn("logs", region, "log-group:"+t.Text(r.Properties["LogGroupName"])+":*")
	case "AWS::ApiGateway::RestApi.RootResourceId":
		return "z9y8x7"
	}
	panic(fmt.Sprintf("GetAtt %s of %s, a %s", name, id, r.Type))
}

func (t *Template) arn(service, region, resource string) string {
	return "arn:" + t.Site.Partition + ":" + service + ":" + region + ":" + t.Site.Account + ":" + resource
}

// roleName is the role's own, or one as long and as odd as CloudFormation makes them.
func (t *Template) roleName(r Resource) string {
	if name := r.Properties["RoleName"]; name != nil {
		return t.Text(name)
	}
	return fmt.Sprintf("%.24s-%.26s-AbCdEfGhIjKl", "ServiceProviderAccess-50", r.ID)
}

// number is a function's version's.
func (t *Template) number(id string) string {
	if t.Republished[id] {
		return "2"
	}
	return "1"
}
