package main

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// memory is what creds load remembers: no credential.
type memory struct {
	Profile string `json:"profile"`
}

func memoryPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "countersign", "base.json"), err
}

// remembered is what creds load chose; nothing where it never ran.
func (c *cli) remembered() (m memory) {
	path, err := memoryPath()
	if err != nil {
		return memory{}
	}
	src, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(src, &m) != nil {
		return memory{}
	}
	return m
}
