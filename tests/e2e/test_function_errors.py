"""What the embedded AWS does with a function that raises."""

import json

import boto3
import pytest

from tests.e2e.resources import function, role

pytestmark = pytest.mark.e2e

SOURCE = """
calls = []

def handle(event, context):
    calls.append(event)
    print("call", len(calls))
    if event["fails"]:
        raise LookupError(f"call {len(calls)}")
    return len(calls)
"""


@pytest.mark.usefixtures("emulator")
def test_a_function_that_raised_stays_warm_and_says_what_it_raised() -> None:
    function("raises", role("raises", "lambda", ("s3:ListBucket", "arn:aws:s3:::raises")), SOURCE)

    def call(*, fails: bool) -> tuple[object, bool]:
        answer = boto3.client("lambda").invoke(FunctionName="raises", Payload=json.dumps({"fails": fails}))
        return json.loads(answer["Payload"].read()), "FunctionError" in answer

    for number in (1, 2):
        said, failed = call(fails=True)
        assert failed
        assert isinstance(said, dict)
        assert (said["errorType"], said["errorMessage"]) == ("LookupError", f"call {number}")
    assert call(fails=False) == (3, False)
