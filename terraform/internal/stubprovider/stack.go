package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// The stub makes stacks in an emulator that is told by these variables: CloudFormation's endpoint there, and the address by
// which it has the template. Without them a stack is made up.
const (
	endpointVariable = "STUB_CLOUDFORMATION"
	templateVariable = "STUB_TEMPLATE"
)

// stack is what CloudFormation says of one.
type stack struct {
	ID      string `xml:"DescribeStacksResult>Stacks>member>StackId"`
	Status  string `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
	Reason  string `xml:"DescribeStacksResult>Stacks>member>StackStatusReason"`
	Outputs []struct {
		Key   string `xml:"OutputKey"`
		Value string `xml:"OutputValue"`
	} `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
}

// deploy creates a stack or updates it, and gives its id and outputs.
func deploy(endpoint, action, name string, parameters map[string]string) (map[string]any, error) {
	form := url.Values{"Capabilities.member.1": {"CAPABILITY_NAMED_IAM"}, "TemplateURL": {os.Getenv(templateVariable)}}
	n := 0
	for key, value := range parameters {
		n++
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterKey", n), key)
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterValue", n), value)
	}
	s, err := settle(endpoint, action, name, form)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"CREATE_COMPLETE", "UPDATE_COMPLETE"}, s.Status) {
		return nil, fmt.Errorf("%s of %s: %s %s", action, name, s.Status, s.Reason)
	}
	outputs := map[string]string{}
	for _, o := range s.Outputs {
		outputs[o.Key] = o.Value
	}
	return map[string]any{"id": s.ID, "outputs": outputs}, nil
}

// gone deletes a stack, and says why that didn't work.
func gone(endpoint, id string) string {
	s, err := settle(endpoint, "DeleteStack", id, url.Values{})
	if err == nil && s.Status == "DELETE_COMPLETE" {
		return ""
	}
	return fmt.Sprintf("%s: %s %v", id, s.Status, err)
}

// settle calls for a change, and waits until CloudFormation is done with it.
func settle(endpoint, action, name string, form url.Values) (s stack, err error) {
	form.Set("StackName", name)
	if _, err := call(endpoint, action, form); err != nil {
		return s, err
	}
	for range 900 {
		body, err := call(endpoint, "DescribeStacks", url.Values{"StackName": {name}})
		if err != nil {
			return s, err
		}
		s = stack{}
		if err := xml.Unmarshal(body, &s); err != nil {
			return s, fmt.Errorf("reading the stack %s: %w", name, err)
		}
		if !strings.HasSuffix(s.Status, "_IN_PROGRESS") {
			return s, nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return s, fmt.Errorf("%s of %s takes longer than 3 min", action, name)
}

// call makes a call as the account's owner, whose signature the emulator doesn't check.
func call(endpoint, action string, form url.Values) ([]byte, error) {
	form.Set("Action", action)
	form.Set("Version", "2010-05-15")
	req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+account+"/20260101/us-east-1/cloudformation/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: HTTP %d: %s", action, resp.StatusCode, body)
	}
	return body, err
}
