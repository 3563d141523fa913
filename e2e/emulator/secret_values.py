"""What Secrets Manager says about versions and labels where MiniStack says something else.

- The same token with the same data is the same request; with other data it is refused.
- The pending label stands on one version only.
- A version that RotateSecret made and nobody has filled has no value to get.
"""

from ministack.core.responses import json_response
from ministack.services import secretsmanager

from . import store


def install():
    secretsmanager._put_secret_value = _put(secretsmanager._put_secret_value)
    secretsmanager._get_secret_value = _get(secretsmanager._get_secret_value)


def _put(original):
    def put_secret_value(data):
        secret = store.find(data.get("SecretId"))
        token, stages = data.get("ClientRequestToken"), data.get("VersionStages") or []
        version = secret["Versions"].get(token) if secret else None
        if version and not store.is_empty(version):
            same = all(version.get(kind) == data.get(kind) for kind in ("SecretString", "SecretBinary"))
            if not same:
                return store.refuse("ResourceExistsException",
                                    "You can't modify an existing version, you can only create a new one.")
            return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token,
                                  "VersionStages": list(version["Stages"])})
        if secret and store.PENDING in stages:
            for version_id, other in secret["Versions"].items():
                if version_id != token and store.PENDING in other["Stages"]:
                    other["Stages"].remove(store.PENDING)
        return original(data)
    return put_secret_value


def _get(original):
    def get_secret_value(data):
        secret = store.find(data.get("SecretId"))
        if secret and not secret.get("DeletedDate"):
            version_id = data.get("VersionId") or store.labelled(secret, data.get("VersionStage", store.CURRENT))
            version = secret["Versions"].get(version_id)
            if version and store.is_empty(version):
                return store.refuse("ResourceNotFoundException",
                                    "Secrets Manager can't find the specified secret value for VersionId: "
                                    + version_id)
            if version and data.get("VersionStage") not in (None, *version["Stages"]):
                return store.refuse("InvalidRequestException",
                                    "The version does not carry the staging label that you named.")
        return original(data)
    return get_secret_value
