"""Where things are reached. A REST API's address in a stack's outputs is one that this emulator answers.

AWS's is https://<id>.execute-api.<region>.amazonaws.com/<stage>/; here it is
http://127.0.0.1:<port>/_aws/execute-api/<id>/<stage>/, signed and checked all the same. Elsewhere AWS's own stays, in a
role's tags say: who sends a request here that names it as its host is answered, too.
"""

import os
import re

from ministack import app
from ministack.services.cloudformation import stacks

_API = re.compile(r"https://([a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com/")


def install():
    stacks._resolve_stack_outputs = _resolve(stacks._resolve_stack_outputs)
    app._EXECUTE_API_RE = re.compile(
        r"^([a-f0-9]{8})\.execute-api\.(?:" + re.escape(app._MINISTACK_HOST) + r"(?::\d+)?|[a-z0-9-]+\.amazonaws\.com)$")


def _resolve(original):
    def resolve_stack_outputs(*args, **kwargs):
        outputs, exports = original(*args, **kwargs)
        for output in outputs:
            output["OutputValue"] = reachable(output["OutputValue"])
        return outputs, exports
    return resolve_stack_outputs


def reachable(value):
    """The text with every REST API's address replaced by the one here."""
    return _API.sub(os.environ["AWS_ENDPOINT_URL"] + r"/_aws/execute-api/\1/", value)
