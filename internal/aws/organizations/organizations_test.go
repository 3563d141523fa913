package organizations_test

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign/internal/aws/awstest"
	"github.com/countersign/countersign/internal/aws/organizations"
	"github.com/countersign/countersign/internal/grant"
)

const (
	one   = `{"Id":"444455556666","Arn":"arn:aws:organizations::111111111111:account/o-exampleorgid/444455556666","Name":"prod","Email":"a@example.com","State":"ACTIVE","Status":"ACTIVE"}`
	two   = `{"Id":"555566667777","Arn":"arn:aws:organizations::111111111111:account/o-exampleorgid/555566667777","Name":"old","State":"SUSPENDED"}`
	unit  = `{"Id":"ou-abcd-22222222","Arn":"arn:aws:organizations::111111111111:ou/o-exampleorgid/ou-abcd-22222222","Name":"teams"}`
	none  = `{"Accounts":[]}`
	leafs = `{"OrganizationalUnits":[]}`
)

func drain(accounts iter.Seq2[organizations.Account, error]) (out []organizations.Account, err error) {
	for a, failed := range accounts {
		if err = failed; err == nil {
			out = append(out, a)
		}
	}
	return out, err
}

func all(ctx context.Context, cfg aws.Config) error {
	_, err := drain(organizations.New(cfg).All(ctx))
	return err
}

func under(ctx context.Context, cfg aws.Config) error {
	_, err := drain(organizations.New(cfg).Under(ctx, "ou-abcd-11111111"))
	return err
}

func TestAllKeepsTheAdaptersContract(t *testing.T) {
	awstest.Organizations.Contract(t, awstest.JSON(none), all)
}

// A page may be empty and not be the last one, as AWS says of all its lists here.
func TestAllGoesThroughEveryPage(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"Accounts":[`+one+`],"NextToken":"n1"}`), awstest.JSON(`{"Accounts":[],"NextToken":"n2"}`), awstest.JSON(`{"Accounts":[`+two+`]}`))
	got, err := drain(organizations.New(server.Config()).All(t.Context()))
	want := []organizations.Account{
		{ID: "444455556666", Name: "prod", State: "ACTIVE", Management: "111111111111"},
		{ID: "555566667777", Name: "old", State: organizations.Suspended, Management: "111111111111"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("accounts = %v, %v; want %v", got, err, want)
	}
	if calls := server.Calls(); calls[1].JSON["NextToken"] != "n1" || calls[2].JSON["NextToken"] != "n2" {
		t.Errorf("asked with %v and %v", calls[1].JSON, calls[2].JSON)
	}
}

func TestUnderGoesIntoEveryUnit(t *testing.T) {
	server := awstest.New(t, awstest.JSON(`{"Accounts":[`+one+`]}`), awstest.JSON(`{"OrganizationalUnits":[`+unit+`]}`),
		awstest.JSON(`{"Accounts":[`+two+`]}`), awstest.JSON(leafs))
	got, err := drain(organizations.New(server.Config()).Under(t.Context(), "ou-abcd-11111111"))
	if err != nil || len(got) != 2 || got[0].ID != "444455556666" || got[1].ID != "555566667777" {
		t.Errorf("accounts = %v, %v", got, err)
	}
	var asked []string
	for _, call := range server.Calls() {
		asked = append(asked, call.Operation+" "+call.JSON["ParentId"].(string))
	}
	want := []string{
		"ListAccountsForParent ou-abcd-11111111", "ListOrganizationalUnitsForParent ou-abcd-11111111",
		"ListAccountsForParent ou-abcd-22222222", "ListOrganizationalUnitsForParent ou-abcd-22222222",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestAUnitThatIsNotThereIsNotFound(t *testing.T) {
	awstest.Refused(t, awstest.JSONError(400, "ParentNotFoundException", "We can't find a root or OU with the ParentId that you specified."), grant.ErrNotFound, under)
}

func TestAListThatEndsEarlySaysSo(t *testing.T) {
	denied := awstest.JSONError(400, "AccessDeniedException", "You don't have permissions to access this resource.")
	for name, script := range map[string][]awstest.Answer{
		"the accounts": {awstest.JSON(`{"Accounts":[` + one + `],"NextToken":"n1"}`), denied},
		"the units":    {awstest.JSON(`{"Accounts":[` + one + `]}`), denied},
	} {
		accounts := organizations.New(awstest.New(t, script...).Config()).Under(t.Context(), "r-abcd")
		if got, err := drain(accounts); err == nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
