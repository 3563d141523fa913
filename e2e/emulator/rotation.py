"""Secrets Manager's rotation engine: RotateSecret, CancelRotateSecret and the schedule.

A rotation makes an empty pending version under the caller's token and then invokes the rotation function four times,
as Secrets Manager does, in the background. A step that fails ends the attempt; the whole rotation is tried again a few
times and then left as it is, with its pending label, which makes every later RotateSecret fail until somebody clears it.

A schedule fires by itself: one thread looks at every secret's next window. Its clock is the machine's, and each secret
may be moved ahead to its next window (see control), so that a test need not wait a month. With ROTATION_CLOCK=stopped
windows open in that way only, so that no test sees one that it did not ask for.
"""

import contextvars
import json
import logging
import os
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, json_response
from ministack.core.router import extract_access_key_id
from ministack.services import lambda_svc, secretsmanager

from . import calendar_rules, store

log = logging.getLogger("rotation")

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
RETRY_AFTER = (1.0, 2.0)  # seconds before the second and the third attempt; AWS names neither count nor delay
TICK = 0.2  # seconds between two looks at the schedule
STOPPED = os.environ.get("ROTATION_CLOCK") == "stopped"

UNFINISHED = "A previous rotation isn\u2019t complete. That rotation will be reattempted."

_running = set()  # ARNs of secrets whose rotation function is at work
_lock = threading.RLock()


def install():
    secretsmanager._rotate_secret = rotate
    _route_by_headers()
    _describe_dates()
    threading.Thread(target=_watch_schedules, daemon=True, name="rotation-schedule").start()


# ---- The API

def rotate(data, access_key=None):
    """RotateSecret. Without an access key the caller is CloudFormation, which MiniStack runs unchecked."""
    secret = store.find(data.get("SecretId"))
    if secret is None:
        return store.refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    if secret.get("DeletedDate"):
        return store.refuse("InvalidRequestException", "The secret was marked for deletion.")
    function_arn = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    if not function_arn:
        return store.refuse("InvalidRequestException",
                            "No Lambda rotation function ARN is associated with this secret.")
    refusal = _may_invoke(secret, function_arn, access_key)
    if refusal:
        return refusal
    rules = data.get("RotationRules") or secret.get("RotationRules") or {}
    try:
        calendar_rules.next_window(rules, _now())
    except calendar_rules.BadSchedule as problem:
        return store.refuse("InvalidParameterException", str(problem))

    answer = {"ARN": secret["ARN"], "Name": secret["Name"]}
    with _lock:
        current = store.labelled(secret, store.CURRENT)
        token = data.get("ClientRequestToken") or str(uuid.uuid4())
        if token == current:
            return json_response({**answer, "VersionId": token})  # the same request again, already done
        if secret["ARN"] in _running or store.labelled(secret, store.PENDING) not in (None, current):
            return store.refuse("InvalidRequestException", UNFINISHED)
        if token in secret["Versions"]:
            return store.refuse("ResourceExistsException", "A version with this token exists.")
        secret.update(RotationLambdaARN=function_arn, RotationRules=rules, RotationEnabled=True)
        _set_next_window(secret)
        if str(data.get("RotateImmediately", True)).lower() == "false":
            _begin(secret, str(uuid.uuid4()), _test)
            return json_response(answer)
        _begin(secret, token, _drive)
    return json_response({**answer, "VersionId": token})


def cancel(data):
    """CancelRotateSecret: ends the schedule, leaves labels where they are."""
    secret = store.find(data.get("SecretId"))
    if secret is None:
        return store.refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    secret.update(RotationEnabled=False, NextRotationDate=None, _Opens=None)
    return json_response({"ARN": secret["ARN"], "Name": secret["Name"]})


def make_due(secret):
    """Move the secret's own calendar ahead to the opening of its next window."""
    with _lock:
        if secret.get("_Opens"):
            secret["_Due"] = True


def _may_invoke(secret, function_arn, access_key):
    """Both must be allowed: the caller by its own policies, Secrets Manager by the function's."""
    function, version = _function(function_arn)
    if version is None:
        return store.refuse("ResourceNotFoundException", "Lambda does not exist or could not be accessed.")
    if access_key:
        denied = iam_evaluator.enforce(access_key, "lambda:InvokeFunction", "lambda", get_region(), function_arn)
        if denied:
            return store.refuse("AccessDeniedException", f"The caller may not invoke {function_arn}.")
    request = iam_evaluator.EvalContext(
        principal_arn="secretsmanager.amazonaws.com", principal_type="Service", principal_account="",
        action="lambda:InvokeFunction", resource_arn=function_arn, region=get_region(),
        service_context={"aws:sourceaccount": get_account_id(), "aws:sourcearn": secret["ARN"]})
    verdict = iam_evaluator.evaluate_resource_policy(
        function["policy"], request, service="secretsmanager.amazonaws.com")
    if verdict.decision != "Allow":
        return store.refuse("AccessDeniedException",
                            f"Secrets Manager cannot invoke the specified Lambda function {function_arn}. "
                            "Ensure that the function policy grants access to secretsmanager.amazonaws.com.")
    return None


