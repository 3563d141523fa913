"""A REST API that is called from another account. MiniStack looks for it in the caller's account and answers 404; AWS asks
the API's policy and the caller's own, and refuses unless both allow.

Here both are asked, so that a refusal is one. A call that both allow is still not found: nothing of ours allows one.
"""

from ministack import app
from ministack.core.arn import execute_api_arn
from ministack.core.responses import get_account_id
from ministack.core.router import extract_access_key_id
from ministack.services import apigateway_v1


def install():
    original = app._enforce_execute_api

    def enforce_execute_api(api_id, stage, method, execute_path, headers, query_params,
                            iam_action="execute-api:Invoke"):
        owner = _owner(api_id)
        signed = extract_access_key_id(headers, query_params)
        if not signed or owner is None or owner[0] == get_account_id():
            return original(api_id, stage, method, execute_path, headers, query_params, iam_action)
        arn = execute_api_arn(owner[1], owner[0], api_id, stage, method, execute_path)
        return app._enforce_data_plane("apigateway", iam_action, headers, query_params, "", resource_arn=arn)

    app._enforce_execute_api = enforce_execute_api


def _owner(api_id):
    """(account, region) of a REST API, or None."""
    for (account, region, stored), _ in apigateway_v1._rest_apis.all_items():
        if stored == api_id:
            return account, region
    return None
