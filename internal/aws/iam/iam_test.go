package iam_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/countersign/countersign/internal/aws/awsconfig"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/iam"
	"github.com/countersign/countersign/internal/grant"
)

const (
	role     = "ServiceProvider-migration"
	secretID = "hestio-Zx81QmPwT7aLbC3dEfG5hJkR9sUvWyN0"
	document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},` +
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"` + secretID + `"}}}]}`
	noContent = `<%s xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata></%s>`
)

func done(operation string) awstest.Answer {
	return awstest.XML(strings.ReplaceAll(noContent, "%s", operation+"Response"))
}

// encode is RFC 3986 percent-encoding as IAM applies it: everything but unreserved characters.
func encode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func roleAnswer(document string) awstest.Answer {
	return awstest.XML(`<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <GetRoleResult>
    <Role>
      <Path>/countersign/</Path>
      <AssumeRolePolicyDocument>` + awstest.Escape(document) + `</AssumeRolePolicyDocument>
      <MaxSessionDuration>3600</MaxSessionDuration>
      <RoleId>AROADBQP57FF2AEXAMPLE</RoleId>
      <RoleLastUsed>
        <LastUsedDate>2026-05-30T17:11:17Z</LastUsedDate>
        <Region>us-east-1</Region>
      </RoleLastUsed>
      <RoleName>ServiceProvider-migration</RoleName>
      <Arn>arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration</Arn>
      <CreateDate>2026-05-08T23:34:01Z</CreateDate>
      <Tags>
        <member><Key>countersign:grant</Key><Value>migration</Value></member>
        <member><Key>empty</Key><Value></Value></member>
      </Tags>
    </Role>
  </GetRoleResult>
  <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>
</GetRoleResponse>`)
}

func policyAnswer(document string) awstest.Answer {
	return awstest.XML(`<GetRolePolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <GetRolePolicyResult>
    <PolicyName>CountersignRevocation</PolicyName>
    <RoleName>ServiceProvider-migration</RoleName>
    <PolicyDocument>` + awstest.Escape(document) + `</PolicyDocument>
  </GetRolePolicyResult>
  <ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata>
</GetRolePolicyResponse>`)
}

// The calls, each with fixed arguments.
func readRole(ctx context.Context, cfg aws.Config) error {
	_, err := iam.New(cfg).Role(ctx, role)
	return err
}

func setTrust(ctx context.Context, cfg aws.Config) error {
	return iam.New(cfg).SetTrust(ctx, role, []byte(document))
}

func readPolicy(ctx context.Context, cfg aws.Config) error {
	_, err := iam.New(cfg).InlinePolicy(ctx, role, grant.RevocationPolicy)
	return err
}

func putPolicy(ctx context.Context, cfg aws.Config) error {
	return iam.New(cfg).PutInlinePolicy(ctx, role, grant.RevocationPolicy, []byte(document))
}

func tagRole(ctx context.Context, cfg aws.Config) error {
	return iam.New(cfg).TagRole(ctx, role, map[string]string{grant.TagRevoked: "rv-1"})
}

func TestEveryCallKeepsTheAdaptersContract(t *testing.T) {
	for name, tc := range map[string]struct {
		success awstest.Answer
		call    func(context.Context, aws.Config) error
		secrets []string // what it sends and must not repeat
	}{
		"Role":            {roleAnswer(encode(document)), readRole, nil},
		"SetTrust":        {done("UpdateAssumeRolePolicy"), setTrust, []string{secretID, document}},
		"InlinePolicy":    {policyAnswer(encode(document)), readPolicy, nil},
		"PutInlinePolicy": {done("PutRolePolicy"), putPolicy, []string{secretID, document}},
		"TagRole":         {done("TagRole"), tagRole, nil},
	} {
		service := awstest.IAM
		service.HandsBack = name == "SetTrust"
		t.Run(name, func(t *testing.T) { service.Contract(t, tc.success, tc.call, tc.secrets...) })
	}
}

