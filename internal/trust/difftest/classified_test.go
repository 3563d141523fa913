package difftest

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/trust"
)

// difference is one way in which the simulator reads a document otherwise than AWS's documentation. read writes out the
// document as the simulator takes it; Evaluate must then give the simulator's answer.
type difference struct {
	name   string
	source string // why this project's reading is AWS's
	read   func(p pair) string
}

const (
	guide     = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	variables = guide + "reference_policies_variables.html"
	operation = guide + "reference_policies_elements_condition_operators.html"
)

var differences = []difference{
	{
		name:   "policy variables before 2012-10-17",
		source: variables + ": without that Version, variables are literal strings",
		read: func(p pair) string {
			if !strings.Contains(p.document, `"Version"`) {
				return `{"Version":"2012-10-17",` + p.document[1:]
			}
			return strings.Replace(p.document, `"Version":"2008-10-17"`, `"Version":"2012-10-17"`, 1)
		},
	},
	{
		name: "variables without a value in negated operators",
		source: variables + `: they "might cause the entire statement to be invalid", so Evaluate answers unknown; the simulator ` +
			"takes the condition for unmet, which shows where it expands variables and Evaluate does not",
		read: func(p pair) string {
			return conditions(p.document, func(operator, key string, values []string) {
				for i, v := range values {
					switch {
					case !strings.Contains(operator, "Not") || !unresolved(v, p.context):
					case strings.Contains(operator, "Arn"):
						values[i] = withoutVariables(v)
					case strings.Contains(operator, "Like"):
						values[i] = "*"
					default:
						values[i] = first(valueOf(key, p.context))
					}
				}
			})
		},
	},
	{
		name:   "variables as the account of an ARN",
		source: variables + "#policy-vars-wheretouse: in any condition with string or ARN operators; the simulator cuts the ARN within ${aws:…}",
		read: func(p pair) string {
			return conditions(p.document, func(operator, _ string, values []string) {
				for i, v := range values {
					if strings.Contains(operator, "Arn") && strings.HasPrefix(v, "arn:aws:iam::${") {
						values[i] = "arn:aws:iam::000000000000:role/Nobody"
					}
				}
			})
		},
	},
	{
		name:   "${*}, ${?} and ${$} outside of patterns",
		source: variables + "#policy-vars-specialchars: they stand for the character wherever a variable may; the simulator takes the text",
		read: func(p pair) string {
			return conditions(p.document, func(operator, _ string, values []string) {
				if strings.Contains(operator, "Equals") && !strings.Contains(operator, "Arn") {
					for i := range values {
						for _, c := range []string{"*", "?", "$"} {
							values[i] = strings.ReplaceAll(values[i], "${"+c+"}", "\x00{"+c+"}")
						}
						values[i] = strings.ReplaceAll(values[i], "\x00", "${$}")
					}
				}
			})
		},
	},
	{
		name:   "seconds since 1970 beside ISO 8601",
		source: operation + "#Conditions_Date: either form in any date operator; the simulator takes the number for milliseconds there",
		read: func(p pair) string {
			return conditions(p.document, func(operator, key string, values []string) {
				if !strings.Contains(operator, "Date") {
					return
				}
				for i, v := range values {
					number := strings.Trim(v, "0123456789") == ""
					switch {
					case number && strings.EqualFold(key, "aws:CurrentTime"):
						values[i] = time.UnixMilli(int64(len(v))).UTC().Format(time.RFC3339) // early in 1970, all of them
					case strings.Contains(v, "-") && strings.EqualFold(key, "aws:EpochTime"):
						values[i] = "99999999999" // late
					}
				}
			})
		},
	},
	{
		name: "networks of everybody, and addresses of the other family or written otherwise",
		source: operation + "#Conditions_IPAddress: RFC 4632, RFC 4291; the simulator compares 0.0.0.0/0 as if it were /32, " +
			"addresses as text, and finds NotIpAddress unmet where the families differ",
		read: func(p pair) string {
			have, err := netip.ParseAddr(first(p.context["aws:SourceIp"]))
			if err != nil {
				return p.document
			}
			return conditions(p.document, func(operator, _ string, values []string) {
				if !strings.Contains(operator, "IpAddress") {
					return
				}
				for i, v := range values {
					want, err := netip.ParseAddr(v)
					switch {
					case v == "0.0.0.0/0":
						values[i] = "0.0.0.0/32"
					case err != nil:
					case want.Is4() != have.Is4() && strings.Contains(operator, "Not"):
						values[i] = netip.PrefixFrom(have, have.BitLen()).String()
					case want == have && v != have.String():
						values[i] = "192.0.2.1/32"
					}
				}
			})
		},
	},
}

func first(v any) string {
	s, _ := v.(string)
	return s
}

func valueOf(key string, context map[string]any) any {
	for name, v := range context {
		if strings.EqualFold(name, key) {
			return v
		}
	}
	return nil
}

// withoutVariables is an ARN that fits whatever its variables stand for; the other parts have to fit before the simulator
// looks at them.
func withoutVariables(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || strings.Contains(parts[4], "$") {
		return "*:*:*:*:*:*"
	}
	parts[5] = "*"
	return strings.Join(parts, ":")
}

// unresolved says whether a value has a variable that the request can't fill, and that has no default.
func unresolved(value string, context map[string]any) bool {
	for _, part := range strings.Split(value, "${")[1:] {
		name, _, _ := strings.Cut(part, "}")
		if strings.Contains(name, ":") && !strings.Contains(name, "'") && valueOf(name, context) == nil {
			return true
		}
	}
	return false
}

// conditions rewrites the values of every condition of a generated document.
func conditions(document string, edit func(operator, key string, values []string)) string {
	doc := decode(document)
	statements, isList := doc["Statement"].([]any)
	if !isList {
		statements = []any{doc["Statement"]}
	}
	changed := false
	for _, s := range statements {
		block, _ := s.(map[string]any)["Condition"].(map[string]any)
		for operator, keys := range block {
			for key, v := range keys.(map[string]any) {
				var values []string
				switch v := v.(type) {
				case string:
					values = []string{v}
				case []any:
					for _, one := range v {
						values = append(values, one.(string))
					}
				default: // a bare number or boolean
					continue
				}
				before := slices.Clone(values)
				edit(operator, key, values)
				if !slices.Equal(before, values) {
					keys.(map[string]any)[key], changed = values, true
				}
			}
		}
	}
	if !changed {
		return document
	}
	out, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// decode reads a generated document, numbers as they are written.
func decode(document string) (doc map[string]any) {
	reader := json.NewDecoder(strings.NewReader(document))
	reader.UseNumber()
	if err := reader.Decode(&doc); err != nil {
		panic(err)
	}
	return doc
}

// plain is a document without escapes and in one line.
func plain(document string) string {
	out, err := json.Marshal(decode(document))
	if err != nil {
		panic(err)
	}
	return string(out)
}

// classify names the difference that explains the simulator's answer, or says that it takes more than one. It is empty where
// nothing explains it.
func classify(t *testing.T, p pair, theirs trust.Effect) string {
	t.Helper()
	p.document = plain(p.document)
	all := p
	for _, d := range differences {
		one := p
		one.document, all.document = d.read(p), d.read(all)
		if one.document != p.document && evaluate(t, one).Effect == theirs {
			return d.name
		}
	}
	switch evaluate(t, all).Effect {
	case theirs:
		return "several of these"
	case trust.Unknown:
		return "one of these, and then what isn't understood decides"
	}
	return ""
}
