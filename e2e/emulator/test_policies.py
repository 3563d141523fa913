"""How policies read a request, piece by piece. Run in e2e/: python -m unittest emulator.test_policies"""

import os
import unittest

os.environ.setdefault("AUTH", "true")
os.environ.setdefault("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

from ministack import app  # noqa: E402  settings are read at import
from ministack.core import iam_actions, iam_evaluator  # noqa: E402
from ministack.core.responses import request_scope  # noqa: E402
from ministack.services import iam  # noqa: E402

from . import addresses, identity, resources, variables  # noqa: E402

ACCOUNT = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/machines/rotator"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/rotator/one"


def setUpModule():
    for part in (identity, variables, resources, addresses):
        part.install()
    iam._roles.set_scoped(ACCOUNT, None, "rotator", {"RoleName": "rotator", "Arn": ROLE, "Tags": [{"Key": "Countersign:Grant", "Value": "nightly"}]})


def verdict(statement, **context):
    request = iam_evaluator.EvalContext(
        principal_arn=SESSION, principal_type="AssumedRole", principal_account=ACCOUNT, action="s3:GetObject",
        resource_arn="arn:aws:s3:::data/alice/1", region="us-east-1", service_context=context)
    policy = {"Version": "2012-10-17", "Statement": {"Action": "*", "Resource": "*", **statement}}
    return iam_evaluator.evaluate(request, [iam_evaluator.parse_policy_document(policy)]).decision


class Conditions(unittest.TestCase):
    def test_the_principal_of_a_session_is_its_role_with_its_path(self):
        self.assertEqual(identity.role_of(SESSION), ROLE)
        self.assertEqual(verdict({"Effect": "Allow", "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}}}), "Allow")
        self.assertEqual(verdict({"Effect": "Allow", "Condition": {"ArnEquals": {"aws:PrincipalArn": SESSION}}}),
                         "ImplicitDeny")

    def test_a_variable_stands_for_the_requests_own_value(self):
        statement = {"Effect": "Allow", "Condition": {"StringEquals": {"aws:ResourceTag/a": "${aws:ResourceTag/b}"}}}
        self.assertEqual(verdict(statement, **{"aws:resourcetag/a": "1", "aws:resourcetag/b": "1"}), "Allow")
        self.assertEqual(verdict(statement, **{"aws:resourcetag/a": "1", "aws:resourcetag/b": "2"}), "ImplicitDeny")
        self.assertEqual(verdict(statement, **{"aws:resourcetag/a": "1"}), "ImplicitDeny")

    def test_a_variable_in_a_resource(self):
        statement = {"Effect": "Allow", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*"}
        self.assertEqual(verdict(statement, **{"aws:principaltag/team": "alice"}), "Allow")
        self.assertEqual(verdict(statement, **{"aws:principaltag/team": "bob"}), "ImplicitDeny")
        self.assertEqual(verdict(statement), "ImplicitDeny")

    def test_a_session_has_the_tags_of_its_role(self):
        condition = {"StringEquals": {"aws:PrincipalTag/countersign:grant": "nightly"}}
        self.assertEqual(verdict({"Effect": "Allow", "Condition": condition}), "Allow")
        condition = {"StringEquals": {"aws:PrincipalTag/countersign:grant": "other"}}
        self.assertEqual(verdict({"Effect": "Allow", "Condition": condition}), "ImplicitDeny")

    def test_an_entry_says_its_external_id_to_the_callers_own_policies(self):
        self.assertEqual(variables.entry_keys({"ExternalId": ["x"], "RoleSessionName": ["jdoe"]}),
                         {"sts:ExternalId": "x", "sts:RoleSessionName": "jdoe"})
        self.assertEqual(variables.entry_keys({"RoleSessionName": ["jdoe"]}), {"sts:RoleSessionName": "jdoe"})
        statement = {"Effect": "Allow", "Condition": {"Null": {"sts:ExternalId": "false"}}}
        self.assertEqual(verdict(statement, **{"sts:externalid": "x"}), "Allow")
        self.assertEqual(verdict(statement), "ImplicitDeny")

    def test_nobody_here_is_an_aws_service(self):
        statement = {"Effect": "Deny", "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}}
        self.assertEqual(verdict(statement), "Deny")


class Resources(unittest.TestCase):
    def test_a_role_is_known_by_its_whole_arn(self):
        arn = iam_actions.extract_resource_arn("iam", "POST", "/", {}, b"", {"RoleName": ["rotator"]}, "us-east-1", ACCOUNT)
        self.assertEqual(arn, ROLE)

    def test_a_mail_is_about_its_sender(self):
        query = {"Action": ["SendEmail"], "Source": ["Countersign <a@b.example>"]}
        arn = iam_actions.extract_resource_arn("ses", "POST", "/", {}, b"", query, "us-east-1", ACCOUNT)
        self.assertEqual(arn, f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/a@b.example")

    def test_what_is_not_there_has_no_policy(self):
        with request_scope(ACCOUNT, "us-east-1"):
            self.assertIsNone(resources.secret_policy(f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:none-a1b2c3"))
            self.assertIsNone(resources.key_policy(f"arn:aws:kms:us-east-1:{ACCOUNT}:key/none"))
            self.assertIsNone(resources.bus_policy(f"arn:aws:events:us-east-1:{ACCOUNT}:rule/none"))


    def test_a_role_has_its_tags(self):
        self.assertEqual(resources.tags_of_role(ROLE)["aws:resourcetag/countersign:grant"], "nightly")
        self.assertEqual(resources.tags_of_role(f"arn:aws:iam::{ACCOUNT}:role/none"), {})
        self.assertEqual(resources.tags_of_role("*"), {})


class Addresses(unittest.TestCase):
    def test_an_apis_address_is_one_that_answers_here(self):
        self.assertEqual(addresses.reachable("https://ab12cd34.execute-api.us-east-1.amazonaws.com/v1/"),
                         os.environ["AWS_ENDPOINT_URL"] + "/_aws/execute-api/ab12cd34/v1/")
        self.assertEqual(addresses.reachable("https://example.com/"), "https://example.com/")

    def test_an_api_is_called_by_aws_name_too(self):
        for host in ("ab12cd34.execute-api.us-east-1.amazonaws.com", f"ab12cd34.execute-api.{app._MINISTACK_HOST}:4566"):
            self.assertEqual(app._parse_execute_api_url(host, "/v1/grants"), ("ab12cd34", "v1", "/grants"))
        self.assertIsNone(app._parse_execute_api_url("example.com", "/v1/grants"))


if __name__ == "__main__":
    unittest.main()
