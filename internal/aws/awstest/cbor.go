package awstest

import (
	"net/http"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
)

// CBOR is a success of smithy's protocol over CBOR: maps, slices, texts and truth values.
func CBOR(body map[string]any) Answer { return inCBOR(http.StatusOK, body) }

// CBORError is an error of that protocol.
func CBORError(status int, code, message string) Answer {
	return inCBOR(status, map[string]any{"__type": "com.amazonaws.cloudwatch#" + code, "message": message})
}

func inCBOR(status int, body map[string]any) Answer {
	return func(w http.ResponseWriter) {
		w.Header().Set("smithy-protocol", "rpc-v2-cbor")
		head(w, "application/cbor", status)
		_, _ = w.Write(cbor.Encode(toCBOR(body)))
	}
}

func toCBOR(v any) cbor.Value {
	switch v := v.(type) {
	case string:
		return cbor.String(v)
	case bool:
		return cbor.Bool(v)
	case []any:
		out := cbor.List{}
		for _, item := range v {
			out = append(out, toCBOR(item))
		}
		return out
	case map[string]any:
		out := cbor.Map{}
		for key, item := range v {
			out[key] = toCBOR(item)
		}
		return out
	}
	panic("no text, truth value, list or map")
}

// fromCBOR reads a request, as far as it is made of the same.
func fromCBOR(t testing.TB, body []byte) map[string]any {
	v, err := cbor.Decode(body)
	if err != nil {
		t.Errorf("the body is not CBOR: %v", err)
	}
	out, _ := plain(v).(map[string]any)
	return out
}

func plain(v cbor.Value) any {
	switch v := v.(type) {
	case cbor.String:
		return string(v)
	case cbor.Bool:
		return bool(v)
	case cbor.List:
		out := []any{}
		for _, item := range v {
			out = append(out, plain(item))
		}
		return out
	case cbor.Map:
		out := map[string]any{}
		for key, item := range v {
			out[key] = plain(item)
		}
		return out
	}
	return v
}
