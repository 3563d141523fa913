"""What a test asks the emulator itself, under /_countersign/. Nothing of Countersign's calls it.

    GET  /_countersign/invocations            every run of a function so far: its name, start and end in Unix seconds, and
                                              of a rotation the step and the version
    GET  /_countersign/archives               every archive with the events in it, which AWS shows by replay only
    POST /_countersign/next-window?secret=ARN opens the secret's next rotation window now; its schedule does the rest
    POST /_countersign/hold?step=setSecret    lets every rotation wait before this step
    POST /_countersign/release                and go on
"""

import json
import threading
import time

from ministack import app
from ministack.services import eventbridge, lambda_svc

from . import resources, rotation

_invocations = []
_lock = threading.Lock()
_held = set()  # steps of rotations that wait
_released = threading.Event()


def install():
    lambda_svc._execute_function_dispatch = _record(lambda_svc._execute_function_dispatch)
    original = app._handle_pre_body_request

    async def handle(method, path, headers, query_params, request_id):
        if path.startswith("/_countersign/"):
            status, body = answer(method, path.removeprefix("/_countersign/"), query_params)
            return status, {"Content-Type": "application/json"}, json.dumps(body).encode()
        return await original(method, path, headers, query_params, request_id)

    app._handle_pre_body_request = handle


def answer(method, what, query):
    """(status, body) of a control request."""
    if (method, what) == ("GET", "invocations"):
        with _lock:
            return 200, list(_invocations)
    if (method, what) == ("GET", "archives"):
        return 200, list(eventbridge._archives.to_dict().values())
    if (method, what) == ("POST", "hold"):
        _released.clear()
        _held.update(query.get("step", []))
        return 200, {"held": sorted(_held)}
    if (method, what) == ("POST", "release"):
        _held.clear()
        _released.set()
        return 200, {"held": []}
    if (method, what) == ("POST", "next-window"):
        secret = resources.secret_anywhere(query.get("secret", [""])[0])
        if secret is None:
            return 404, {"error": "no such secret: give its full ARN"}
        if not secret.get("_Opens"):
            return 409, {"error": "the secret has no schedule"}
        rotation.make_due(secret)
        return 200, {"secret": secret["ARN"]}
    return 404, {"error": "known: GET invocations and archives, POST next-window?secret=, hold?step= and release"}


def _record(original):
    def dispatch(func, config, event, request_id, started):
        if isinstance(event, dict) and event.get("Step") in _held:
            _released.wait()
        entry = {"function": config.get("FunctionName", ""), "start": time.time(), "end": None}
        if isinstance(event, dict) and "Step" in event:
            entry.update(step=event["Step"], version=event["ClientRequestToken"])
        with _lock:
            _invocations.append(entry)
        try:
            return original(func, config, event, request_id, started)
        finally:
            entry["end"] = time.time()
    return dispatch
