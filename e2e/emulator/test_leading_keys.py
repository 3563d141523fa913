"""Which partition keys a request to DynamoDB is about. Run in e2e/: python -m unittest emulator.test_leading_keys"""

import json
import os
import unittest

os.environ.setdefault("AUTH", "true")
os.environ.setdefault("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

from .leading_keys import leading_keys  # noqa: E402  settings are read at import


def of(request):
    return leading_keys(json.dumps(request).encode(), lambda table: "kind" if table == "t" else None)


def row(kind):
    return {"kind": {"S": kind}, "key": {"S": "acme"}}


class LeadingKeys(unittest.TestCase):
    def test_of_an_item_and_of_a_key(self):
        self.assertEqual(of({"TableName": "t", "Item": row("heard")}), ["heard"])
        self.assertEqual(of({"TableName": "t", "Key": row("customer")}), ["customer"])

    def test_of_a_batch_and_of_a_transaction(self):
        self.assertEqual(of({"RequestItems": {"t": {"Keys": [row("heard"), row("customer")]}}}), ["customer", "heard"])
        self.assertEqual(of({"TransactItems": [{"Put": {"TableName": "t", "Item": row("customer")}}, {"Delete": {"TableName": "t", "Key": row("grant")}}]}),
                         ["customer", "grant"])

    def test_of_a_query(self):
        self.assertEqual(of({"TableName": "t", "KeyConditionExpression": "#k = :k", "ExpressionAttributeNames": {"#k": "kind"},
                             "ExpressionAttributeValues": {":k": {"S": "grant"}}}), ["grant"])

    def test_of_a_scan_of_another_table_and_of_nonsense_there_are_none(self):
        self.assertEqual(of({"TableName": "t"}), [])
        self.assertEqual(of({"TableName": "other", "Item": row("heard")}), [])
        self.assertEqual(leading_keys(b"{", lambda _: "kind"), [])


if __name__ == "__main__":
    unittest.main()
