"""Topic rules at the speed of a fleet: each statement is parsed once, each message decoded once, and only JSON is JSON.

MiniStack takes a rule's SQL apart again for every message. What takes it apart are pure functions of text, so their
results are kept.
"""

import functools
import json
from typing import Any, NoReturn

PARSERS = (
    "_rule_topic_filter",
    "_rule_select_clause",
    "_rule_where_clause",
    "_split_select_items",
    "_split_select_alias",
    "_parse_where",
)


def install() -> None:
    """Keep what MiniStack's SQL parsers answer, and replace its message decoder."""
    from ministack.services import iot

    for name in PARSERS:
        setattr(iot, name, functools.lru_cache(maxsize=512)(getattr(iot, name)))
    iot._rule_message = message


@functools.lru_cache(maxsize=4)  # every rule on a topic asks for the same one
def message(payload: bytes) -> Any:
    """The message as rules see it: a JSON value, else text, else (invalid UTF-8) MiniStack's mark for no value.

    NaN and Infinity are not JSON, whatever Python's decoder thinks.
    """
    from ministack.services import iot

    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return iot._MISSING
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
