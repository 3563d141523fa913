"""CloudFormation resource types that MiniStack lacks, and three that it treats too kindly.

Each handler calls the service that stands behind the type, as CloudFormation does.
"""

import json

from ministack.services import eventbridge, iam, lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

from . import rotation, store


def install():
    handlers = provisioners._RESOURCE_HANDLERS
    _secret(handlers)
    _role(handlers)
    _version(handlers)
    handlers["AWS::SecretsManager::RotationSchedule"] = _plain(_put_schedule, _drop_schedule)
    handlers["AWS::SecretsManager::ResourcePolicy"] = _plain(_put_secret_policy, _drop_secret_policy)
    handlers["AWS::Events::EventBusPolicy"] = _plain(_put_bus_policy, _drop_bus_policy)
    handlers["AWS::Events::Archive"] = _plain(_put_archive, _drop_archive)
    handlers["AWS::IAM::RolePolicy"] = _plain(_put_role_policy, _drop_role_policy)


def _plain(put, drop):
    """A type whose update does what its create does. put gives the physical id."""
    def create(logical_id, props, _stack):
        physical_id = put(props, logical_id)
        return physical_id, {"Id": physical_id}

    def update(physical_id, old, new, _stack):
        moved = put(new, physical_id)
        if moved != physical_id:
            drop(physical_id, old)
        return moved, {"Id": moved}

    return {"create": create, "update": update, "delete": drop}


def _done(answer, resource_type):
    """Raise what the service refused, so that the deploy fails with the reason."""
    if answer[0] >= 400:
        body = answer[2].decode() if isinstance(answer[2], bytes) else answer[2]
        raise ValueError(f"{resource_type}: {body}")
    return answer


def _true(value):
    """A template's boolean, which may be a string."""
    return str(value).lower() == "true"


# ---- Secrets Manager

def _put_schedule(props, _logical_id):
    rules = dict(props.get("RotationRules") or {})
    if "AutomaticallyAfterDays" in rules:
        rules["AutomaticallyAfterDays"] = int(rules["AutomaticallyAfterDays"])
    _done(rotation.rotate({
        "SecretId": props["SecretId"], "RotationLambdaARN": props.get("RotationLambdaARN"), "RotationRules": rules,
        "RotateImmediately": _true(props.get("RotateImmediatelyOnUpdate", True)),
    }), "AWS::SecretsManager::RotationSchedule")
    return props["SecretId"]


def _drop_schedule(physical_id, _props):
    rotation.cancel({"SecretId": physical_id})


def _put_secret_policy(props, _logical_id):
    policy = props["ResourcePolicy"]
    _done(secretsmanager._put_resource_policy({
        "SecretId": props["SecretId"],
        "ResourcePolicy": policy if isinstance(policy, str) else json.dumps(policy),
    }), "AWS::SecretsManager::ResourcePolicy")
    return props["SecretId"]


def _drop_secret_policy(physical_id, _props):
    secretsmanager._delete_resource_policy({"SecretId": physical_id})


def _secret(handlers):
    """Ref of a secret is its ARN (MiniStack: its name), and GenerateSecretString keeps to its Exclude… properties."""
    known = handlers["AWS::SecretsManager::Secret"]
    provisioners._sm_secret_string = _secret_string

    def name_of(physical_id):
        secret = store.find(physical_id)
        return secret["Name"] if secret else physical_id

    def by_arn(result):
        return result[1]["Arn"], result[1]

    handlers["AWS::SecretsManager::Secret"] = {
        "create": lambda logical_id, props, stack: by_arn(known["create"](logical_id, props, stack)),
        "update": lambda physical_id, old, new, stack, logical_id=None: by_arn(
            known["update"](name_of(physical_id), old, new, stack, logical_id)),
        "update_with_logical_id": True,
        "delete": lambda physical_id, props: known["delete"](name_of(physical_id), props),
    }


def _secret_string(props):
    wanted = props.get("GenerateSecretString")
    if wanted is None or props.get("SecretString"):
        return props.get("SecretString", "")
    options = {key: _true(value) if key.startswith(("Exclude", "Include", "Require")) and key != "ExcludeCharacters"
               else value for key, value in wanted.items()}
    options["PasswordLength"] = int(options.get("PasswordLength", 32))
    answer = _done(secretsmanager._get_random_password(options), "AWS::SecretsManager::Secret")
    made = json.loads(answer[2])["RandomPassword"]
    if "SecretStringTemplate" not in wanted:
        return made
    return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: made})


