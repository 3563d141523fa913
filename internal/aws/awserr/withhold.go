package awserr

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/smithy-go"
)

// piece is the length from which a part of an external ID counts as the ID, in characters.
const piece = 12

// mayRepeat says whether the message could quote an external ID from what was sent. A piece of an ID in it withholds it.
// So does, in a message of the service's, a code that we don't know (the services' own validation quotes the whole
// rejected value), and a body that we can't read.
func mayRepeat(err error, e *Error, sent [][]byte) bool {
	api := smithy.APIError(nil)
	theirs := errors.As(err, &api) && api.ErrorCode() != unknownCode
	if theirs && e.Kind == nil && len(sent) > 0 {
		return true
	}
	for _, body := range sent {
		var tree any
		if json.Unmarshal(body, &tree) != nil && theirs {
			return true
		}
		for _, id := range externalIDs(tree, false) {
			if holdsPiece(e.Message, id) {
				return true
			}
		}
	}
	return false
}

// externalIDs are the strings under the keys sts:ExternalId (a trust policy's) and externalId (a secret's), however deep.
func externalIDs(node any, under bool) []string {
	var out []string
	switch v := node.(type) {
	case string:
		if under {
			out = append(out, v)
		}
	case []any:
		for _, item := range v {
			out = append(out, externalIDs(item, under)...)
		}
	case map[string]any:
		for key, item := range v {
			isID := strings.EqualFold(strings.TrimPrefix(strings.ToLower(key), "sts:"), "externalId")
			out = append(out, externalIDs(item, under || isID)...)
		}
	}
	return out
}

func holdsPiece(message, id string) bool {
	if len(id) <= piece {
		return strings.Contains(message, id)
	}
	for i := 0; i+piece <= len(id); i++ {
		if strings.Contains(message, id[i:i+piece]) {
			return true
		}
	}
	return false
}
