"""Which resource a request is about, and which policy of its own that resource has.

- A role's ARN has its path: policies that name exact roles must match it. A mail is about its sender's identity.
- An event bus has a policy, and so have secrets and keys of other accounts. In one account an Allow in either the
  caller's or the resource's policy is enough and a Deny in either decides; across accounts both must allow.
"""

from email.utils import parseaddr

from ministack.core import iam_actions, iam_evaluator
from ministack.services import eventbridge, iam, kms, secretsmanager


def install():
    iam_actions.extract_resource_arn = _extract(iam_actions.extract_resource_arn)
    eventbridge.bus_policy_for_arn = bus_policy
    iam_evaluator._RESOURCE_POLICY_LOOKUPS["events"] = ("eventbridge", "bus_policy_for_arn")
    secretsmanager.secret_policy_for_arn = secret_policy
    kms.key_policy_for_arn = key_policy


def _extract(original):
    def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
        arn = original(service, method, path, headers, body, query_params, region, account_id)
        if service == "iam" and ":role/" in arn:
            role = iam._roles.get_scoped(account_id, None, arn.rsplit("/", 1)[-1])
            return role["Arn"] if role else arn
        if service == "ses" and sender(query_params):
            return f"arn:aws:ses:{region}:{account_id}:identity/{sender(query_params)}"
        return arn
    return extract_resource_arn


def sender(query_params):
    """The address that a mail is sent from, bare of a display name; "" where the request is no mail."""
    source = query_params.get("Source") or [""]
    return parseaddr(source[0] if isinstance(source, list) else source)[1]


def _place(arn):
    """(account, region, resource) of an ARN, or None."""
    parts = arn.split(":", 5)
    return (parts[4], parts[3], parts[5]) if len(parts) == 6 else None


def bus_policy(arn):
    """The policy and the owner of an event bus; None for anything else."""
    place = _place(arn)
    if not place or not place[2].startswith("event-bus/"):
        return None
    account, region, resource = place
    return eventbridge._event_bus_policies.get_scoped(account, region, resource.partition("/")[2]) or "", account


def secret_policy(arn):
    """The policy and the owner of a secret of any account."""
    secret = secret_anywhere(arn)
    if secret is None:
        return None
    account, region, _ = _place(arn)
    return secretsmanager._resource_policies.get_scoped(account, region, arn) or "", account


def secret_anywhere(arn):
    """The stored secret of any account by its full ARN, or None."""
    place = _place(arn)
    if not place:
        return None
    name = place[2].removeprefix("secret:")[:-7]
    secret = secretsmanager._secrets.get_scoped(place[0], place[1], name)
    return secret if secret and secret["ARN"] == arn else None


def tags_of(secret):
    """The secret's tags as condition keys, in lower case."""
    return {(prefix + tag["Key"]).lower(): tag["Value"] for tag in secret.get("Tags") or []
            for prefix in ("aws:ResourceTag/", "secretsmanager:ResourceTag/")}


def tags_of_role(arn):
    """The tags of the role of that ARN as condition keys, in lower case."""
    account, found, name = arn.partition(":role/")
    role = iam._roles.get_scoped(account.split(":")[4], None, name.split("/")[-1]) if found else None
    return {(prefix + tag["Key"]).lower(): tag["Value"] for tag in (role or {}).get("Tags") or []
            for prefix in ("aws:ResourceTag/", "iam:ResourceTag/")}


def key_policy(arn):
    """The policy and the owner of a key of any account."""
    place = _place(arn)
    if not place or not place[2].startswith("key/"):
        return None
    key = kms._keys.get_scoped(place[0], place[1], place[2].removeprefix("key/"))
    return (key.get("Policy") or "", place[0]) if key else None
