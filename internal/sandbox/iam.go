package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const (
	stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	iamNamespace = "https://iam.amazonaws.com/doc/2010-05-08/"

	cloudformationNamespace = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
)

type assumed struct {
	XMLName    xml.Name `xml:"AssumeRoleResponse"`
	Namespace  string   `xml:"xmlns,attr"`
	ARN        string   `xml:"AssumeRoleResult>AssumedRoleUser>Arn"`
	RoleID     string   `xml:"AssumeRoleResult>AssumedRoleUser>AssumedRoleId"`
	AccessKey  string   `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
	SecretKey  string   `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
	Token      string   `xml:"AssumeRoleResult>Credentials>SessionToken"`
	Expiration string   `xml:"AssumeRoleResult>Credentials>Expiration"`
	RequestID  string   `xml:"ResponseMetadata>RequestId"`
}

type identity struct {
	XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
	Namespace string   `xml:"xmlns,attr"`
	ARN       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type tagged struct {
	XMLName   xml.Name `xml:"ListRoleTagsResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Truncated bool     `xml:"ListRoleTagsResult>IsTruncated"`
	Tags      []tag    `xml:"ListRoleTagsResult>Tags>member"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type tag struct {
	Key   string `xml:"Key"`
	Value string `xml:"Value"`
}

type described struct {
	XMLName   xml.Name `xml:"DescribeStacksResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Name      string   `xml:"DescribeStacksResult>Stacks>member>StackName"`
	Status    string   `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
	Created   string   `xml:"DescribeStacksResult>Stacks>member>CreationTime"`
	Outputs   []output `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type output struct {
	Key   string `xml:"OutputKey"`
	Value string `xml:"OutputValue"`
}

// stackName is what the CDK app calls its stack.
const stackName = "ServiceProviderAccess"

const requestID = "00000000-0000-4000-8000-000000000000"

// answer does what a query asks for.
func (s *Server) answer(ctx context.Context, who sim.Caller, service string, form url.Values) (any, error) {
	ctx = sim.As(ctx, "provider")
	switch service + ":" + form.Get("Action") {
	case "sts:AssumeRole":
		return s.assume(ctx, who, form)
	case "sts:GetCallerIdentity":
		arn := who.ARN
		if who.Session != nil {
			arn = who.Session.ARN
			if err := who.Session.Do(ctx, "sts:GetCallerIdentity", "*"); err != nil {
				return nil, err
			}
		}
		return identity{Namespace: stsNamespace, ARN: arn, UserID: "AROASANDBOX", Account: strings.Split(arn, ":")[4], RequestID: requestID}, nil
	case "iam:ListRoleTags":
		return s.roleTags(ctx, who, form.Get("RoleName"))
	case "cloudformation:DescribeStacks":
		return s.outputs(who, form.Get("StackName"))
	}
	return nil, &refusal{http.StatusBadRequest, "InvalidAction", "the sandbox knows AssumeRole, GetCallerIdentity, ListRoleTags and, for operators, DescribeStacks"}
}

// outputs are the stack's, by which countersign's own commands find the API.
func (s *Server) outputs(who sim.Caller, stack string) (any, error) {
	switch {
	case who.ARN != simtest.Operator:
		return nil, &refusal{http.StatusForbidden, "AccessDenied", "the stack is in another account"}
	case stack != stackName:
		return nil, &refusal{http.StatusBadRequest, "ValidationError", "Stack with id " + stack + " does not exist"}
	}
	return described{Namespace: cloudformationNamespace, Name: stackName, Status: "CREATE_COMPLETE", Created: "2026-01-05T09:00:00Z", RequestID: requestID,
		Outputs: []output{{"ApiUrl", s.cfg.URL + "/v1/"}, {"Grants", Grant + "," + Other}}}, nil
}

func (s *Server) assume(ctx context.Context, who sim.Caller, form url.Values) (any, error) {
	o := sim.Assume{From: who.Session, SourceIdentity: form.Get("SourceIdentity")}
	if form.Has("DurationSeconds") {
		n, err := strconv.Atoi(form.Get("DurationSeconds"))
		if err != nil {
			return nil, &refusal{http.StatusBadRequest, "ValidationError", "DurationSeconds is a number"}
		}
		o.Duration = time.Duration(n) * time.Second
	}
	if form.Has("Tags.member.1.Key") || form.Has("Policy") || form.Has("PolicyArns.member.1.arn") {
		return nil, &refusal{http.StatusForbidden, "AccessDenied", "session tags are denied by the trust policy; session policies are not embedded"}
	}
	session, err := s.world.STS.AssumeRole(ctx, who.ARN, form.Get("RoleArn"), form.Get("ExternalId"), form.Get("RoleSessionName"), o)
	if err != nil {
		return nil, err
	}
	key, secret, token := "ASIA"+rand.Text()[:16], rand.Text()+rand.Text(), rand.Text()+rand.Text()+rand.Text()
	s.sessions[key] = issued{session, secret, token}
	return assumed{
		Namespace: stsNamespace, ARN: session.ARN, RoleID: "AROASANDBOX:" + session.Name, AccessKey: key, SecretKey: secret, Token: token,
		Expiration: session.Expires.Add(-s.ahead).UTC().Format(time.RFC3339), RequestID: requestID,
	}, nil
}

func (s *Server) roleTags(ctx context.Context, who sim.Caller, name string) (any, error) {
	if who.Session == nil {
		return nil, &refusal{http.StatusForbidden, "AccessDenied", "the role is in another account"}
	}
	tags := s.world.IAM.RoleTags(name)
	arn := "arn:aws:iam::" + s.world.Account() + ":role/" + name
	for _, p := range s.world.Plans {
		if p.RoleName() == name {
			arn = p.RoleARN
		}
	}
	keys := map[string][]string{}
	for k, v := range tags {
		keys["aws:ResourceTag/"+k] = []string{v}
	}
	if err := who.Session.Do(ctx, "iam:ListRoleTags", arn, keys); err != nil {
		return nil, err
	}
	out := tagged{Namespace: iamNamespace, RequestID: requestID}
	for k, v := range tags {
		out.Tags = append(out.Tags, tag{k, v})
	}
	return out, nil
}
