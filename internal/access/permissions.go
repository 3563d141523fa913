package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode"

	"github.com/countersign/countersign/internal/form"
)

var (
	managedForm = form.New(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,128}$`)
	policyForm  = form.New(`^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[\w+=,.@/-]+$`)
	sidForm     = form.New(`^[A-Za-z0-9]*$`)
)

// jobFunctions are AWS managed policies whose name needs its path.
var jobFunctions = []string{
	"Billing", "DatabaseAdministrator", "DataScientist", "NetworkAdministrator", "SupportUser", "SystemAdministrator", "ViewOnlyAccess",
}

// permissions reads what a grant may do.
func (r *reader) permissions(v value, providerAccount string) []Permission {
	items := r.list(v, "permissions")
	if _, isList := v.asList(); isList && len(items) == 0 {
		r.errorf(v, "", "permissions: [ReadOnlyAccess]", "permissions is empty: the role could do nothing")
	}
	var out []Permission
	for _, item := range items {
		s, ok := r.text(item, "a permission")
		if !ok {
			continue
		}
		if slices.ContainsFunc(out, func(p Permission) bool { return p.String() == s }) {
			r.errorf(item, "", "keep one of the two", "%s stands twice", s)
			continue
		}
		if p, ok := r.permission(item, s, providerAccount); ok {
			out = append(out, p)
		}
	}
	if len(items) > MaxPolicies {
		r.errorf(v, fmt.Sprintf("these are %d", len(items)), "put several into one policy file", "a role takes %d managed policies", MaxPolicies)
	}
	return out
}

func (r *reader) permission(v value, s, providerAccount string) (Permission, bool) {
	switch {
	case strings.HasPrefix(s, "arn:"):
		m := policyForm.FindStringSubmatch(s)
		if m == nil {
			r.errorf(v, "", "- arn:aws:iam::aws:policy/ReadOnlyAccess", "not a policy's ARN: %.120q", s)
			return Permission{}, false
		}
		if m[1] == providerAccount {
			r.errorf(v, "IAM attaches policies of the role's own account and AWS's", "copy it into a policy file", "this policy is in the provider's account")
			return Permission{}, false
		}
		if m[1] == "aws" {
			if name, ok := strings.CutPrefix(s[strings.Index(s, ":policy/"):], ":policy/"); ok {
				r.warnPowerful(v, name)
			}
		}
		return Permission{ARN: s}, true
	case strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".json"):
		return r.policyFile(v, s)
	case slices.Contains(jobFunctions, s):
		r.errorf(v, "AWS keeps it under this path", "- job-function/"+s, "%s needs its path", s)
		return Permission{}, false
	case !managedForm.MatchString(s):
		r.errorf(v, "", "- AmazonS3ReadOnlyAccess, an ARN, or ./policies/custom.json", "not a permission: %.120q", s)
		return Permission{}, false
	}
	r.warnPowerful(v, s)
	return Permission{Managed: s}, true
}

// Powerful are AWS's managed policies that come close to an administrator's.
func Powerful() []string { return []string{"AdministratorAccess", "PowerUserAccess", "IAMFullAccess"} }

// warnPowerful names what the guard takes back of the widest policies.
func (r *reader) warnPowerful(v value, name string) {
	if slices.Contains(Powerful(), name) {
		r.warnf(v, "", "the policies that the work needs", "%s: the guard still denies IAM, other roles and Countersign's own parts, nothing else", name)
	}
}

func (r *reader) policyFile(v value, name string) (Permission, bool) {
	clean, ok := cleanFile(name)
	if !ok {
		r.errorf(v, "a policy lies beside access.yaml or below it", "- ./policies/"+clean[strings.LastIndexByte(clean, '/')+1:], "policy file outside the folder: %.120q", name)
		return Permission{}, false
	}
	f, err := r.files.Open(clean)
	if err != nil {
		why := "there is no such file"
		if !errors.Is(err, fs.ErrNotExist) {
			why = "it can't be opened"
		}
		r.errorf(v, why, "create "+clean+", or name an AWS managed policy", "policy file not found: %.120q", name)
		return Permission{}, false
	}
	defer func() { _ = f.Close() }()
	doc, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		r.errorf(v, "", "", "policy file can't be read: %.120q", name)
		return Permission{}, false
	}
	if size := sizeOf(doc); size > MaxPolicyFile {
		r.errorf(v, "white space aside", fmt.Sprintf("save %s characters, or split it into two files", thousands(size-MaxPolicyFile)),
			"%s has %s characters; a policy takes %s", clean, thousands(size), thousands(MaxPolicyFile))
		return Permission{}, false
	}
	if err := checkPolicy(doc); err != nil {
		r.errorf(v, "", "", "%s is not a policy: %s", clean, err)
		return Permission{}, false
	}
	return Permission{File: name, Document: doc}, true
}

// sizeOf counts as IAM does: characters without white space.
func sizeOf(doc []byte) int {
	n := 0
	for _, c := range string(doc) {
		if !unicode.IsSpace(c) {
			n++
		}
	}
	return n
}

// policyStatement is one statement of an identity policy.
type policyStatement struct {
	Sid                   string
	Effect                string
	Action, NotAction     any
	Resource, NotResource any
	Condition             map[string]map[string]any
}

// checkPolicy says why a document is no identity policy that IAM would take.
func checkPolicy(doc []byte) error {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(doc)), "the document"); err != nil {
		return err
	}
	var policy struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := strict(doc, &policy); err != nil {
		return err
	}
	if policy.Version != "2012-10-17" {
		return fmt.Errorf(`its Version must be "2012-10-17"`)
	}
	var statements []json.RawMessage
	if len(policy.Statement) == 0 {
		return fmt.Errorf("it has no Statement")
	}
	if json.Unmarshal(policy.Statement, &statements) != nil {
		statements = []json.RawMessage{policy.Statement}
	}
	if len(statements) == 0 {
		return fmt.Errorf("it has no Statement")
	}
	sids := map[string]bool{}
	for i, raw := range statements {
		var s policyStatement
		if err := strict(raw, &s); err != nil {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
		if s.Sid != "" && sids[s.Sid] {
			return fmt.Errorf("statement %d: Sid %s stands twice", i+1, s.Sid)
		}
		sids[s.Sid] = true
	}
	return nil
}

func (s policyStatement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("its Effect must be Allow or Deny")
	case (s.Action == nil) == (s.NotAction == nil):
		return fmt.Errorf("either Action or NotAction")
	case (s.Resource == nil) == (s.NotResource == nil):
		return fmt.Errorf("either Resource or NotResource")
	case !sidForm.MatchString(s.Sid):
		return fmt.Errorf("a Sid takes letters and digits only")
	}
	for name, list := range map[string]any{"Action": s.Action, "NotAction": s.NotAction, "Resource": s.Resource, "NotResource": s.NotResource} {
		if list != nil && !isTexts(list) {
			return fmt.Errorf("%s must be text or a list of texts", name)
		}
	}
	return nil
}

// isTexts says whether a JSON value is a string or a list of at least one string.
func isTexts(v any) bool {
	switch v := v.(type) {
	case string:
		return v != ""
	case []any:
		return len(v) > 0 && !slices.ContainsFunc(v, func(item any) bool { s, ok := item.(string); return !ok || s == "" })
	}
	return false
}

// strict decodes JSON and refuses fields that the type doesn't have; the error is short enough for one line.
func strict(src []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		msg := strings.TrimPrefix(err.Error(), "json: ")
		if strings.Contains(msg, `unknown field "Principal"`) {
			return errors.New("a permission has no Principal: it is attached to the role")
		}
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s can't be a %s", wrong.Field, wrong.Value)
		}
		return errors.New(msg)
	}
	return nil
}

// checkKeys walks one JSON value and refuses repeated keys, whose meaning nobody agrees on, and what follows the value.
func checkKeys(dec *json.Decoder, what string) error {
	if err := checkValue(dec); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("text after the end of %s", what)
	}
	return nil
}

func checkValue(dec *json.Decoder) error {
	t, err := dec.Token()
	if err != nil {
		return fmt.Errorf("not valid JSON near byte %d", dec.InputOffset())
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return fmt.Errorf("not valid JSON near byte %d", dec.InputOffset())
			}
			name, _ := key.(string)
			if seen[name] {
				return fmt.Errorf("key %.60q stands twice", name)
			}
			seen[name] = true
		}
		if err := checkValue(dec); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return fmt.Errorf("not valid JSON near byte %d", dec.InputOffset())
	}
	return nil
}
