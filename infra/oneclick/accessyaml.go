package oneclick

import (
	"fmt"
	"strings"
	"testing/fstest"
	"text/template"
	"time"

	"github.com/countersign/countersign/internal/access"
)

// AccessYAML is the access.yaml that says the same as these parameters. Whoever outgrows the link goes on with it.
func AccessYAML(values map[string]string) string {
	var out strings.Builder
	if err := accessYAML.Execute(&out, values); err != nil {
		panic(fmt.Errorf("writing access.yaml: %w", err)) // of texts only
	}
	return out.String()
}

var accessYAML = template.Must(template.New("access.yaml").Funcs(template.FuncMap{
	"items": func(list string) string { return `"` + strings.Join(strings.Split(list, ","), `", "`) + `"` },
	"session": func(seconds string) string {
		if strings.Trim(seconds, "0123456789") == "" {
			return seconds + "s"
		}
		return seconds // the sample
	},
}).Parse(`version: 1
{{- with .MailFrom}}
mailFrom: {{.}}
{{- end}}
providers:
  - name: {{.ProviderName}}
    account: "{{.ProviderAccount}}"
{{- with .Principals}}
    principals: [{{items .}}]
{{- end}}
{{- with .Organization}}
    organization: {{.}}
{{- end}}
{{- with .Prefix}}
    prefix: "{{.}}"
{{- end}}
    grants:
      - name: {{.GrantName}}
        permissions: [{{items .Permissions}}]
{{- with .PermissionsBoundary}}
        boundary: {{.}}
{{- end}}
{{- if eq .MayShareResources "true"}}
        mayShareResources: true
{{- end}}
{{- with .MaxSessionSeconds}}
        maxSession: {{session .}}
{{- end}}
{{- with .Expires}}
        expires: "{{.}}"
{{- end}}
        rotateEvery: {{.RotateEvery}}
{{- with .Overlap}}
        overlap: {{.}}
{{- end}}
{{- with .WhenUnconfirmed}}
        whenUnconfirmed: {{.}}
{{- end}}
{{- if eq .SourceIdentity "true"}}
        sourceIdentity: true
{{- end}}
{{- if or .NotifyTopic .NotifyWebhook .NotifyMail}}
        notify:
{{- with .NotifyMail}}
          mail: [{{.}}]
{{- end}}
{{- if .NotifyWebhook}}
          webhook: [{url: "{{.NotifyWebhook}}", secret: "{{.NotifyWebhookSecret}}"}]
{{- end}}
{{- with .NotifyTopic}}
          sns: ["{{.}}"]
{{- end}}
{{- end}}
`))

// read is the access.yaml of these parameters, validated as any other.
func read(values map[string]string) *access.Access {
	loaded, err := access.Parse("access.yaml", []byte(AccessYAML(values)), fstest.MapFS{}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(fmt.Errorf("the one-click template's access.yaml: %w", err))
	}
	return loaded
}
