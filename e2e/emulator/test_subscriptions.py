"""Rules that write into log groups, and replays to one rule. Run in e2e/: python -m unittest emulator.test_subscriptions"""

import json
import os
import time
import unittest

os.environ.setdefault("AUTH", "true")
os.environ.setdefault("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

from ministack.core.responses import request_scope  # noqa: E402  settings are read at import
from ministack.services import cloudwatch_logs, eventbridge, iam  # noqa: E402

from . import subscriptions  # noqa: E402

OTHER = "111122223333"
ACCOUNT, REGION = "444455556666", "eu-west-1"
EVENTS = f"arn:aws:events:{REGION}:{ACCOUNT}:"


def rule_arn(name):
    return f"{EVENTS}rule/news/{name}"


def setUpModule():
    subscriptions.install()
    with request_scope(ACCOUNT, REGION):
        eventbridge._create_event_bus({"Name": "news"})
        eventbridge._create_archive({"ArchiveName": "news", "EventSourceArn": EVENTS + "event-bus/news"})
        for name, named in (("one", "one"), ("two", "two"), ("closed", "one")):  # closed names another rule
            make_group(name, rule_arn(named))
            eventbridge._put_rule({"Name": name, "EventBusName": "news", "EventPattern": '{"source":["test"]}'})
            eventbridge._put_targets({"Rule": name, "EventBusName": "news", "Targets": [
                {"Id": name, "Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/{name}"}]})


def make_group(name, rule, group=None):
    group = group or f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/{name}"
    cloudwatch_logs._create_log_group({"logGroupName": f"/aws/events/{name}"})
    service = {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]}
    cloudwatch_logs._put_resource_policy({"resourceArn": group, "policyDocument": json.dumps({"Statement": [
        {"Effect": "Allow", "Action": "logs:CreateLogStream", "Principal": service, "Resource": group + ":*"},
        {"Effect": "Allow", "Action": "logs:PutLogEvents", "Principal": service, "Resource": group + ":*:*",
         "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]})})


def lines(name):
    answer = cloudwatch_logs._filter_log_events({"logGroupName": f"/aws/events/{name}"})
    return [json.loads(event["message"]) for event in json.loads(answer[2])["events"]]


class Subscriptions(unittest.TestCase):
    def test_events_reach_the_groups_that_name_the_rule_and_a_replay_one_of_them(self):
        with request_scope(ACCOUNT, REGION):
            eventbridge._put_events({"Entries": [
                {"EventBusName": "news", "Source": "test", "DetailType": "Test", "Detail": '{"n": 1}'},
                {"EventBusName": "news", "Source": "other", "DetailType": "Test", "Detail": '{"n": 2}'}]})
            self.assertEqual([e["detail"] for e in lines("one")], [{"n": 1}])
            self.assertEqual(len(lines("two")), 1)
            self.assertEqual(lines("closed"), [])

            eventbridge._start_replay({
                "ReplayName": "again", "EventSourceArn": EVENTS + "archive/news", "EventStartTime": 0,
                "EventEndTime": time.time() + 60,
                "Destination": {"Arn": EVENTS + "event-bus/news", "FilterArns": [rule_arn("two")]}})
            until = time.time() + 5
            while json.loads(eventbridge._describe_replay({"ReplayName": "again"})[2])["State"] != "COMPLETED":
                self.assertLess(time.time(), until, "the replay does not end")
                time.sleep(0.01)
            self.assertEqual(len(lines("one")), 1)
            self.assertEqual([e.get("replay-name") for e in lines("two")], [None, "again"])

    def test_a_bus_of_another_account_takes_what_role_and_policy_allow(self):
        bus = f"arn:aws:events:{REGION}:{OTHER}:event-bus/theirs"
        with request_scope(OTHER, REGION):
            eventbridge._create_event_bus({"Name": "theirs"})
            group = f"arn:aws:logs:{REGION}:{OTHER}:log-group:/aws/events/theirs"
            make_group("theirs", f"arn:aws:events:{REGION}:{OTHER}:rule/theirs/all", group)
            eventbridge._put_rule({"Name": "all", "EventBusName": "theirs", "EventPattern": json.dumps({"account": [ACCOUNT]})})
            eventbridge._put_targets({"Rule": "all", "EventBusName": "theirs", "Targets": [{"Id": "all", "Arn": group}]})

        def allow(**more):
            return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus, **more}]}

        def handed():
            with request_scope(ACCOUNT, REGION):
                eventbridge._put_events({"Entries": [
                    {"EventBusName": "news", "Source": "abroad", "DetailType": "Test", "Detail": '{"n": 3}'}]})
            with request_scope(OTHER, REGION):
                return len(lines("theirs"))

        role = f"arn:aws:iam::{ACCOUNT}:role/forward"
        with request_scope(ACCOUNT, REGION):
            eventbridge._put_rule({"Name": "abroad", "EventBusName": "news", "EventPattern": '{"source":["abroad"]}'})
            eventbridge._put_targets({"Rule": "abroad", "EventBusName": "news",
                                      "Targets": [{"Id": "bus", "Arn": bus, "RoleArn": role}]})
        self.assertEqual(handed(), 0)
        iam._roles.set_scoped(ACCOUNT, None, "forward", {
            "RoleName": "forward", "Arn": role, "InlinePolicies": {"Forward": json.dumps(allow())}})
        self.assertEqual(handed(), 0)  # the bus says nothing of this account
        with request_scope(OTHER, REGION):
            eventbridge._event_bus_policies["theirs"] = allow(Principal={"AWS": [ACCOUNT]})
        self.assertEqual(handed(), 1)
        iam._roles.set_scoped(ACCOUNT, None, "forward", {"RoleName": "forward", "Arn": role, "InlinePolicies": {}})
        self.assertEqual(handed(), 1)  # the role may not
