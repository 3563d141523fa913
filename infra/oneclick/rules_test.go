package oneclick_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/infra/infratest"
)

// Each row is what somebody gives for parameters, and what CloudFormation says before it makes anything; "": it goes on.
func TestWhatTheTemplateRefuses(t *testing.T) {
	const admin, power = "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws-us-gov:iam::aws:policy/PowerUserAccess"
	const s3 = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
	for _, c := range []struct {
		name   string
		values map[string]string
		want   string
	}{
		{"the least", least(), ""},
		{"no account", map[string]string{"ProviderName": "hestio"}, "has no value"},
		{"eleven digits", least("ProviderAccount", "11112222333"), "ProviderAccount"},
		{"a quote in an account", least("ProviderAccount", `11112222333"`), "ProviderAccount"},
		{"a grant's name with capitals", least("GrantName", "Migration"), "GrantName"},
		{"a grant's name of 37", least("GrantName", strings.Repeat("g", 37)), "GrantName"},
		{"administrator", least("Permissions", admin), "repeat its account in AdministratorAccessFor"},
		{"administrator among others", least("Permissions", s3+","+admin), "repeat its account"},
		{"a power user elsewhere", least("Permissions", power), "repeat its account"},
		{"administrator, another account repeated", least("Permissions", admin, "AdministratorAccessFor", "222233334444"), "repeat its account"},
		{"administrator, the account repeated", least("Permissions", admin, "AdministratorAccessFor", "111122223333"), ""},
		{"the account repeated for nothing", least("AdministratorAccessFor", "111122223333"), ""},
		{"a policy by name", least("Permissions", "AmazonS3FullAccess"), "Permissions"},
		{"a role instead of a policy", least("Permissions", "arn:aws:iam::444455556666:role/Admin"), "Permissions"},
		{"anybody", least("Principals", "*"), "Principals"},
		{"a root", least("Principals", "arn:aws:iam::111122223333:root"), "Principals"},
		{"two roles", least("Principals", "arn:aws:iam::111122223333:role/A-*,arn:aws:iam::111122223333:user/b"), ""},
		{"an end", least("Expires", "2099-12-31T23:59:59Z"), ""},
		{"an end without a time", least("Expires", "2099-12-31"), "Expires"},
		{"an end in another zone", least("Expires", "2099-12-31T23:59:59+01:00"), "Expires"},
		{"every four hours for a day", least("RotateEvery", "4h"), "Overlap is one of 1h, 2h."},
		{"every four hours for two", least("RotateEvery", "4h", "Overlap", "2h"), ""},
		{"daily for a day", least("RotateEvery", "daily"), "Overlap is one of 1h, 2h, 3h, 4h, 5h, 6h, 8h, 11h, 12h."},
		{"weekly for a week", least("RotateEvery", "weekly", "Overlap", "168h"), "Overlap is one of"},
		{"monthly for a week", least("Overlap", "168h"), ""},
		{"never for a week", least("RotateEvery", "never", "Overlap", "168h"), ""},
		{"hourly", least("RotateEvery", "1h"), "RotateEvery"},
		{"a webhook without a key", least("NotifyWebhook", "https://hooks.example.com/x"), "belong together"},
		{"a key without a webhook", least("NotifyWebhookSecret", "arn:aws:secretsmanager:eu-west-1:444455556666:secret:hook-AbCdEf"), "belong together"},
		{"a webhook without TLS", least("NotifyWebhook", "http://hooks.example.com/x"), "NotifyWebhook"},
		{"a webhook with a password", least("NotifyWebhook", "https://a:b@hooks.example.com/x"), "NotifyWebhook"},
		{"mail without a sender", least("NotifyMail", "them@example.net"), "belong together"},
		{"a FIFO topic", least("NotifyTopic", "arn:aws:sns:eu-west-1:444455556666:alerts.fifo"), "NotifyTopic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := template(t).With(c.values)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	elsewhere := *template(t)
	elsewhere.Site = infratest.Site{Partition: "aws", Account: "444455556666", Region: "ap-south-1"}
	if _, err := elsewhere.With(least()); err == nil || !strings.Contains(err.Error(), "published in eu-west-1, us-east-1") {
		t.Errorf("in a Region without archives: %v", err)
	}
}

// The plan is JSON with parameters in it, and policies match ARNs: none takes what would end a text, be a line or a variable.
func TestNoParameterBreaksOutOfItsText(t *testing.T) {
	tmpl := template(t)
	for name, p := range tmpl.Parameters {
		if p.Type == "Number" || len(p.AllowedValues) > 0 {
			continue
		}
		good := map[string]string{"ProviderName": "hestio", "GrantName": "migration", "ProviderAccount": "111122223333"}[name]
		for _, bad := range []string{`"`, `\`, "\n", "${", "$", "{", "}", "'", "<", "«", "\u0000", " "} {
			for _, value := range []string{bad, good + bad, bad + good} {
				values := least(name, value)
				if _, err := tmpl.With(values); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%s takes %q: %v", name, value, err)
				}
			}
		}
		if p.AllowedPattern == "" {
			t.Errorf("%s takes anything", name)
		}
	}
}
