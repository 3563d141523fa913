package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/api"
	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/grant"
)

// confirm is functions/confirm: once, for the current version.
func (f *fakeAWS) confirm(body []byte, answer func(int, any)) {
	var in api.ConfirmRequest
	_ = json.Unmarshal(body, &in)
	in.Reason = ""
	d, err := time.ParseDuration(in.RetireIn)
	switch {
	case f.revoked():
		answer(http.StatusConflict, api.Problem{Error: "grant migration is revoked", Next: "nothing has to be done: nobody gets in"})
	case in.VersionID != f.token || err != nil:
		answer(http.StatusConflict, api.Problem{Error: "version " + in.VersionID + " is not the current one of migration", Next: "read the secret again", Code: api.NotCurrent})
	case f.tags["confirmed"] == in.VersionID:
		answer(http.StatusConflict, api.Problem{Error: "version " + in.VersionID + " is confirmed already", Next: "nothing has to be done", Code: api.Confirmed, Until: time.Now().Add(5 * time.Minute).Truncate(time.Second)})
	default:
		f.tags["confirmed"] = in.VersionID
		answer(http.StatusAccepted, api.ConfirmAnswer{Grant: "migration", VersionID: in.VersionID, RetireAt: time.Now().Add(d).Truncate(time.Second)})
	}
}

func (f *fakeAWS) revoked() bool {
	return f.tags[grant.TagRevoked] != "" && f.tags[grant.TagRevoked] != f.tags[grant.TagRestored]
}

// confirmation is what functions/operate says of it.
func (f *fakeAWS) confirmation(s *api.Status) {
	c := api.Confirmation{WhenUnconfirmed: "auto"}
	if v := f.tags["confirmed"]; v != "" {
		c.VersionID, c.By, c.RetireAt = v, "operator", s.CheckedAt
	} else if f.mode["waits"] == "on" {
		c.Extended, c.Why = true, "hestio has never confirmed"
		s.Accepted[1].Until, s.Accepted[1].Unconfirmed = time.Time{}, true
	}
	if f.mode["overlap"] == "over" {
		s.Accepted = s.Accepted[:1]
	}
	s.Confirmation = &c
}

// serveIssued is a rotation to an external ID that the provider issued: started first, handed over next.
func (f *fakeAWS) serveIssued(w http.ResponseWriter, operation string, body []byte) {
	var in struct {
		ClientRequestToken, SecretString string
		VersionStages                    []string
	}
	_ = json.Unmarshal(body, &in)
	switch {
	case operation == "RotateSecret":
		f.issued = in.ClientRequestToken
	case f.issued != in.ClientRequestToken || strings.Join(in.VersionStages, " ") != "AWSPENDING" || !strings.Contains(in.SecretString, `"externalId":"vendor-issued/2027"`):
		awstest.JSONError(http.StatusBadRequest, "InvalidParameterException", "not what was handed over")(w)
		return
	default:
		f.token = in.ClientRequestToken
	}
	awstest.JSON(`{"VersionId":"` + in.ClientRequestToken + `"}`)(w)
}