func TestRoleIsReadWhole(t *testing.T) {
	server := awstest.New(t, roleAnswer(encode(document)))
	got, err := iam.New(server.Config()).Role(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	if call := server.Only("GetRole"); call.Form.Get("RoleName") != role {
		t.Errorf("asked for %q, want %q", call.Form.Get("RoleName"), role)
	}
	if got.ARN != "arn:aws:iam::444455556666:role/countersign/ServiceProvider-migration" {
		t.Errorf("ARN = %q", got.ARN)
	}
	if string(got.Trust) != document {
		t.Errorf("trust policy = %s\nwant %s", got.Trust, document)
	}
	if want := map[string]string{grant.TagGrant: "migration", "empty": ""}; !maps.Equal(got.Tags, want) {
		t.Errorf("tags = %v, want %v", got.Tags, want)
	}
	if want := time.Date(2026, 5, 30, 17, 11, 17, 0, time.UTC); !got.LastUsed.Equal(want) {
		t.Errorf("last used = %v, want %v", got.LastUsed, want)
	}
}

func TestDocumentsAreDecodedOnce(t *testing.T) {
	// An external ID may hold + and /, an S3 prefix a percent sign: decoding twice, or by a form's rules, would change them.
	for name, plain := range map[string]string{
		"plus and slash":     `{"Id":"a+b/c=d,e@f:g"}`,
		"a percent sign":     `{"Id":"100%25 sure"}`,
		"white space":        "{\n  \"Id\": \"x y\"\t}",
		"beyond ASCII":       `{"Id":"Überprüfung"}`,
		"escaped characters": `{"Id":"\u0022<&>\u0022"}`,
	} {
		t.Run(name, func(t *testing.T) {
			for form, sent := range map[string]string{"encoded": encode(plain), "as it is": plain} {
				server := awstest.New(t, roleAnswer(sent), policyAnswer(sent))
				got, err := iam.New(server.Config()).Role(t.Context(), role)
				if err != nil || string(got.Trust) != plain {
					t.Errorf("%s: trust policy = %q, %v, want %q", form, got.Trust, err, plain)
				}
				inline, err := iam.New(server.Config()).InlinePolicy(t.Context(), role, grant.RevocationPolicy)
				if err != nil || string(inline) != plain {
					t.Errorf("%s: inline policy = %q, %v, want %q", form, inline, err, plain)
				}
			}
		})
	}
	t.Run("a plus sign that was not encoded stays one", func(t *testing.T) {
		server := awstest.New(t, roleAnswer(`%7B%22Id%22%3A%22a+b%22%7D`))
		got, err := iam.New(server.Config()).Role(t.Context(), role)
		if err != nil || string(got.Trust) != `{"Id":"a+b"}` {
			t.Errorf("trust policy = %q, %v", got.Trust, err)
		}
	})
	t.Run("broken encoding is refused without repeating it", func(t *testing.T) {
		server := awstest.New(t, roleAnswer("%7B%2"+secretID), policyAnswer("%7B%2"+secretID))
		for _, call := range []func(context.Context, aws.Config) error{readRole, readPolicy} {
			err := call(t.Context(), server.Config())
			if !errors.Is(err, grant.ErrMalformed) {
				t.Errorf("error = %v, want malformed", err)
			}
			awstest.Withheld(t, err, secretID)
		}
	})
}

func TestWritesSendTheDocumentByteForByte(t *testing.T) {
	for operation, call := range map[string]func(context.Context, aws.Config) error{
		"UpdateAssumeRolePolicy": setTrust, "PutRolePolicy": putPolicy,
	} {
		server := awstest.New(t, done(operation))
		if err := call(t.Context(), server.Config()); err != nil {
			t.Fatal(err)
		}
		form := server.Only(operation).Form
		if form.Get("PolicyDocument") != document || form.Get("RoleName") != role {
			t.Errorf("%s sent %q for %q", operation, form.Get("PolicyDocument"), form.Get("RoleName"))
		}
		if want := map[string]string{"PutRolePolicy": grant.RevocationPolicy}[operation]; form.Get("PolicyName") != want {
			t.Errorf("%s sent policy name %q, want %q", operation, form.Get("PolicyName"), want)
		}
	}
}

func TestTagsAreSentInOneCallAndInOrder(t *testing.T) {
	server := awstest.New(t, done("TagRole"))
	tags := map[string]string{"countersign:revoked": "rv-1", "countersign:granted": "open"}
	if err := iam.New(server.Config()).TagRole(t.Context(), role, tags); err != nil {
		t.Fatal(err)
	}
	form := server.Only("TagRole").Form
	for key, want := range map[string]string{
		"Tags.member.1.Key": "countersign:granted", "Tags.member.1.Value": "open",
		"Tags.member.2.Key": "countersign:revoked", "Tags.member.2.Value": "rv-1",
	} {
		if got := form.Get(key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func TestRefusalsAreNamed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		status  int
		code    string
		message string
		call    func(context.Context, aws.Config) error
		want    error
		shown   bool // the message helps and stays
	}{
		{"no such role", 404, "NoSuchEntity", "The role with name ServiceProvider-migration cannot be found.", readRole, grant.ErrNotFound, true},
		{"no such policy", 404, "NoSuchEntity", "The role policy with name CountersignRevocation cannot be found.", readPolicy, grant.ErrNotFound, true},
		{"a deleted principal", 400, "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"AIDACKCEVSQ6C2EXAMPLE"`, setTrust, grant.ErrMalformed, true},
		{"a message that quotes the ID", 400, "MalformedPolicyDocument", "Syntax errors in policy near " + secretID, setTrust, grant.ErrMalformed, false},
		{"a message that quotes the document", 400, "MalformedPolicyDocument", "Syntax errors in policy: " + document, putPolicy, grant.ErrMalformed, false},
		{"a service-linked role", 400, "UnmodifiableEntity", "Cannot perform the operation on the protected role 'AWSServiceRoleForX' - this role is only modifiable by AWS", setTrust, grant.ErrUnmodifiable, true},
		{"too long", 409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", setTrust, grant.ErrQuota, true},
		{"too many inline policies", 409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded for role ServiceProvider-migration", putPolicy, grant.ErrQuota, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := awstest.Refused(t, awstest.XMLError(tc.status, tc.code, tc.message), tc.want, tc.call, secretID, document)
			if shown := strings.Contains(text, strings.TrimSuffix(tc.message, ".")); shown != tc.shown {
				t.Errorf("error = %q; AWS's message shown: %v, want %v", text, shown, tc.shown)
			}
		})
	}
}

func TestTheSDKsOwnErrorIsFoundToo(t *testing.T) {
	server := awstest.New(t, awstest.XMLError(http.StatusNotFound, "NoSuchEntity", "The role cannot be found."))
	_, err := iam.New(server.Config()).Role(t.Context(), role)
	var typed *types.NoSuchEntityException
	if !errors.As(err, &typed) {
		t.Errorf("%v hides the SDK's error", err)
	}
}

func TestTwoWritersAtOnceAreTriedAgain(t *testing.T) {
	conflict := awstest.XMLError(http.StatusConflict, "ConcurrentModification", "The request was rejected because multiple requests to change this object were submitted simultaneously.")
	server := awstest.New(t, conflict, done("TagRole"))
	if err := tagRole(t.Context(), server.Config()); err != nil || len(server.Calls()) != 2 {
		t.Errorf("error = %v after %d requests, want success at the second", err, len(server.Calls()))
	}
	server = awstest.New(t, awstest.Times(awsconfig.Attempts, conflict)...)
	if err := tagRole(t.Context(), server.Config()); !errors.Is(err, grant.ErrConflict) {
		t.Errorf("error = %v, want a conflict", err)
	}
}

func TestAnAnswerCutOffIsNoAnswer(t *testing.T) {
	for name, answer := range map[string]awstest.Answer{
		"cut in the middle": awstest.Cut(`<GetRoleResponse><GetRoleResult><Role><Path>/`),
		"not XML":           awstest.XML("<<<" + secretID),
		"without a role":    awstest.XML(`<GetRoleResponse><GetRoleResult></GetRoleResult></GetRoleResponse>`),
	} {
		t.Run(name, func(t *testing.T) {
			server := awstest.New(t, awstest.Times(awsconfig.Attempts, answer)...)
			got, err := iam.New(server.Config()).Role(t.Context(), role)
			if !errors.Is(err, grant.ErrUnavailable) || got.ARN != "" {
				t.Errorf("role = %+v, %v, want none and unavailable", got, err)
			}
			awstest.Withheld(t, err, secretID)
		})
	}
}

// A throttled write of a trust policy goes back to its caller, who compares first. Who takes access away doesn't wait for that.
func TestWhoTriesAThrottledWriteAgain(t *testing.T) {
	for _, c := range []struct {
		name    string
		client  func(aws.Config) *iam.Client
		call    func(*iam.Client) error
		refused int // times in a row, before it would work
		asked   int
		err     error
	}{
		{"trust policy", iam.New, writeTrust, 1, 1, grant.ErrThrottled},
		{"trust policy, taking away", iam.NewUrgent, writeTrust, 9, 10, nil},
		{"inline policy", iam.New, writeInline, 2, 3, nil},
		{"inline policy, taking away", iam.NewUrgent, writeInline, 9, 10, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := make([]awstest.Answer, 0, c.refused+1)
			for range c.refused {
				script = append(script, awstest.XMLError(http.StatusBadRequest, "Throttling", "Rate exceeded"))
			}
			if c.err == nil {
				script = append(script, done("UpdateAssumeRolePolicy"))
			}
			server := awstest.New(t, script...)
			err := c.call(c.client(server.Config()))
			if !errors.Is(err, c.err) || len(server.Calls()) != c.asked {
				t.Errorf("%d requests, %v; want %d, %v", len(server.Calls()), err, c.asked, c.err)
			}
		})
	}
}

func writeTrust(c *iam.Client) error { return c.SetTrust(context.Background(), role, []byte(document)) }

func writeInline(c *iam.Client) error {
	return c.PutInlinePolicy(context.Background(), role, grant.RevocationPolicy, []byte(grant.DenyRevocation))
}
