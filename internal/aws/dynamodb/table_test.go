package dynamodb_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// table is a DynamoDB of one table that knows the operations and the expressions that the adapter uses, and fails the test at
// any other. It answers queries in pages of two rows.
type table struct {
	t     *testing.T
	mu    sync.Mutex
	rows  map[[2]string]object
	calls []string
}

type object = map[string]any

// attribute is a value as DynamoDB writes it: {"S": "…"}.
func attribute(o object, name string) string {
	v, _ := o[name].(object)
	s, _ := v["S"].(string)
	n, _ := v["N"].(string)
	return cmp.Or(s, n)
}

func keyOf(o object) [2]string { return [2]string{attribute(o, "kind"), attribute(o, "key")} }

func newTable(t *testing.T) (*table, aws.Config) {
	tab := &table{t: t, rows: map[[2]string]object{}}
	server := httptest.NewServer(http.HandlerFunc(tab.serve))
	t.Cleanup(server.Close)
	return tab, aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "example", ""),
	}
}

func (tab *table) serve(w http.ResponseWriter, r *http.Request) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	in := object{}
	if err != nil || json.Unmarshal(body, &in) != nil {
		tab.t.Errorf("a request that is no JSON: %s", body)
	}
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	tab.calls = append(tab.calls, operation)
	status, out := http.StatusOK, object{}
	switch operation {
	case "BatchGetItem":
		status, out = tab.batchGet(in)
	case "Query":
		out = tab.query(in)
	case "PutItem":
		status, out = tab.put(in)
	case "TransactWriteItems":
		status, out = tab.transact(in)
	default:
		tab.t.Errorf("%s is not known", operation)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func (tab *table) batchGet(in object) (int, object) {
	asked := in["RequestItems"].(object)["customers"].(object)
	if asked["ConsistentRead"] != true {
		tab.t.Error("read without consistency")
	}
	found := []any{}
	for _, k := range asked["Keys"].([]any) {
		if row := tab.rows[keyOf(k.(object))]; row != nil {
			found = append(found, row)
		}
	}
	return http.StatusOK, object{"Responses": object{"customers": found}, "UnprocessedKeys": object{}}
}

func (tab *table) query(in object) object {
	if in["KeyConditionExpression"] != "#kind = :kind" || in["ConsistentRead"] != true {
		tab.t.Errorf("query: %v", in)
	}
	kind := attribute(in["ExpressionAttributeValues"].(object), ":kind")
	start, _ := in["ExclusiveStartKey"].(object)
	var keys [][2]string
	for k := range tab.rows {
		if k[0] == kind && k[1] > attribute(start, "key") {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return cmp.Compare(a[1], b[1]) })
	items := []any{}
	for _, k := range keys[:min(2, len(keys))] {
		items = append(items, tab.rows[k])
	}
	out := object{"Items": items, "Count": len(items)}
	if len(keys) > 2 {
		out["LastEvaluatedKey"] = object{"kind": object{"S": kind}, "key": object{"S": keys[1][1]}}
	}
	return out
}

func (tab *table) put(in object) (int, object) {
	item := in["Item"].(object)
	if !tab.holds(in, keyOf(item)) {
		return http.StatusBadRequest, object{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "The conditional request failed"}
	}
	tab.rows[keyOf(item)] = item
	return http.StatusOK, object{}
}

func (tab *table) transact(in object) (int, object) {
	var reasons []any
	canceled := false
	seen := map[[2]string]bool{}
	var apply []func()
	for _, w := range in["TransactItems"].([]any) {
		for verb, part := range w.(object) {
			part := part.(object)
			if part["TableName"] != "customers" {
				tab.t.Errorf("table %v", part["TableName"])
			}
			k := keyOf(part)
			switch verb {
			case "Put":
				k = keyOf(part["Item"].(object))
				apply = append(apply, func() { tab.rows[k] = part["Item"].(object) })
			case "Delete":
				k = keyOf(part["Key"].(object))
				apply = append(apply, func() { delete(tab.rows, k) })
			default:
				tab.t.Errorf("%s is not known", verb)
			}
			if seen[k] {
				tab.t.Errorf("AWS refuses a transaction with two operations on one item: %v", k)
			}
			seen[k] = true
			reason := object{"Code": "None"}
			if !tab.holds(part, k) {
				canceled = true
				reason = object{"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
				if part["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD" && tab.rows[k] != nil {
					reason["Item"] = tab.rows[k]
				}
			}
			reasons = append(reasons, reason)
		}
	}
	if canceled {
		return http.StatusBadRequest, object{"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Transaction cancelled", "CancellationReasons": reasons}
	}
	for _, do := range apply {
		do()
	}
	return http.StatusOK, object{}
}

// holds evaluates a condition: attribute_not_exists(#a), #a = :v, and two of these with OR.
func (tab *table) holds(part object, k [2]string) bool {
	condition, _ := part["ConditionExpression"].(string)
	if condition == "" {
		return true
	}
	names, _ := part["ExpressionAttributeNames"].(object)
	values, _ := part["ExpressionAttributeValues"].(object)
	for term := range strings.SplitSeq(condition, " OR ") {
		if of, ok := strings.CutPrefix(term, "attribute_not_exists("); ok {
			if name, ok := names[strings.TrimSuffix(of, ")")].(string); !ok {
				tab.t.Errorf("%s: no such name", condition)
			} else if tab.rows[k] == nil || tab.rows[k][name] == nil {
				return true
			}
			continue
		}
		left, right, ok := strings.Cut(term, " = ")
		name, named := names[left].(string)
		if !ok || !named || values[right] == nil {
			tab.t.Errorf("condition %q is not known", condition)
			continue
		}
		if tab.rows[k] != nil && attribute(tab.rows[k], name) == attribute(values, right) {
			return true
		}
	}
	return false
}