def _function(function_arn):
    """The function that an ARN names, and what of it is run: the version or alias at the end of the ARN, if there is one."""
    name, _, qualifier = function_arn.split(":function:")[-1].partition(":")
    function = lambda_svc._functions.get(name)
    return function, lambda_svc._get_func_record_for_qualifier(name, qualifier or None)[0]


# ---- The engine

def _begin(secret, token, work):
    """Make the empty pending version and do the work on it in the background."""
    for version in secret["Versions"].values():
        if store.PENDING in version["Stages"]:
            version["Stages"].remove(store.PENDING)
    secret["Versions"][token] = store.empty_version()
    _start(secret, token, work)


def _start(secret, token, work):
    _running.add(secret["ARN"])

    def run():
        try:
            work(secret, token)
        finally:
            _running.discard(secret["ARN"])

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True, name="rotation").start()


def _drive(secret, token):
    """The four steps, from the first again after a failure."""
    for delay in (0.0, *RETRY_AFTER):
        time.sleep(delay)
        # A version that lost its pending label was abandoned: there is nothing to try again.
        if delay and store.PENDING not in secret["Versions"].get(token, {"Stages": []})["Stages"]:
            return
        if _attempt(secret, token, STEPS):
            secret["LastRotatedDate"] = int(time.time())
            return


def _test(secret, token):
    """What Secrets Manager does where it shall not rotate at once: testSecret on a version that it removes again."""
    try:
        _attempt(secret, token, ("testSecret",))
    finally:
        secret["Versions"].pop(token, None)


def _attempt(secret, token, steps):
    """Run the steps; False at the first that fails."""
    for step in steps:
        _, version = _function(secret["RotationLambdaARN"])
        if version is None:
            return False
        result = lambda_svc._execute_function(version, {
            "Step": step, "SecretId": secret["ARN"], "ClientRequestToken": token, "RotationToken": str(uuid.uuid4())})
        if result.get("error"):
            log.warning("rotation of %s failed in %s: %s", secret["Name"], step, result.get("body"))
            return False
    return True


# ---- The schedule

def _now():
    return datetime.now(timezone.utc)


def _set_next_window(secret, after=None):
    window = calendar_rules.next_window(secret.get("RotationRules") or {}, after or _now())
    opens, closes = window if window else (None, None)
    # AWS tells the date by which it will have rotated: the end of the window.
    secret["NextRotationDate"] = int(closes.timestamp()) if closes else None
    secret["_Opens"] = opens.timestamp() if opens else None


def _watch_schedules():
    while True:
        time.sleep(TICK)
        for secret in store.everywhere():
            try:
                _look(secret)
            except Exception:
                log.exception("schedule of %s", secret["Name"])


def _look(secret):
    opens = secret.get("_Opens")
    open_now = opens and (secret.get("_Due") or not STOPPED and opens <= time.time())
    if not open_now or not secret.get("RotationEnabled") or secret.get("DeletedDate"):
        return
    with _lock, store.at_home(secret):
        if secret["ARN"] in _running:
            return
        # A window that was made due early still counts as used: the next one is the one after it.
        used = datetime.fromtimestamp(max(secret["NextRotationDate"] or 0, time.time()), timezone.utc)
        secret["_Due"] = False
        _set_next_window(secret, used - timedelta(seconds=1))
        pending = store.labelled(secret, store.PENDING)
        log.info("scheduled rotation of %s", secret["Name"])
        if pending not in (None, store.labelled(secret, store.CURRENT)):
            _start(secret, pending, _drive)  # the unfinished one is tried again
        else:
            _begin(secret, str(uuid.uuid4()), _drive)


# ---- Where MiniStack has no seam

def _route_by_headers():
    """RotateSecret has to know its caller, and CancelRotateSecret is unknown to MiniStack."""
    original = secretsmanager.handle_request

    async def handle(method, path, headers, body, query_params):
        action = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        if action == "CancelRotateSecret":
            return cancel(json.loads(body or b"{}"))
        if action == "RotateSecret":
            return rotate(json.loads(body or b"{}"), extract_access_key_id(headers, query_params))
        return await original(method, path, headers, body, query_params)

    secretsmanager.handle_request = handle


def _describe_dates():
    """DescribeSecret tells when the secret rotated last and will rotate next."""
    original = secretsmanager._describe_secret

    def describe(data):
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        secret = store.find(data.get("SecretId"))
        dates = {key: secret[key] for key in ("LastRotatedDate", "NextRotationDate") if secret.get(key)}
        return json_response({**json.loads(body), **dates})

    secretsmanager._describe_secret = describe
