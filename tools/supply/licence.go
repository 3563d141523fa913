package supply

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Permissive are the licences under which anything may be linked into what is shipped.
var Permissive = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// ErrNoLicence says that a module has no licence that is known here.
var ErrNoLicence = errors.New("no known licence")

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)([-.].*)?$`)

// LicencesIn are the SPDX ids of the licence texts in a module's folder. A file may hold several texts.
func LicencesIn(folder string) ([]string, error) {
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", folder, err)
	}
	var out []string
	for _, f := range files {
		if f.IsDir() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), "SUMMARY") { // which says what another file holds
			continue
		}
		src, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading a licence: %w", err)
		}
		found := LicencesOf(string(src))
		if len(found) == 0 {
			return nil, fmt.Errorf("%s: %w", f.Name(), ErrNoLicence)
		}
		out = append(out, found...)
	}
	if len(out) == 0 {
		return nil, ErrNoLicence
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// phrases are words that stand in one licence only, once white space and case are set aside.
var phrases = []struct{ id, phrase string }{
	{"Apache-2.0", "apache license version 2.0, january 2004"},
	{"MIT", "permission is hereby granted, free of charge, to any person obtaining a copy"},
	{"ISC", "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"},
	{"ISC", "permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted"},
	{"MPL-2.0", "mozilla public license version 2.0"},
	{"AGPL-3.0", "gnu affero general public license"},
	{"LGPL", "gnu lesser general public license"},
	{"GPL", "gnu general public license"},
}

// LicencesOf are the SPDX ids of the licences in a text, none if it holds no known one.
func LicencesOf(text string) (out []string) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, p := range phrases {
		if strings.Contains(text, p.phrase) {
			out = append(out, p.id)
		}
	}
	if strings.Contains(text, "redistribution and use in source and binary forms") {
		if strings.Contains(text, "neither the name") || strings.Contains(text, "may not be used to endorse") || strings.Contains(text, "nor the names of") {
			out = append(out, "BSD-3-Clause")
		} else {
			out = append(out, "BSD-2-Clause")
		}
	}
	return out
}

// IsPermissive says whether every licence is.
func IsPermissive(licences []string) bool {
	return len(licences) > 0 && !slices.ContainsFunc(licences, func(id string) bool { return !slices.Contains(Permissive, id) })
}
