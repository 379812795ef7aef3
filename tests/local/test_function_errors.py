"""The error type of a failed function, read from its traceback."""

import traceback

import pytest

from local.additions.functions.function_errors import UNNAMED, error_type


class BadInput(Exception):  # noqa: N818 - the name is what is read
    """An error of a function."""


def log_of(error: Exception) -> str:
    return "INFO: something else\n" + "".join(traceback.format_exception(error))


@pytest.mark.parametrize("message", ["", "from: not a time", "first line\nBadKey: second line", "a.b (c)* [d]"])
def test_the_class_of_the_exception_is_the_error_type(message: str) -> None:
    error = BadInput(message)

    assert error_type(str(error), log_of(error)) == "BadInput"


def test_of_an_error_without_a_traceback_the_type_stays_unknown() -> None:
    assert error_type("Worker process exited", "START\nEND") == UNNAMED
