"""The snippet of docs/webhook.md verifies what the function sends, and nothing else."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webhook.credentials import generate, parse
from webhook.signing import headers

PAGE = Path(__file__).parents[3] / "docs" / "webhook.md"
NOW_S = 1_795_251_600
BODY = b'{"id": "message-1"}'

Verified = Callable[..., Any]


@pytest.fixture(scope="module")
def verified() -> Verified:
    """The function of the page."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(snippet, str(PAGE), "exec"), scope)  # noqa: S102 - it is our own page
    found: Verified = scope["verified"]
    return found


def test_either_key_verifies_a_message_that_two_keys_signed(verified):
    new, old = generate(), generate()
    signed = headers([parse(new), parse(old)], "message-1", NOW_S, BODY)

    for secret in (new, old):
        assert verified(signed, BODY, json.loads(secret)["api_secret"], NOW_S + 299) == {"id": "message-1"}


@pytest.mark.parametrize(
    ("change", "now_s", "reason"),
    [
        ({}, NOW_S + 301, "too old"),
        ({}, NOW_S - 301, "from the future"),
        ({"webhook-id": "message-2"}, NOW_S, "not signed with this key"),
        ({"webhook-timestamp": str(NOW_S + 1)}, NOW_S, "not signed with this key"),
        ({"webhook-signature": "v1,AAAA"}, NOW_S, "not signed with this key"),
    ],
)
def test_what_is_old_or_was_changed_does_not_verify(verified, change, now_s, reason):
    secret = generate()
    signed = headers([parse(secret)], "message-1", NOW_S, BODY) | change

    with pytest.raises(ValueError, match=reason):
        verified(signed, BODY, json.loads(secret)["api_secret"], now_s)


def test_a_message_of_another_key_does_not_verify(verified):
    signed = headers([parse(generate())], "message-1", NOW_S, BODY)

    with pytest.raises(ValueError, match="not signed with this key"):
        verified(signed, BODY, json.loads(generate())["api_secret"], NOW_S)
