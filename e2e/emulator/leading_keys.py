"""dynamodb:LeadingKeys, the partition keys that a request is about, which MiniStack leaves out of the policies' evaluation.

As AWS documents it: of every item or key that is read or written by its key, and of a query the value that its condition asks
for. A request that names none, a scan for instance, has no such key, and passes only where a policy doesn't ask.
"""

import json
import re

from ministack.core import iam_actions
from ministack.services import dynamodb

_EQUALS = re.compile(r"(#?\w+)\s*=\s*(:\w+)")


def install():
    original = iam_actions.dynamodb_service_context

    def context(body):
        found = leading_keys(body, _partition_key)
        return {**original(body), **({"dynamodb:LeadingKeys": found} if found else {})}

    iam_actions.dynamodb_service_context = context


def _partition_key(table):
    schema = (dynamodb._tables.get(table.rsplit("/", 1)[-1]) or {}).get("KeySchema", [])
    return next((k["AttributeName"] for k in schema if k["KeyType"] == "HASH"), None)


def leading_keys(body, partition_key):
    """The values, sorted. partition_key tells the attribute's name by the table's."""
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return []
    found = set()

    def item(table, values):
        value = (values or {}).get(partition_key(table or "")) or {}
        found.update(v for v in value.values() if isinstance(v, str))

    table = request.get("TableName")
    item(table, request.get("Item"))
    item(table, request.get("Key"))
    for name, asked in (request.get("RequestItems") or {}).items():
        for key in asked.get("Keys", []) if isinstance(asked, dict) else []:
            item(name, key)
    for part in request.get("TransactItems") or []:
        for write in part.values():
            item(write.get("TableName"), write.get("Item") or write.get("Key"))
    for name, value in _EQUALS.findall(request.get("KeyConditionExpression") or ""):
        if request.get("ExpressionAttributeNames", {}).get(name, name) == partition_key(table or ""):
            found.update(v for v in request.get("ExpressionAttributeValues", {}).get(value, {}).values() if isinstance(v, str))
    return sorted(found)
