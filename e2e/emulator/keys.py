"""Who may open a secret: its key's policy, and the way from another account.

MiniStack neither asks KMS for a secret's value nor lets one account name another's secret. Here a secret under a
customer-managed key needs kms:Decrypt to be read and kms:GenerateDataKey too to be written, with the condition keys
that Secrets Manager sends; and a caller of another account may read by full ARN what the secret's policy, the key's
policy and its own policies all allow.
"""

import json

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import kms, secretsmanager

from . import resources, store

NEEDS = {"GetSecretValue": ("kms:Decrypt",), "PutSecretValue": ("kms:GenerateDataKey", "kms:Decrypt")}
READS = ("GetSecretValue", "DescribeSecret")  # what another account may do


def install():
    original = secretsmanager.handle_request

    async def handle(method, path, headers, body, query_params):
        action = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        secret_id = json.loads(body or b"{}").get("SecretId") or ""
        foreign = _foreign(secret_id)
        secret = foreign or store.find(secret_id)
        access_key = extract_access_key_id(headers, query_params) or ""
        if secret and action in NEEDS and not _may_use_key(secret, NEEDS[action], access_key):
            return store.refuse("AccessDeniedException", "Access to KMS is not allowed")
        if foreign is None:
            return await original(method, path, headers, body, query_params)
        if action not in READS or not _root_is_let_in(secret, action, access_key):
            return store.refuse("AccessDeniedException", "The secret's policy does not allow this.")
        with store.at_home(secret):
            return await original(method, path, headers, body, query_params)

    secretsmanager.handle_request = handle


def _foreign(secret_id):
    """The named secret, if it is another account's."""
    if not secret_id.startswith("arn:") or secret_id.split(":")[4:5] == [get_account_id()]:
        return None
    return resources.secret_anywhere(secret_id)


def _root_is_let_in(secret, action, access_key):
    """MiniStack asks no policy for an account's root user; another account's policy still decides."""
    if not iam_evaluator.is_root_access_key(access_key):
        return True  # MiniStack has asked both policies before this handler
    account = get_account_id()
    request = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root", principal_type="Root", principal_account=account,
        action="secretsmanager:" + action, resource_arn=secret["ARN"], region=get_region(),
        service_context=resources.tags_of(secret))
    policy, _ = resources.secret_policy(secret["ARN"])
    return iam_evaluator.evaluate_resource_policy(policy, request).decision == "Allow"


def _may_use_key(secret, actions, access_key):
    """Whether the caller may use the secret's key; AWS's own key serves everybody in the account."""
    named = secret.get("KmsKeyId")
    if not named or named == "alias/aws/secretsmanager":
        return secret["ARN"].split(":")[4] == get_account_id()
    with store.at_home(secret):
        key = kms._resolve_key(named)
        region = get_region()
    if key is None or key.get("KeyState") != "Enabled":
        return False
    context = {
        "kms:ViaService": f"secretsmanager.{region}.amazonaws.com",
        "kms:CallerAccount": get_account_id(),
        "kms:EncryptionContext:SecretARN": secret["ARN"],
        "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
    }
    return all(iam_evaluator.enforce(access_key, action, "kms", region, key["Arn"], dict(context)) is None
               for action in actions)
