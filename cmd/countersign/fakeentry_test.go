package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/sandbox"
)

// ownKey is the access key of the provider's own credentials.
const ownKey = "AKIAIOSFODNN7EXAMPLE"

// customersSide is a sandbox with what the sandbox doesn't know, S3, EKS, IAM's lists and the sign-in, that notes whose key each
// call was signed with.
type customersSide struct {
	*sandbox.Server
	url string

	mu       sync.Mutex
	table    awstest.Table // the registry, where it is no file
	calls    []string
	sessions map[string]string // access key → whose
	foreign  []string          // what somebody in the account wrote: bucket names, role paths, an error's text
	broken   string            // an error's code that STS answers one's own calls with
	engineer string            // whose one's own credentials are; empty: as the sandbox says
}

var (
	keyForm    = regexp.MustCompile(`Credential=([^/]+)/[0-9]{8}/[a-z0-9-]+/([a-z0-9-]+)/`)
	issuedForm = regexp.MustCompile(`<AccessKeyId>([^<]+)</AccessKeyId>`)
)

func newCustomersSide(t testing.TB, url string) *customersSide {
	server, err := sandbox.New(sandbox.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return &customersSide{Server: server, url: url, sessions: map[string]string{ownKey: "PROVIDER"}}
}

func (s *customersSide) wrote() string { return strings.Join(s.foreign, "") }

// each is an element of a list for each text that somebody wrote, or one where nobody did.
func (s *customersSide) each(form, name string) (out string) {
	for _, text := range s.foreign {
		out += fmt.Sprintf(form, xmlText(name+text))
	}
	return cmp.Or(out, fmt.Sprintf(form, xmlText(name)))
}

func (s *customersSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	s.mu.Lock()
	defer s.mu.Unlock()
	m := keyForm.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil && r.URL.Path == "/federation" {
		s.calls = append(s.calls, "federation "+r.URL.Query().Get("Action"))
		_, _ = io.WriteString(w, `{"SigninToken":"TOKEN"}`)
		return
	}
	if m == nil {
		s.Server.ServeHTTP(w, r)
		return
	}
	service, who := m[2], s.sessions[m[1]]
	call := service
	switch service {
	case "secretsmanager":
		call = "GetSecretValue " + regexp.MustCompile(`countersign/[a-z]+|static/[a-z]+`).FindString(string(body))
	case "sts", "iam":
		call = regexp.MustCompile(`Action=([A-Za-z]+)`).FindStringSubmatch(string(body))[1]
		if role := regexp.MustCompile(`ServiceProvider-[a-z]+`).FindString(string(body)); role != "" {
			call += " " + role
		}
	}
	s.calls = append(s.calls, who+": "+call)
	switch {
	case s.broken != "" && who == "PROVIDER" && service == "sts":
		xmlError(w, http.StatusForbidden, s.broken, "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z"+s.wrote())
	case s.engineer != "" && who == "PROVIDER" && call == "GetCallerIdentity":
		_, _ = fmt.Fprintf(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account><Arn>%s</Arn><UserId>x</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>`, xmlText(s.engineer))
	case call == "GetSecretValue static/oldco":
		id, _ := s.FirstID()
		_, _ = fmt.Fprintf(w, `{"ARN":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:static/oldco-AbCdEf","SecretString":%q,"VersionId":"v","VersionStages":["AWSCURRENT"],"CreatedDate":1.7e9}`, id.Reveal())
	case service == "dynamodb":
		s.table.Name, s.table.Fault = defaultTable, func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
		s.table.Serve(w, strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810."), body)
	case service == "s3":
		_, _ = fmt.Fprintf(w, `<ListAllMyBucketsResult><Buckets>%s</Buckets></ListAllMyBucketsResult>`,
			s.each(`<Bucket><Name>%s</Name><CreationDate>2026-01-02T03:04:05.000Z</CreationDate></Bucket>`, "acme-data"))
	case service == "eks":
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException:http://internal.amazon.com/")
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, `{"message":%q}`, "not authorized to perform: eks:ListClusters "+s.wrote())
	case strings.HasPrefix(call, "ListRoles"):
		_, _ = fmt.Fprintf(w, `<ListRolesResponse><ListRolesResult><IsTruncated>false</IsTruncated><Roles>%s</Roles></ListRolesResult></ListRolesResponse>`,
			s.each(`<member><RoleName>ServiceProvider-migration</RoleName><Path>%s</Path><Arn>arn:aws:iam::444455556666:role/x</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate></member>`, "/countersign/"))
	case strings.HasPrefix(call, "ListAccountAliases"):
		_, _ = fmt.Fprintf(w, `<ListAccountAliasesResponse><ListAccountAliasesResult><IsTruncated>false</IsTruncated><AccountAliases><member>%s</member></AccountAliases></ListAccountAliasesResult></ListAccountAliasesResponse>`, xmlText("acme-prod"+s.wrote()))
	default:
		answer := &recorder{ResponseWriter: w}
		s.Server.ServeHTTP(answer, r)
		if key := issuedForm.FindStringSubmatch(answer.body.String()); key != nil {
			s.sessions[key[1]] = "session of " + strings.TrimPrefix(call, "AssumeRole ")
		}
	}
}

type recorder struct {
	http.ResponseWriter
	body strings.Builder
}

func (r *recorder) Write(b []byte) (int, error) {
	_, _ = r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

func xmlError(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, xmlText(message))
}

// xmlText is text as XML can carry it: other control characters have no form there.
func xmlText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<', r == '>', r == '&', r == '\r', r == '\n', r == '\t':
			_, _ = fmt.Fprintf(&b, "&#%d;", r)
		case r >= 0x20 && r != 0xfffe && r != 0xffff:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// seen are the calls since the last time.
func (s *customersSide) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}
