"""Four facts of authorization that MiniStack's plain-HTTP gateway and its tables get differently from AWS.

The embedded AWS never leaves this machine, so its requests count as secure transport, as if TLS had ended at the
gateway: bucket and topic policies that refuse plain HTTP are the deployed ones. And AWS has no permission of the name
`sns:PublishBatch`: `sns:Publish` covers it
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html). The database that a Glue
request names is a database, not a table
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsglue.html), and who may look at a map run is
asked of that run, not of all
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html).
"""

import json
from typing import Any

PERMISSIONS = {"sns:PublishBatch": "sns:Publish"}
DATABASE_ACTIONS = {"glue:CreateDatabase", "glue:DeleteDatabase", "glue:GetDatabase", "glue:UpdateDatabase"}


def install() -> None:
    """Let every request be secure, and ask the permission that AWS asks, on the resource that AWS asks it for."""
    from ministack import app
    from ministack.core import iam_actions

    pin, extract = app.pin_request_origin, iam_actions.extract_iam_action
    extract_resource = iam_actions.extract_resource_arn

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001 - replaced by True
        pin(source_ip, True)

    def extract_permission(*request: Any) -> str | None:
        action = extract(*request)
        return PERMISSIONS.get(action, action) if action else None

    def extract_named(service: str, *request: Any) -> Any:
        if service == "states" and (map_run := json.loads(request[3] or b"{}").get("mapRunArn")):
            return map_run
        arn = extract_resource(service, *request)
        action = extract(service, *request[:5]) if service == "glue" else None
        return arn.replace(":table/", ":database/") if action in DATABASE_ACTIONS else arn

    app.pin_request_origin = pin_as_secure
    iam_actions.extract_iam_action = extract_permission
    iam_actions.extract_resource_arn = extract_named
