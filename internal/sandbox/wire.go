package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/internal/grant"
	"github.com/countersign/countersign/internal/sim"
	"github.com/countersign/countersign/internal/simtest"
)

const maxRequest = 1 << 20

// refusal is an answer that isn't 2xx.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return r.code + ": " + r.message }

// refused makes a refusal of what the embedded AWS says.
func refused(err error) *refusal {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r
	}
	r := &refusal{http.StatusBadRequest, "InternalFailure", err.Error()}
	if e := (*sim.Error)(nil); errors.As(err, &e) {
		r.code, r.message = e.Code, e.Message
	}
	if errors.Is(err, grant.ErrDenied) && r.code == "AccessDenied" {
		r.status = http.StatusForbidden
	}
	return r
}

// ServeHTTP answers a request of an AWS SDK, or of sandbox's own commands.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		http.Error(w, "the request could not be read", http.StatusBadRequest)
		return
	}
	if r.URL.Path == ControlPath || strings.HasPrefix(r.URL.Path, ControlPath+"/") {
		s.control(w, r, body)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := context.WithoutCancel(r.Context()) // who hangs up leaves no half of a rotation behind
	s.catchUp(ctx)
	switch {
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager."):
		s.secretsManager(ctx, w, r, body)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		s.api(ctx, w, r, body)
	default:
		s.query(ctx, w, r, body)
	}
}

// note remembers a call.
func (s *Server) note(c Call, err error) {
	c.Answer = "OK"
	if err != nil {
		c.Answer = refused(err).code
	}
	s.calls = append(s.calls, c)
}

// credential finds the access key, the date, the Region, the service and the signed headers in a request.
var credential = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/[0-9]{8}/([a-z0-9-]+)/([a-z-]+)/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$`)

// caller is who signed a request.
func (s *Server) caller(r *http.Request, body []byte, service string) (sim.Caller, error) {
	m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return sim.Caller{}, &refusal{http.StatusForbidden, "MissingAuthenticationToken", "Missing Authentication Token"}
	}
	key, known := s.sessions[m[1]]
	switch {
	case strings.HasPrefix(m[1], "STRANGER"):
		return sim.Caller{ARN: stranger}, nil
	case strings.HasPrefix(m[1], "OPERATOR"):
		return sim.Caller{ARN: simtest.Operator}, nil
	case !known && r.Header.Get("X-Amz-Security-Token") != "":
		return sim.Caller{}, &refusal{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."}
	case !known:
		return sim.Caller{ARN: Principal}, nil
	case m[3] != service || r.Header.Get("X-Amz-Security-Token") != key.token || !signed(r, body, key, m):
		return sim.Caller{}, &refusal{http.StatusForbidden, "SignatureDoesNotMatch",
			"The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	}
	return sim.Caller{Session: key.session}, nil
}

// signed signs a request anew, with the headers that were signed, and compares.
func signed(r *http.Request, body []byte, key issued, m []string) bool {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return false
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return false
	}
	again.ContentLength = -1
	for name := range strings.SplitSeq(m[4], ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if sent := r.Header.Get("X-Amz-Content-Sha256"); sent != "" && sent != hash {
		return false
	}
	creds := aws.Credentials{AccessKeyID: m[1], SecretAccessKey: key.secret, SessionToken: key.token}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, again, hash, m[3], m[2], at); err != nil {
		return false
	}
	spaces := strings.NewReplacer(" ", "")
	return spaces.Replace(again.Header.Get("Authorization")) == spaces.Replace(r.Header.Get("Authorization"))
}

// secretsManager answers GetSecretValue and DescribeSecret, in JSON 1.1.
func (s *Server) secretsManager(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	var in struct{ SecretID, VersionID, VersionStage string } // encoding/json takes SecretId
	var out any
	err := json.Unmarshal(body, &in)
	if err == nil {
		var who sim.Caller
		if who, err = s.caller(r, body, "secretsmanager"); err == nil {
			out, err = s.secret(ctx, who, action, in.SecretID, in.VersionID, in.VersionStage)
		}
	}
	s.note(Call{Action: action, On: in.SecretID}, err)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		why := refused(err)
		w.Header().Set("X-Amzn-ErrorType", why.code)
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": why.code, "Message": why.message, "message": why.message}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *Server) secret(ctx context.Context, who sim.Caller, action, id, versionID, stage string) (any, error) {
	if action != "GetSecretValue" {
		return nil, &refusal{http.StatusBadRequest, "InvalidAction", "the sandbox knows GetSecretValue alone of Secrets Manager"}
	}
	arn, v, err := s.world.Secrets.Get(sim.As(ctx, "provider"), who, id, versionID, stage)
	if err != nil {
		return nil, err
	}
	d, err := s.world.Secrets.Describe(sim.As(ctx, "provider"), arn)
	if err != nil {
		return nil, err
	}
	name := arn[strings.Index(arn, ":secret:")+len(":secret:") : len(arn)-len("-AbCdEf")]
	return map[string]any{
		"ARN": arn, "Name": name, "VersionId": v.ID, "VersionStages": d.Stages[v.ID], "SecretString": string(v.Value),
		"CreatedDate": json.Number(fmt.Sprintf("%.3f", float64(v.Created.UnixMilli())/1000)),
	}, nil
}

// query answers STS and IAM, in the query protocol.
func (s *Server) query(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	action, service := form.Get("Action"), "sts"
	switch form.Get("Version") {
	case "2010-05-08":
		service = "iam"
	case "2010-05-15":
		service = "cloudformation"
	}
	call := Call{Action: action, On: form.Get("RoleArn") + form.Get("RoleName"), Session: form.Get("RoleSessionName")}
	if id, given := form["ExternalId"], form.Has("ExternalId"); action == "AssumeRole" {
		call.ID = "none"
		if parsed, err := grant.ParseID(strings.Join(id, "")); given && err == nil {
			call.ID = parsed.Fingerprint()
		}
	}
	var out any
	if err == nil {
		var who sim.Caller
		if who, err = s.caller(r, body, service); err == nil {
			out, err = s.answer(ctx, who, service, form)
		}
	}
	s.note(call, err)
	w.Header().Set("Content-Type", "text/xml")
	if err != nil {
		why := refused(err)
		w.WriteHeader(why.status)
		out = struct {
			XMLName   xml.Name `xml:"ErrorResponse"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestID string   `xml:"RequestId"`
		}{Type: "Sender", Code: why.code, Message: why.message, RequestID: "00000000-0000-4000-8000-000000000000"}
	}
	_, _ = io.WriteString(w, xml.Header)
	_ = xml.NewEncoder(w).Encode(out)
}
