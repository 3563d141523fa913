package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"github.com/countersign/countersign/infra/oneclick"
)

//go:embed upload.sh.tmpl
var uploadText string

var upload = template.Must(template.New("upload.sh").Parse(uploadText))

// writeUpload writes the script that puts the release into the buckets.
func (r *release) writeUpload(f *folder) error {
	var files []string
	for _, file := range f.files {
		files = append(files, file.Name)
	}
	var out strings.Builder
	if err := upload.Execute(&out, map[string]any{
		"Version": r.version, "Bucket": r.bucket, "Regions": strings.Join(r.regions, " "), "Prefix": oneclick.Prefix(r.version), "Files": files,
	}); err != nil {
		return fmt.Errorf("writing upload.sh: %w", err)
	}
	return f.write("upload.sh", []byte(out.String()), 0o755)
}
