"""What policies may say about a request that MiniStack doesn't put into it.

- Policy variables: ${aws:PrincipalTag/team} in a condition's values or in a Resource stands for the request's own value.
  A variable without a value makes the statement match nothing. (IAM does this for Version 2012-10-17 only; here always.)
- Tags of the secret or role that a request is about: aws:ResourceTag/… and secretsmanager:ResourceTag/…, in every policy.
- ses:FromAddress of a mail.
- sts:ExternalId and sts:RoleSessionName of an AssumeRole, in the caller's own policies too.
"""

import dataclasses
import re

from ministack.core import iam_actions, iam_evaluator

from . import resources

_VARIABLE = re.compile(r"\$\{([^}*?$]+)\}")


class _Missing(Exception):
    pass


def install():
    iam_evaluator._conditions_met = _met(iam_evaluator._conditions_met)
    iam_evaluator._first_match = _match(iam_evaluator._first_match)
    iam_evaluator.enforce = _enforce(iam_evaluator.enforce)
    iam_actions.request_tag_context = _request(iam_actions.request_tag_context)


def _filled(value, ctx):
    """The value with each variable replaced by what the request has for it."""
    def resolve(match):
        found = iam_evaluator._resolve_condition_key(match[1], ctx)
        if found is None or isinstance(found, list):
            raise _Missing(match[1])
        return str(found)

    if isinstance(value, list):
        return [_filled(item, ctx) for item in value]
    return _VARIABLE.sub(resolve, value) if isinstance(value, str) else value


def _met(original):
    def conditions_met(conditions, ctx):
        try:
            conditions = {operator: {key: _filled(value, ctx) for key, value in keys.items()}
                          for operator, keys in (conditions or {}).items() if isinstance(keys, dict)}
        except _Missing:
            return False
        return original(conditions, ctx)
    return conditions_met


def _match(original):
    def first_match(ctx, statements, effect):
        usable = []
        for statement in statements:
            try:
                usable.append(dataclasses.replace(
                    statement, resources=_filled(statement.resources, ctx),
                    not_resources=_filled(statement.not_resources, ctx)))
            except _Missing:
                continue
        return original(ctx, usable, effect)
    return first_match


def _enforce(original):
    def enforce(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        secret = resources.secret_anywhere(resource_arn) if service == "secretsmanager" else None
        if secret:
            service_context = {**resources.tags_of(secret), **(service_context or {})}
        if service == "iam":
            service_context = {**resources.tags_of_role(resource_arn or ""), **(service_context or {})}
        return original(access_key_id, iam_action, service, region, resource_arn, service_context)
    return enforce


def _request(original):
    def request_tag_context(service, iam_action, body, params):
        context = original(service, iam_action, body, params)
        if service == "ses" and resources.sender(params):
            context = {**context, "ses:FromAddress": resources.sender(params)}
        if iam_action == "sts:AssumeRole":
            context = {**context, **entry_keys(params)}
        return context
    return request_tag_context


def entry_keys(params):
    """What an AssumeRole says of itself; what it leaves out has no key."""
    given = {"sts:ExternalId": params.get("ExternalId"), "sts:RoleSessionName": params.get("RoleSessionName")}
    return {key: value[0] if isinstance(value, list) else value for key, value in given.items() if value}
