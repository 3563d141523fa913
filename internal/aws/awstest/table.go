package awstest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Table is a DynamoDB of one table with the keys "kind" and "key". It knows the operations and the expressions that package
// dynamodb uses, and calls Fault at any other. It answers queries in pages of Page rows. The zero value is empty.
type Table struct {
	Name  string                           // of the table; any other is a fault
	Page  int                              // zero: 1,000
	Fault func(format string, args ...any) // as testing.T's Errorf

	rows map[[2]string]object
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

// Serve answers an operation.
func (tab *Table) Serve(w http.ResponseWriter, operation string, body []byte) {
	if tab.rows == nil {
		tab.rows = map[[2]string]object{}
	}
	in := object{}
	if err := json.Unmarshal(body, &in); err != nil {
		tab.Fault("%s: a request that is no JSON: %s", operation, body)
	}
	status, out := http.StatusOK, object{}
	switch operation {
	case "BatchGetItem":
		out = tab.batchGet(in)
	case "Query":
		out = tab.query(in)
	case "PutItem":
		status, out = tab.put(in)
	case "TransactWriteItems":
		status, out = tab.transact(in)
	default:
		tab.Fault("%s is not known", operation)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

// Rows are the keys of the rows of a kind, sorted.
func (tab *Table) Rows(kind string) (keys []string) {
	for k := range tab.rows {
		if k[0] == kind {
			keys = append(keys, k[1])
		}
	}
	slices.Sort(keys)
	return keys
}

func (tab *Table) batchGet(in object) object {
	asked := in["RequestItems"].(object)[tab.Name].(object)
	if asked["ConsistentRead"] != true {
		tab.Fault("read without consistency")
	}
	found := []any{}
	for _, k := range asked["Keys"].([]any) {
		if row := tab.rows[keyOf(k.(object))]; row != nil {
			found = append(found, row)
		}
	}
	return object{"Responses": object{tab.Name: found}, "UnprocessedKeys": object{}}
}

func (tab *Table) query(in object) object {
	if in["KeyConditionExpression"] != "#kind = :kind" || in["ConsistentRead"] != true {
		tab.Fault("query: %v", in)
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
	page := cmp.Or(tab.Page, 1000)
	for _, k := range keys[:min(page, len(keys))] {
		items = append(items, tab.rows[k])
	}
	out := object{"Items": items, "Count": len(items)}
	if len(keys) > page {
		out["LastEvaluatedKey"] = object{"kind": object{"S": kind}, "key": object{"S": keys[page-1][1]}}
	}
	return out
}

func (tab *Table) put(in object) (int, object) {
	item := in["Item"].(object)
	if !tab.holds(in, keyOf(item)) {
		return http.StatusBadRequest, object{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "The conditional request failed"}
	}
	tab.rows[keyOf(item)] = item
	return http.StatusOK, object{}
}

func (tab *Table) transact(in object) (int, object) {
	var reasons []any
	canceled := false
	seen := map[[2]string]bool{}
	var apply []func()
	for _, w := range in["TransactItems"].([]any) {
		for verb, part := range w.(object) {
			part := part.(object)
			if part["TableName"] != tab.Name {
				tab.Fault("table %v", part["TableName"])
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
				tab.Fault("%s is not known", verb)
			}
			if seen[k] {
				tab.Fault("AWS refuses a transaction with two operations on one item: %v", k)
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
func (tab *Table) holds(part object, k [2]string) bool {
	condition, _ := part["ConditionExpression"].(string)
	if condition == "" {
		return true
	}
	names, _ := part["ExpressionAttributeNames"].(object)
	values, _ := part["ExpressionAttributeValues"].(object)
	for term := range strings.SplitSeq(condition, " OR ") {
		if of, ok := strings.CutPrefix(term, "attribute_not_exists("); ok {
			if name, ok := names[strings.TrimSuffix(of, ")")].(string); !ok {
				tab.Fault("%s: no such name", condition)
			} else if tab.rows[k] == nil || tab.rows[k][name] == nil {
				return true
			}
			continue
		}
		left, right, ok := strings.Cut(term, " = ")
		name, named := names[left].(string)
		if !ok || !named || values[right] == nil {
			tab.Fault("condition %q is not known", condition)
			continue
		}
		if tab.rows[k] != nil && attribute(tab.rows[k], name) == attribute(values, right) {
			return true
		}
	}
	return false
}
