"""Members of an input, each checked for what it must be.

Each raises InvalidInput as `field: reason. What to write.`; null is as good as absent.
"""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from compaction.errors import InvalidInput, shown

Given = Mapping[str, Any]
Word = TypeVar("Word", bound=str)
Value = TypeVar("Value")

_SHOWN: Final = 60  # characters of a name that is none


def known(field: str, value: object, names: Sequence[str]) -> Given:
    """The members of an object, which has none of other names; `field` is empty for the input itself."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{field or 'input'}: not an object. Write an object of {', '.join(names)}.")
    for name in value:
        if name not in names:
            alike = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean '{alike[0]}'? " if alike else ""
            place = f"{field}.{name[:_SHOWN]}" if field else name[:_SHOWN] or "''"
            raise InvalidInput(f"{place}: unknown field. {hint}Known are {', '.join(names)}.")
    return {name: member for name, member in value.items() if member is not None}


def needed(given: Given, field: str, what: str) -> Any:
    """What stands in a field that must be there."""
    if field not in given:
        raise InvalidInput(f"{field}: missing. Write {what}.")
    return given[field]


def optional(given: Given, field: str, read: Callable[[str, object], Value]) -> Value | None:
    """What `read` makes of a field, None when it is not there."""
    return read(field, given[field]) if field in given else None


def word(field: str, value: object, known_words: Sequence[Word]) -> Word:
    """One of these words."""
    if not isinstance(value, str) or value not in known_words:
        raise InvalidInput(f"{field}: {shown(value)} is unknown. Write one of {', '.join(known_words)}.")
    return cast("Word", value)


def words(field: str, value: object, known_words: Sequence[Word]) -> tuple[Word, ...]:
    """Some of these words, each once and in their order."""
    listed = items(field, value, f"one or more of {', '.join(known_words)}")
    given = {word(field, item, known_words) for item in listed}
    return tuple(item for item in known_words if item in given)


def items(field: str, value: object, what: str) -> list[Any]:
    """A list that is not empty."""
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{field}: {shown(value)} is not a list of something. Write {what}.")
    return value


def number(field: str, value: object, most: int) -> int:
    """A whole number from 1 on."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"{field}: {shown(value)} is out of bounds. Write a whole number from 1 to {most:,}.")
    return value


def limit(field: str, value: object) -> float:
    """A number that a double holds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise InvalidInput(f"{field}: {shown(value)} is no number. Write a limit in the metric's unit.")
    return float(value)


def flag(field: str, value: object) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{field}: {shown(value)} is neither true nor false. Write one of them.")
    return value


def text(field: str, value: object, most: int) -> str:
    """A text for people, without the blanks around it."""
    if not isinstance(value, str) or not 0 < len(value.strip()) <= most or not is_unicode(value):
        raise InvalidInput(f"{field}: {shown(value)} is no text for it. Write one of 1 to {most:,} characters.")
    return value.strip()


def is_unicode(value: str) -> bool:
    """Whether a text can be written down: JSON lets halves of characters (`\\ud800`) through."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no double holds
        return False
