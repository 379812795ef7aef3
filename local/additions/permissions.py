"""Three places where MiniStack checks permissions otherwise than AWS does, put right.

- PublishBatch is authorized by `sns:Publish`: it has no action of its own (Service Authorization Reference, SNS).
- A Glue database that a request names is a database, not a table (Service Authorization Reference, Glue).
- The gateway listens on loopback, where nobody can listen in, and speaks plain HTTP. It counts as secure transport:
  policies that refuse plain HTTP are for AWS, and would refuse every request here.
"""

import functools
from typing import Any

AUTHORIZED_BY = {"sns:PublishBatch": "sns:Publish"}
DATABASE_ACTIONS = {"glue:CreateDatabase", "glue:DeleteDatabase", "glue:GetDatabase", "glue:UpdateDatabase"}


def install() -> None:
    """Replace the two functions that see every request. Idempotent."""
    from ministack import app
    from ministack.core import iam_evaluator

    if getattr(iam_evaluator.enforce, "as_on_aws", False):
        return
    iam_evaluator.enforce = as_on_aws(iam_evaluator.enforce)
    app.pin_request_origin = over_loopback(app.pin_request_origin)


def as_on_aws(enforce: Any) -> Any:
    """MiniStack's check of one action on one resource, with the action and the resource that AWS checks."""

    @functools.wraps(enforce)
    def checked(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        *context: Any,
        **named: Any,
    ) -> Any:
        if iam_action in DATABASE_ACTIONS:
            resource_arn = resource_arn.replace(":table/", ":database/")
        action = AUTHORIZED_BY.get(iam_action, iam_action)
        return enforce(access_key_id, action, service, region, resource_arn, *context, **named)

    checked.as_on_aws = True  # type: ignore[attr-defined]
    return checked


def over_loopback(pin_request_origin: Any) -> Any:
    """MiniStack's note of where a request came from, as one that nobody could listen in to."""

    @functools.wraps(pin_request_origin)
    def pinned(source_ip: str, _: bool) -> None:
        pin_request_origin(source_ip, True)

    return pinned
