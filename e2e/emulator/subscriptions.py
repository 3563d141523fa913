"""What a rule of an event bus can do that MiniStack leaves out: write into a log group, and be the only one of a replay.

A log group takes events from a rule only if its own policy names that rule, as CloudWatch Logs asks. FilterArns of StartReplay
limit the replay to these rules.
"""

import json

from ministack.core.arn import parse_arn
from ministack.services import cloudwatch_logs, eventbridge

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
