"""What a request says about its caller, where MiniStack tells policies something else than IAM.

- The loopback counts as a secure transport: the listener speaks HTTP, and CDK's bucket and many queues refuse that.
- aws:PrincipalArn of a role's session is the role's ARN with its path, not the session's.
- aws:PrincipalTag/… of a role's session are the role's tags.
- aws:PrincipalIsAWSService and aws:ViaAWSService are in every request; here nobody calls through a service.
"""

from ministack import app
from ministack.core import iam_evaluator
from ministack.services import iam


def install():
    def pin_request_origin(source_ip, _secure_transport):
        iam_evaluator._request_origin.set((source_ip, True))

    iam_evaluator.pin_request_origin = app.pin_request_origin = pin_request_origin
    iam_evaluator._resolve_condition_key = _resolve(iam_evaluator._resolve_condition_key)


def _resolve(original):
    def resolve_condition_key(key, ctx):
        name = key.lower()
        if name == "aws:principalarn":
            return role_of(ctx.principal_arn) or ctx.principal_arn
        if name in ("aws:principalisawsservice", "aws:viaawsservice"):
            return "false"
        if name.startswith("aws:principaltag/"):
            tags = tags_of_session(ctx.principal_arn)
            if name in tags:
                return tags[name]
        return original(key, ctx)
    return resolve_condition_key


def tags_of_session(session_arn):
    """The tags of the role behind a session's ARN, as condition keys in lower case."""
    prefix, found, rest = session_arn.partition(":assumed-role/")
    role = iam._roles.get_scoped(prefix.split(":")[4], None, rest.split("/")[0]) if found else None
    return {"aws:principaltag/" + tag["Key"].lower(): tag["Value"] for tag in (role or {}).get("Tags") or []}


def role_of(session_arn):
    """The ARN of the role behind a session's ARN, or None where it is no role's session."""
    prefix, found, rest = session_arn.partition(":assumed-role/")
    if not found:
        return None
    account, name = prefix.split(":")[4], rest.split("/")[0]
    role = iam._roles.get_scoped(account, None, name)
    return role["Arn"] if role else f"arn:aws:iam::{account}:role/{name}"
