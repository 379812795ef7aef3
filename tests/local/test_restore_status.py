"""A listing says of restored objects what S3's documentation says it does, and only when it is asked."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import session
from botocore.parsers import create_parser
from ministack.core.responses import request_scope
from ministack.services import s3

from local.additions import restore_status

BUCKET = "archive"
RESTORE = b"<RestoreRequest><Days>%d</Days></RestoreRequest>"
LIST = session.get_session().get_service_model("s3").operation_model("ListObjectsV2")


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bucket of an account of its own; the addition is installed until the test ends."""
    monkeypatch.setattr(s3, "_dispatch", s3._dispatch)
    restore_status.install()
    with request_scope("000000019000", "eu-central-1"):
        ask("PUT")
        yield
        s3._buckets.pop(BUCKET)


def ask(method: str, key: str = "", body: bytes = b"", headers: Any = None, **query: str) -> bytes:
    answer = s3._dispatch(method, BUCKET, key, headers or {}, body, {name: [value] for name, value in query.items()})
    assert answer[0] < 300
    text: bytes = answer[2]
    return text


def freeze(key: str, *, days: int = 0, is_ready: bool = True) -> None:
    """Have an object in Glacier, and a copy of it if it is to be kept for some days."""
    ask("PUT", key, b"readings", {"x-amz-storage-class": "GLACIER"})
    if days:
        ask("POST", key, RESTORE % days, restore="")
    if days and is_ready:
        s3._buckets[BUCKET]["objects"][key]["restore"]["available_at"] = 0.0


def listed(*, asked: bool = True, **query: str) -> dict[str, Any]:
    """What a client reads out of a listing: by key, the status of the copy."""
    headers = {"x-amz-optional-object-attributes": "RestoreStatus"} if asked else {}
    response = {"status_code": 200, "headers": {}, "body": ask("GET", headers=headers, **{"list-type": "2"} | query)}
    page = create_parser("rest-xml").parse(response, LIST.output_shape)
    return {item["Key"]: item.get("RestoreStatus") for item in page["Contents"]}


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("query", [{}, {"encoding-type": "url"}])
def test_copies_that_are_there_or_made_are_told_of_and_no_others(query: dict[str, str]) -> None:
    ask("PUT", "warm", b"readings")
    freeze("frozen")
    freeze("restoring", days=1, is_ready=False)
    freeze("a+copy", days=3)
    expires = s3._buckets[BUCKET]["objects"]["a+copy"]["restore"]["expires_at"]

    found = listed(**query)

    assert {key.replace("%2B", "+"): status for key, status in found.items()} == {
        "a+copy": {"IsRestoreInProgress": False, "RestoreExpiryDate": datetime.fromtimestamp(expires, UTC)},
        "frozen": None,
        "restoring": {"IsRestoreInProgress": True},
        "warm": None,
    }


@pytest.mark.usefixtures("archive")
def test_a_copy_that_is_gone_is_not_told_of() -> None:
    freeze("frozen", days=1)
    s3._buckets[BUCKET]["objects"]["frozen"]["restore"]["expires_at"] = 1.0

    assert listed() == {"frozen": None}


@pytest.mark.usefixtures("archive")
def test_nothing_is_told_that_is_not_asked_for() -> None:
    freeze("frozen", days=1)

    assert listed(asked=False) == {"frozen": None}
    assert listed() != {"frozen": None}
