"""A function that raised stays warm.

On AWS an environment outlives an exception of the handler, with everything that the function keeps between calls; only
a process that ends or runs out of time is replaced
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html). MiniStack replaces it after every
exception: whoever calls next pays for a cold start and never meets what a failed call left behind.
"""

from typing import Any

RAISED = 'json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()})'
"""What MiniStack's Python worker answers when the handler raised; it would go on reading calls."""
MARK = "raised"


def install() -> None:
    """Let the worker answer such that MiniStack keeps it, and call the answer an error again afterwards."""
    from ministack.core import lambda_runtime

    invoke = lambda_runtime.Worker.invoke

    def invoke_and_keep(worker: Any, *args: Any, **options: Any) -> dict[str, Any]:
        response: dict[str, Any] = invoke(worker, *args, **options)
        return response | {"status": "error"} if response.pop(MARK, False) else response

    answer = RAISED.replace('"status": "error"', f'"status": "ok", "{MARK}": True')
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(RAISED, answer)
    lambda_runtime.Worker.invoke = invoke_and_keep
