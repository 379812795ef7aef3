"""What the additions need of MiniStack's own services: a role's permissions, and writing an object."""

import functools
from typing import Any

STATUS_ERROR = 400


class RefusedError(Exception):
    """A service answered an error, or a role does not allow what it is used for; the message is AWS's."""


def demand(role_arn: str, session: str, *requests: tuple[str, str]) -> None:
    """Raise RefusedError unless the role allows every (action, resource ARN), as AWS would when it acts for us."""
    from ministack import app
    from ministack.core import iam_evaluator as evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import iam

    if not app.AUTH:
        return
    account, role = get_account_id(), role_arn.rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{account}:assumed-role/{role}/{session}"
    policies = evaluator._gather_role_policies(role, account)
    limits = evaluator._permissions_boundary(iam._roles, role, account)
    for action, resource in requests:
        context = evaluator.EvalContext(
            principal_arn=principal,
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=get_region(),
        )
        if evaluator.evaluate(context, policies, *limits).decision != "Allow":
            raise RefusedError(
                f"AccessDenied: {principal} is not authorized to perform: {action} on resource: {resource}"
            )


def demand_of_policy(policy: str, service: str, action: str, resource: str, conditions: dict[str, str]) -> None:
    """Raise RefusedError unless a resource's policy lets an AWS service do something under these condition keys."""
    from ministack import app
    from ministack.core import iam_evaluator as evaluator
    from ministack.core.responses import get_account_id, get_region

    if not app.AUTH:
        return
    context = evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
        secure_transport=True,
        service_context={key.lower(): value for key, value in conditions.items()},
    )
    if evaluator.evaluate_resource_policy(policy, context, service=service).decision != "Allow":
        raise RefusedError(f"AccessDenied: {service} is not authorized to perform: {action} on resource: {resource}")


def put_object(bucket: str, key: str, body: bytes) -> None:
    """Write an object from a thread other than the event loop's. Raises RefusedError."""
    from ministack import app
    from ministack.services import s3

    put = functools.partial(s3.handle_request, internal=True)
    _check(app.call_service_handler_sync(put, "PUT", f"/{bucket}/{key}", _headers(body), body, {}))


async def put_object_on_loop(bucket: str, key: str, body: bytes) -> None:
    """Write an object from the event loop. Raises RefusedError."""
    from ministack.services import s3

    _check(await s3.handle_request("PUT", f"/{bucket}/{key}", _headers(body), body, {}, internal=True))


def _headers(body: bytes) -> dict[str, str]:
    return {
        "host": "s3.localhost",
        "content-type": "application/octet-stream",
        "content-length": str(len(body)),
    }


def _check(answer: tuple[Any, ...]) -> None:
    status, _, body = answer
    if status >= STATUS_ERROR:
        raise RefusedError(
            f"S3 answered {status}: {body.decode(errors='replace') if isinstance(body, bytes) else body}"
        )
