"""The topic rule actions `kinesis` and `s3`, which MiniStack leaves out.

https://docs.aws.amazon.com/iot/latest/developerguide/kinesis-rule-action.html and s3-rule-action.html; an action that
fails raises, so that the rule's error action runs.
"""

import contextvars
import dataclasses
import functools
import json
import re
import time
from typing import Any

from local.additions import services

ROLE_SESSION = "iot-rule"
PERMISSION_S = 1.0  # for which a role's permission is taken as known: a rule runs for every message

_SUBSTITUTION = re.compile(r"\$\{([^}]*)\}")


@dataclasses.dataclass(frozen=True)
class Message:
    """The message that a rule works on, for substitution templates."""

    topic: str
    payload: bytes
    client_id: str | None


_message: contextvars.ContextVar[Message] = contextvars.ContextVar("rule_message")


def install() -> None:
    """Add the actions to MiniStack's rules engine."""
    from ministack.services import iot

    run_actions, dispatch = iot._run_rule_actions, iot._dispatch_rule_action

    async def run_with_message(
        account: str,
        region: str,
        rule: dict[str, Any],
        payload: bytes,
        topic: str = "",
        client_id: str | None = None,
    ) -> None:
        token = _message.set(Message(topic, payload, client_id))
        try:
            await run_actions(account, region, rule, payload, topic, client_id)
        finally:
            _message.reset(token)

    async def dispatch_more(account: str, region: str, rule_name: str, action: dict[str, Any], event: Any) -> None:
        from ministack.core.responses import request_scope

        if "kinesis" in action:
            with request_scope(account, region):
                put_record(action["kinesis"], event)
        elif "s3" in action:
            with request_scope(account, region):
                await put_object(action["s3"], event)
        else:
            await dispatch(account, region, rule_name, action, event)

    iot._run_rule_actions = run_with_message
    iot._dispatch_rule_action = dispatch_more
    iot._RULE_ACTION_RESOURCE_KEYS |= {"kinesis": ("streamName",), "s3": ("bucketName",)}


def put_record(action: dict[str, Any], event: Any) -> None:
    """Put the event on the stream. Raises RefusedError when the stream is not there or the role may not."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import kinesis

    arn = f"arn:aws:kinesis:{get_region()}:{get_account_id()}:stream/{action['streamName']}"
    _demand(action["roleArn"], "kinesis:PutRecord", arn, int(time.monotonic() / PERMISSION_S))
    key = substitute(action.get("partitionKey") or "${newuuid()}")
    if not kinesis.put_record_internal(arn, key, content(event)):
        raise services.RefusedError(
            f"ResourceNotFoundException: Stream {action['streamName']} is not there or not active"
        )


async def put_object(action: dict[str, Any], event: Any) -> None:
    """Write the event as an object. Raises RefusedError when the bucket is not there or the role may not."""
    bucket, key = action["bucketName"], substitute(action["key"])
    services.demand(action["roleArn"], ROLE_SESSION, ("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}"))
    await services.put_object_on_loop(bucket, key, content(event))


def content(event: Any) -> bytes:
    """What an action writes: compact JSON, or the text of a message that is none."""
    if isinstance(event, bytes):
        return event
    return event.encode() if isinstance(event, str) else json.dumps(event, separators=(",", ":")).encode()


def substitute(template: str) -> str:
    """Fill in a substitution template from the message; an expression without a value gives "undefined"."""
    from ministack.services import iot

    message = _message.get()

    def value(match: re.Match[str]) -> str:
        decoded = iot._rule_message(message.payload)
        found = iot._eval_select_expr(match[1], message.topic, message.payload, decoded, message.client_id)
        text = iot._sql_as_string(found)
        return "undefined" if text is None else str(text)

    return _SUBSTITUTION.sub(value, template)


@functools.lru_cache(maxsize=64)
def _demand(role_arn: str, action: str, resource: str, _moment: int) -> None:
    """`services.demand`, asked again every PERMISSION_S seconds; a refusal is not remembered."""
    services.demand(role_arn, ROLE_SESSION, (action, resource))
