"""What the embedded AWS's functions see of the process that has loaded their packages."""

import json
import sys
from typing import Any

import boto3
import pytest

from local import state
from tests.e2e.resources import eventually, function, role

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("emulator")]

SOURCE = """
import sys
loaded = "pyiceberg.catalog.glue" in sys.modules

import os, random, time

def handle(event, context):
    if event.get("hang"):
        time.sleep(600)
    return {
        "loaded": loaded, "pid": os.getpid(), "name": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "cwd": os.getcwd(),
        "random": random.random(), "path": sys.path[:1],
    }
"""


def call(name: str, event: dict[str, Any]) -> dict[str, Any]:
    answer = boto3.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    return found


@pytest.fixture(scope="module")
def functions() -> list[str]:
    names, caller = ["forked-first", "forked-second"], role("forked", "lambda", ("s3:ListBucket", "arn:aws:s3:::none"))
    for name in names:
        function(name, caller, SOURCE)
    return names


@pytest.mark.skipif(sys.platform == "darwin", reason="forks are not safe there")
def test_functions_find_their_packages_loaded_and_share_nothing_else(functions: list[str]) -> None:
    answers = [call(name, {}) for name in functions]

    assert all(answer["loaded"] for answer in answers)
    assert [answer["name"] for answer in answers] == functions
    for answer in answers:
        assert answer["path"] == [answer["cwd"]]
    for own in ("pid", "cwd", "random"):
        assert answers[0][own] != answers[1][own], own


def test_a_function_that_takes_too_long_is_ended_and_the_next_call_finds_another_process(functions: list[str]) -> None:
    name = functions[0]
    before = call(name, {})["pid"]
    boto3.client("lambda").update_function_configuration(FunctionName=name, Timeout=1)
    hung = call(name, {})["pid"]

    assert "timed out" in call(name, {"hang": True})["errorMessage"]

    assert eventually(lambda: state.started(hung) is None)
    assert call(name, {})["pid"] not in {before, hung}
