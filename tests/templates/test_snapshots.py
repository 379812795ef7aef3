"""A tripwire: logical ids that change replace or remove what is deployed."""

import json

import pytest

from tests.templates.snapshots import NAMES, path, shapes


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_consists_of_what_it_did(name):
    snapshot = json.loads(path(name).read_text(encoding="utf-8"))

    assert shapes(name) == snapshot, "if meant, run python -m tests.templates.snapshots"
