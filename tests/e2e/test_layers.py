"""What the embedded AWS does with the layers of a function."""

import json
from pathlib import Path

import boto3
import pytest

from tests.e2e.resources import function, layer, role

pytestmark = pytest.mark.e2e

FILES = {"python/handler.py": "", "python/shared.py": "", "python/msgspec.py": ""}
"""One is in the code of the functions as well, one in what runs the emulator."""

SOURCE = """
import msgspec, shared

def handle(event, context):
    return [msgspec.__file__, shared.__file__]
"""


@pytest.mark.usefixtures("emulator")
def test_modules_are_found_in_the_code_then_in_the_layer_then_in_the_runtime_and_a_layer_is_unpacked_once() -> None:
    packages, caller = layer("packages", FILES), role("layered", "lambda", ("s3:ListBucket", "arn:aws:s3:::layered"))
    found = []

    for name in ("first", "second"):
        function(name, caller, SOURCE, packages)
        answer = boto3.client("lambda").invoke(FunctionName=name)
        found.append([Path(file) for file in json.loads(answer["Payload"].read())])

    (msgspec, shared), again = found
    assert msgspec.parent == shared.parent
    assert again == [msgspec, shared]
