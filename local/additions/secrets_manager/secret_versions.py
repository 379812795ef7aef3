"""Versions of secrets as AWS keeps them: a version that a rotation has begun has no value, and a value never changes.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

import json
from typing import Any

from local.additions.services import STATUS_ERROR

Properties = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

VALUES = ("SecretString", "SecretBinary")


def install() -> None:
    """Keep versions so, and generate a stack's secrets as GetRandomPassword does, exclusions included."""
    from ministack.services import secretsmanager
    from ministack.services.cloudformation import provisioners

    put, get, given = secretsmanager._put_secret_value, secretsmanager._get_secret_value, provisioners._sm_secret_string

    def put_once(request: Properties) -> Answer:
        _, secret = secretsmanager._resolve(request.get("SecretId"))
        version = secret["Versions"].get(request.get("ClientRequestToken")) if secret else None
        if version and _has_value(version):
            return _repeated(secret, request, version)
        if secret and "AWSPENDING" in request.get("VersionStages", ()):
            secretsmanager._remove_stage_everywhere(secret, "AWSPENDING", request.get("ClientRequestToken"))
        answer: Answer = put(request)
        return answer

    def get_what_is_there(request: Properties) -> Answer:
        _, secret = secretsmanager._resolve(request.get("SecretId"))
        version = _asked_for(secret, request) if secret else None
        if version is not None and not _has_value(version):
            return _error("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
        answer: Answer = get(request)
        return answer

    def generate(properties: Properties) -> str:
        wanted = properties.get("GenerateSecretString")
        return _generated(wanted) if wanted else str(given(properties))

    secretsmanager._put_secret_value = put_once
    secretsmanager._get_secret_value = get_what_is_there
    provisioners._sm_secret_string = generate


def _has_value(version: Properties) -> bool:
    return any(version.get(value) is not None for value in VALUES)


def _asked_for(secret: Properties, request: Properties) -> Properties | None:
    """The version of a request; one that is given by id and by label has to be both."""
    from ministack.services import secretsmanager

    version_id, stage = request.get("VersionId"), request.get("VersionStage")
    if not version_id:
        _, found = secretsmanager._find_stage_version(secret, stage or "AWSCURRENT")
        return found  # type: ignore[no-any-return]
    version: Properties | None = secret["Versions"].get(version_id)
    return {} if version and stage and stage not in version["Stages"] else version


def _repeated(secret: Properties, request: Properties, version: Properties) -> Answer:
    from ministack.core.responses import json_response

    if any(version.get(value) != request.get(value) for value in VALUES):
        return _error("ResourceExistsException", "A resource with the ID you requested already exists.")
    told = {"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": request["ClientRequestToken"]}
    answer: Answer = json_response({**told, "VersionStages": list(version["Stages"])})
    return answer


def _generated(wanted: Properties) -> str:
    from ministack.services import secretsmanager

    _, _, answer = secretsmanager._get_random_password(wanted)
    text: str = json.loads(answer)["RandomPassword"]
    if "SecretStringTemplate" not in wanted:
        return text
    return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: text})


def _error(code: str, message: str) -> Answer:
    from ministack.core.responses import error_response_json

    answer: Answer = error_response_json(code, message, STATUS_ERROR)
    return answer
