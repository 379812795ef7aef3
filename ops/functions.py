"""Functions of a stack, asked for an answer."""

import json
from typing import Any

from botocore.config import Config

from ops.advice import advice
from ops.errors import OpsError
from ops.stack import Stack

_PATIENT = Config(read_timeout=910, tcp_keepalive=True, retries={"total_max_attempts": 1})
"""A function may take 15 minutes, and whoever gave up earlier and asked again would make it work twice."""


def ask(stack: Stack, output: str, event: dict[str, Any]) -> dict[str, Any]:
    """The answer of the function that the stack's output names. Raises OpsError with its error and what to do."""
    name = stack.outputs[output]
    invoked = stack.session.client("lambda", config=_PATIENT).invoke(FunctionName=name, Payload=json.dumps(event))
    body: dict[str, Any] = json.loads(invoked["Payload"].read())
    if "FunctionError" in invoked:
        error = body.get("errorType", invoked["FunctionError"])
        todo = advice([error]) or "Its log says more."
        raise OpsError(f"{name} failed. {error}: {body.get('errorMessage')}\n{todo}")
    return body
