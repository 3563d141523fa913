package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/countersign/countersign/internal/aws/awstest"
)

// serveDoctor answers what only doctor asks: STS, SES's second API, and CloudWatch. It gives false for anything else.
func (f *fakeAWS) serveDoctor(w http.ResponseWriter, r *http.Request, body []byte) bool {
	form, _ := url.ParseQuery(string(body))
	switch name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; {
	case form.Get("Action") == "GetCallerIdentity" && f.mode["sts"] == "denied":
		awstest.XMLError(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")(w)
	case form.Get("Action") == "GetCallerIdentity":
		awstest.XML("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::444455556666:user/ann</Arn><Account>444455556666</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")(w)
	case name == "DescribeAlarms":
		awstest.CBOR(map[string]any{"MetricAlarms": []any{
			map[string]any{"AlarmName": "countersign-drift", "StateValue": "OK", "AlarmActions": []any{"arn:aws:sns:eu-west-1:444455556666:ops"}}}})(w)
	case !strings.HasPrefix(r.URL.Path, "/v2/email/"):
		return false
	case f.mode["ses"] == "denied":
		awstest.JSONError(http.StatusForbidden, "AccessDeniedException", "User is not authorized")(w)
	case name == "account":
		production, _ := json.Marshal(f.mode["ses"] != "sandbox")
		awstest.JSON(`{"ProductionAccessEnabled":` + string(production) + `,"SendingEnabled":true,"EnforcementStatus":"HEALTHY","SendQuota":{"Max24HourSend":200,"SentLast24Hours":3}}`)(w)
	case name == "example.com":
		awstest.JSON(`{"VerifiedForSendingStatus":true,"VerificationStatus":"SUCCESS","DkimAttributes":{"SigningEnabled":true,"Status":"SUCCESS"}}`)(w)
	case name == "countersign":
		awstest.JSON(`{}`)(w)
	case name == "event-destinations":
		awstest.JSON(`{"EventDestinations":[{"Name":"events","Enabled":true,"MatchingEventTypes":["BOUNCE","COMPLAINT","REJECT"],"EventBridgeDestination":{"EventBusArn":"arn:aws:events:eu-west-1:444455556666:event-bus/default"}}]}`)(w)
	default:
		awstest.JSONError(http.StatusNotFound, "NotFoundException", "does not exist")(w)
	}
	return true
}

// cmdDNS serves TXT records to the script, at $DNS: "dns NAME=TEXT…". A name without one doesn't exist.
func cmdDNS(ts *testscript.TestScript, neg bool, args []string) {
	records := map[string]string{}
	for _, a := range args {
		name, text, ok := strings.Cut(a, "=")
		if !ok || neg {
			ts.Fatalf("usage: dns NAME=TEXT…")
		}
		records[name] = text
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = conn.Close() })
	ts.Setenv("DNS", conn.LocalAddr().String())
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(dnsAnswer(buf[:n], records), from)
		}
	}()
}

// dnsAnswer reads and writes messages of RFC 1035: one question, and its TXT record.
func dnsAnswer(question []byte, records map[string]string) []byte {
	end, labels := 12, []string{}
	for question[end] != 0 {
		size := int(question[end])
		labels = append(labels, string(question[end+1:end+1+size]))
		end += 1 + size
	}
	text, known := records[strings.Join(labels, ".")]
	flags, answers := uint16(0x8183), uint16(0) // no such name
	if known {
		flags, answers = 0x8180, 1
	}
	out := bytes.Clone(question[:2])
	for _, field := range []uint16{flags, 1, answers, 0, 0} {
		out = binary.BigEndian.AppendUint16(out, field)
	}
	out = append(out, question[12:end+5]...)
	if known {
		out = append(out, 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0) // the question's name, TXT, internet, kept for no time
		out = binary.BigEndian.AppendUint16(out, uint16(len(text)+1))
		out = append(append(out, byte(len(text))), text...)
	}
	return out
}
