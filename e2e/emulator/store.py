"""Small ways into MiniStack's secret store that the other modules share."""

import contextlib
import time

from ministack.core.responses import error_response_json, request_scope
from ministack.services import secretsmanager

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


def refuse(code, message):
    """Secrets Manager's error answer."""
    return error_response_json(code, message, 400)


def find(secret_id):
    """The stored secret of the caller's account and Region, by name or ARN; None where there is none."""
    return secretsmanager._resolve(secret_id)[1]


def labelled(secret, stage):
    """The id of the version that carries the staging label, or None."""
    return secretsmanager._find_stage_version(secret, stage)[0]


def is_empty(version):
    """Whether RotateSecret made the version and createSecret hasn't filled it yet."""
    return version.get("SecretString") is None and version.get("SecretBinary") is None


def empty_version():
    """A version as RotateSecret makes it: pending, without a value."""
    return {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": [PENDING]}


def everywhere():
    """Every secret of every account and Region."""
    return list(secretsmanager._secrets.to_dict().values())


@contextlib.contextmanager
def at_home(secret):
    """Work in the account and Region of the secret, outside any request."""
    _, _, _, region, account, *_ = secret["ARN"].split(":")
    with request_scope(account, region):
        yield
