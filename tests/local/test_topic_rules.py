"""Topic rules: what a message is, what an action writes and where."""

import pytest
from ministack.services import iot

from local.additions.delivery import iot_actions, rule_sql


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"a": NaN}', b'{"a": -Infinity}', b"{'a': 1}"])
def test_what_is_not_json_is_text(payload: bytes) -> None:
    assert rule_sql.message(payload) == payload.decode()


def test_invalid_utf_8_is_no_value() -> None:
    assert rule_sql.message(b"\xff") is iot._MISSING


def test_an_action_writes_compact_json() -> None:
    assert iot_actions.content({"a": [1, "é"]}) == b'{"a":[1,"\\u00e9"]}'
    assert iot_actions.content("text") == b"text"
    assert iot_actions.content(b"\xff") == b"\xff"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${topic(3)}", "press-1"),
        ("errors/${topic(3)}/${line.number}.json", "errors/press-1/7.json"),
        ("${nothing}", "undefined"),
        ("plain", "plain"),
    ],
)
def test_a_template_is_filled_in_from_the_message(template: str, expected: str) -> None:
    message = iot_actions.Message("plant/readings/press-1/data", b'{"line": {"number": 7}}', None)
    token = iot_actions._message.set(message)
    try:
        assert iot_actions.substitute(template) == expected
    finally:
        iot_actions._message.reset(token)