# ---- EventBridge

def _put_bus_policy(props, logical_id):
    bus, sid = props.get("EventBusName", "default"), props["StatementId"]
    if props.get("Statement"):
        statement = {"Sid": sid, **props["Statement"]}
        policy = eventbridge._event_bus_policies.setdefault(bus, {"Version": "2012-10-17", "Statement": []})
        policy["Statement"] = [s for s in policy["Statement"] if s.get("Sid") != sid] + [statement]
    else:
        wanted = {key: props[key] for key in ("Principal", "Action", "Condition") if key in props}
        _done(eventbridge._put_permission({"EventBusName": bus, "StatementId": sid, **wanted}),
              "AWS::Events::EventBusPolicy")
    return f"{bus}|{sid}"


def _drop_bus_policy(physical_id, _props):
    bus, _, sid = physical_id.partition("|")
    eventbridge._remove_permission({"EventBusName": bus, "StatementId": sid})


def _put_archive(props, logical_id):
    name = props.get("ArchiveName") or logical_id
    pattern = props.get("EventPattern") or ""
    data = {
        "ArchiveName": name, "EventSourceArn": props["SourceArn"], "Description": props.get("Description", ""),
        "EventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern),
        "RetentionDays": int(props.get("RetentionDays", 0)),
    }
    act = eventbridge._update_archive if name in eventbridge._archives else eventbridge._create_archive
    _done(act(data), "AWS::Events::Archive")
    return name


def _drop_archive(physical_id, _props):
    eventbridge._delete_archive({"ArchiveName": physical_id})


# ---- IAM

def _put_role_policy(props, _logical_id):
    document = props.get("PolicyDocument", {})
    _done(iam._put_role_policy({
        "RoleName": props["RoleName"], "PolicyName": props["PolicyName"],
        "PolicyDocument": document if isinstance(document, str) else json.dumps(document),
    }), "AWS::IAM::RolePolicy")
    return f"{props['PolicyName']}|{props['RoleName']}"


def _drop_role_policy(physical_id, _props):
    policy, _, role = physical_id.partition("|")
    iam._delete_role_policy({"RoleName": role, "PolicyName": policy})


def _role(handlers):
    """A role keeps the tags that no template gave it, and can't be deleted while it has inline policies of others."""
    known = handlers["AWS::IAM::Role"]

    def update(physical_id, old, new, stack, logical_id=None):
        role = iam._roles.get(physical_id)
        ours = {tag["Key"] for tag in old.get("Tags", []) + new.get("Tags", [])}
        kept = [tag for tag in role["Tags"] if tag["Key"] not in ours] if role else []
        result = known["update"](physical_id, old, new, stack, logical_id)
        iam._roles[result[0]]["Tags"] += kept
        return result

    def delete(physical_id, props):
        role = iam._roles.get(physical_id)
        declared = {policy.get("PolicyName") for policy in props.get("Policies", [])}
        foreign = sorted(set(role["InlinePolicies"]) - declared) if role else []
        if foreign:
            raise ValueError(f"DeleteConflict: {physical_id} still has the inline policies {', '.join(foreign)}")
        known["delete"](physical_id, props)

    handlers["AWS::IAM::Role"] = {**known, "update": update, "delete": delete}


# ---- Lambda

def _version(handlers):
    """PublishVersion makes no version of other code than CodeSha256 says. MiniStack doesn't look."""
    known = handlers["AWS::Lambda::Version"]

    def checked(props):
        function = lambda_svc._functions.get(props["FunctionName"].split(":")[-1]) or {"config": {}}
        want, found = props.get("CodeSha256"), function["config"].get("CodeSha256")
        if want and want != found:
            raise ValueError(f"AWS::Lambda::Version: CodeSHA256 ({want}) is different from current CodeSHA256 in $LATEST ({found}). "
                             "Please try again with the CodeSHA256 in $LATEST.")

    def create(logical_id, props, stack):
        checked(props)
        return known["create"](logical_id, props, stack)

    def update(physical_id, old, new, stack, logical_id=None):
        checked(new)
        return known["update"](physical_id, old, new, stack, logical_id=logical_id)

    handlers["AWS::Lambda::Version"] = {**known, "create": create, "update": update}
