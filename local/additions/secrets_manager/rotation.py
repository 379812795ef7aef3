"""Rotation of secrets: MiniStack has the API as a stub that copies the value, and no resource type for the schedule.

Here a rotation is what AWS does: the four steps, invoked one after the other as the service, whose permission is asked
first. A rotation that failed stays pending, and the next request tries it again. Nothing rotates by the calendar: the
shortest interval is longer than an embedded AWS runs.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
"""

import contextvars
import json
import logging
import threading
import uuid
from typing import Any

from local.additions.services import STATUS_ERROR, RefusedError, demand_of_policy

TYPE = "AWS::SecretsManager::RotationSchedule"
SERVICE = "secretsmanager.amazonaws.com"
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

Properties = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

logger = logging.getLogger("secretsmanager")


def install() -> None:
    """Make RotateSecret rotate, and teach CloudFormation the schedule."""
    from ministack.services import secretsmanager
    from ministack.services.cloudformation import provisioners

    secretsmanager._rotate_secret = rotate
    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[TYPE] = ("SecretId",)


def create(_logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, Properties]:
    """The schedule, named by its secret. Raises RefusedError."""
    request = {
        "SecretId": properties["SecretId"],
        "RotationLambdaARN": properties["RotationLambdaARN"],
        "RotationRules": properties["RotationRules"],
        "RotateImmediately": properties.get("RotateImmediatelyOnUpdate", True),
    }
    status, _, answer = rotate(request)
    content = json.loads(answer)
    if status >= STATUS_ERROR:
        raise RefusedError(f"{content['__type']}: {content['message']}")
    return content["ARN"], {"Id": content["ARN"]}


def update(_physical_id: str, _old: Properties, new: Properties, stack_name: str) -> tuple[str, Properties]:
    """The same schedule with other properties. Raises RefusedError."""
    return create("", new, stack_name)


def delete(physical_id: str, _properties: Properties) -> None:
    """No more rotations; a secret that is gone already is fine."""
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(physical_id)
    if secret:
        secret["RotationEnabled"] = False


def rotate(request: Properties) -> Answer:
    """RotateSecret: configures the rotation, and begins one unless `RotateImmediately` is false."""
    from ministack.services import secretsmanager

    _, secret = secretsmanager._resolve(request.get("SecretId"))
    if not secret:
        return _error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    function_arn = request.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    if not function_arn:
        return _error("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")
    try:
        _demand_invocation(function_arn)
    except RefusedError:
        return _error(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants"
            f" access to the principal {SERVICE}.",
        )
    secret["RotationLambdaARN"] = function_arn
    secret["RotationRules"] = request.get("RotationRules") or secret.get("RotationRules")
    secret["RotationEnabled"] = True
    if request.get("RotateImmediately") is False:
        return _answer(secret)
    return _begin(secret, function_arn, request.get("ClientRequestToken") or str(uuid.uuid4()))


def _begin(secret: Properties, function_arn: str, version: str) -> Answer:
    from ministack.services import secretsmanager

    pending, found = secretsmanager._find_stage_version(secret, "AWSPENDING")
    if pending is not None and "AWSCURRENT" not in found["Stages"]:
        _run(secret["ARN"], function_arn, pending)
        message = "A previous rotation isn't complete. That rotation will be reattempted."
        return _error("InvalidRequestException", message)
    secretsmanager._remove_stage_everywhere(secret, "AWSPENDING")
    secret["Versions"][version] = {"CreatedDate": secret["LastChangedDate"], "Stages": ["AWSPENDING"]}
    _run(secret["ARN"], function_arn, version)
    return _answer(secret, VersionId=version)


def _run(secret_arn: str, function_arn: str, version: str) -> None:
    """Invoke the steps in a thread of their own, with this request's account and region."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_steps, secret_arn, function_arn, version), daemon=True).start()


def _steps(secret_arn: str, function_arn: str, version: str) -> None:
    from ministack.services import lambda_svc

    for step in STEPS:
        function, config, name = lambda_svc._get_func_record_for_ref(function_arn)
        if not function:
            logger.warning("rotation: function %s is gone", name)
            return
        event = {"Step": step, "SecretId": secret_arn, "ClientRequestToken": version, "RotationToken": version}
        record = lambda_svc._execution_record_for_config(function, config)
        result = lambda_svc._execute_function_with_config_scope(record, event)
        if result.get("error"):
            logger.warning("rotation: %s of %s failed: %s", step, name, result.get("body"))
            return


def _demand_invocation(function_arn: str) -> None:
    from ministack.core.responses import get_account_id
    from ministack.services import lambda_svc

    policy, account = lambda_svc.function_policy_for_arn(function_arn) or ({}, get_account_id())
    source = {"aws:SourceAccount": account or get_account_id()}
    demand_of_policy(json.dumps(policy), SERVICE, "lambda:InvokeFunction", function_arn, source)


def _answer(secret: Properties, **more: str) -> Answer:
    from ministack.core.responses import json_response

    answer: Answer = json_response({"ARN": secret["ARN"], "Name": secret["Name"], **more})
    return answer


def _error(code: str, message: str) -> Answer:
    from ministack.core.responses import error_response_json

    answer: Answer = error_response_json(code, message, STATUS_ERROR)
    return answer
