"""What a rule of an event bus can do that MiniStack leaves out: write into a log group, hand on to a bus of another account,
and be the only one of a replay.

A log group takes events from a rule only if its own policy names that rule, as CloudWatch Logs asks. A bus of another account
takes them if the target's role may put events there and the bus's policy lets that role. FilterArns of StartReplay limit the
replay to these rules.
"""

import json

from ministack.core import iam_evaluator
from ministack.core.arn import parse_arn
from ministack.core.responses import get_account_id, request_scope
from ministack.services import cloudwatch_logs, eventbridge, iam

from . import resources

PREFIX = "log-group:"


def install():
    original = eventbridge._invoke_target

    def invoke(target, event, rule, view=None):
        only = _filter_arns(event)
        if only and rule["Arn"] not in only:
            return
        spec = parse_arn(target.get("Arn", ""))
        if spec.service == "logs" and spec.resource.startswith(PREFIX):
            view = view or eventbridge._pattern_event_view(event)
            _write(spec.resource.removeprefix(PREFIX), rule["Arn"], json.dumps(view.event_with_detail()))
            return
        if spec.service == "events" and spec.account_id != get_account_id():
            if may_forward(target.get("RoleArn", ""), target["Arn"], spec.region, event):
                _forward(spec, event, rule)
            return
        original(target, event, rule, view)

    eventbridge._invoke_target = invoke


def _filter_arns(event):
    replay = eventbridge._replays.get(event.get("ReplayName") or "")
    return (replay["Destination"].get("FilterArns") or []) if replay else []


def _write(group, rule_arn, message):
    if group not in cloudwatch_logs._log_groups or not may_write(group, rule_arn):
        return
    stream = rule_arn.rsplit("/", 1)[-1]
    cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": [{"message": message}]})


def may_write(group, rule_arn):
    """Whether the group's policy lets EventBridge write for this rule, and make a stream."""
    stored = cloudwatch_logs._log_group_policies.get(group)
    statements = json.loads(stored["policyDocument"])["Statement"] if stored else []

    def allowed(action, resource):
        return any(
            s["Effect"] == "Allow" and s["Action"] == action and "events.amazonaws.com" in s["Principal"]["Service"]
            and s["Resource"].endswith(resource)
            and s.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", rule_arn) == rule_arn
            for s in statements)

    return allowed("logs:CreateLogStream", f":{PREFIX}{group}:*") and allowed("logs:PutLogEvents", f":{PREFIX}{group}:*:*")


def _forward(spec, event, rule):
    name = spec.resource.removeprefix("event-bus/")
    path = [*(event.get("_DispatchPath") or []), eventbridge._rule_key(rule["Name"], rule["EventBusName"])]
    handed = {**event, "EventBusName": name, "Account": event.get("Account", get_account_id()), "_DispatchPath": path}
    with request_scope(spec.account_id, spec.region):
        if name in eventbridge._event_buses:
            eventbridge._dispatch_event(handed)


def may_forward(role_arn, bus_arn, region, event):
    """Whether the role may put this event on the bus by its own policies, and by the bus's, which may ask for source and detail type."""
    account = get_account_id()
    role = iam._roles.get_scoped(account, None, role_arn.rsplit("/", 1)[-1])
    if not role or role["Arn"] != role_arn:
        return False
    request = iam_evaluator.EvalContext(
        principal_arn=role_arn, principal_type="Role", principal_account=account, action="events:PutEvents",
        resource_arn=bus_arn, region=region, service_context={"events:source": event.get("Source", ""), "events:detail-type": event.get("DetailType", "")})
    policies = [json.loads(p) if isinstance(p, str) else p for p in role.get("InlinePolicies", {}).values()]

    def allows(documents):
        parsed = [iam_evaluator.parse_policy_document(d) for d in documents if d]
        return iam_evaluator.evaluate(request, parsed).decision == "Allow"

    found = resources.bus_policy(bus_arn)
    return bool(found) and allows(policies) and allows([_as_identity(found[0], account)])


def _as_identity(policy, account):
    """The statements of a resource policy that name this account, as an identity's."""
    policy = json.loads(policy) if isinstance(policy, str) and policy else policy
    if not policy:
        return None

    def names(statement):
        principal = statement.get("Principal")
        listed = principal.get("AWS", []) if isinstance(principal, dict) else principal
        listed = [listed] if isinstance(listed, str) else listed
        return any(p in ("*", account) or f":{account}:" in p for p in listed)

    kept = [{k: v for k, v in s.items() if k != "Principal"} for s in policy["Statement"] if names(s)]
    return {"Version": "2012-10-17", "Statement": kept} if kept else None
