"""Function errors by name: a failed function's `errorType` is the class of its exception, as state machines expect.

MiniStack says `Runtime.HandlerError` for every exception of a Python function, so that neither Retry nor Catch of a
state machine could tell one from another (AWS Lambda developer guide, "Errors and exceptions in Python").
"""

import re
from typing import Any

UNNAMED = "Runtime.HandlerError"


def install() -> None:
    """Name the error of every failed invocation. Idempotent."""
    from ministack.services import lambda_svc

    execute = lambda_svc._execute_function_warm
    if getattr(execute, "names_errors", False):
        return

    def execute_and_name(func: dict[str, Any], event: dict[str, Any], request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = execute(func, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == UNNAMED:
            body["errorType"] = error_type(str(body.get("errorMessage", "")), result.get("log", ""))
        return result

    execute_and_name.names_errors = True  # type: ignore[attr-defined]
    lambda_svc._execute_function_warm = execute_and_name


def error_type(message: str, log: str) -> str:
    """The class of the exception with this message, from the traceback at the end of an invocation's log."""
    first = message.partition("\n")[0]
    tail = re.escape(f": {first}") if first else "$"
    found = re.findall(rf"^(?:[\w.<>]+\.)?(\w+){tail}", log, re.MULTILINE)
    return str(found[-1]) if found else UNNAMED
