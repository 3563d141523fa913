package oneclick

import (
	"strings"

	"github.com/countersign/countersign/internal/access"
	"github.com/countersign/countersign/internal/grant"
)

// fill puts the parameters in the place of their samples, everywhere below a value. Text within Fn::Sub takes them as
// ${Name}; other text becomes a Fn::Sub.
func fill(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["Fn::Sub"].(string); ok && len(v) == 1 {
			return map[string]any{"Fn::Sub": substituted(text)}
		}
		out := make(map[string]any, len(v))
		for key, value := range v {
			if substituted(key) != key {
				panic("a sample is a key: " + key)
			}
			out[key] = fill(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fill(v[i])
		}
		return out
	case string:
		return filled(v)
	case float64:
		if v == sessionSample {
			return map[string]any{"Ref": "MaxSessionSeconds"}
		}
	}
	return v
}

// sessionSample is the sample of MaxSessionSeconds in seconds.
const sessionSample = (11*60 + 7) * 60

func filled(s string) any {
	if s == providerSid() {
		return "Provider" // a Sid takes no hyphens, and so no parameter
	}
	if s == stackSample {
		return map[string]any{"Ref": "AWS::StackName"}
	}
	for _, p := range sampled() {
		if s == p.sample {
			return p.value()
		}
	}
	literal := strings.ReplaceAll(s, "${", "${!")
	if out := substituted(literal); out != literal {
		return map[string]any{"Fn::Sub": out}
	}
	return s
}

// providerSid is the Sid of the provider in the key's policy.
func providerSid() string {
	return "Provider" + access.Logical(grant.Name(named()["ProviderName"].sample))
}

func substituted(s string) string {
	for _, p := range sampled() {
		if p.List && strings.Contains(s, p.sample) {
			panic("a list within a text: " + s)
		}
		s = strings.ReplaceAll(s, p.sample, "${"+p.Name+"}")
	}
	return strings.ReplaceAll(s, stackSample, "${AWS::StackName}")
}
