"""What can happen to a side effect, and a lake that is as it was, to have it happen to each in turn."""

import contextlib
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.lake import Lake, in_memory
from tests.memory_aws import Effect, Effects

Fault = Callable[[Effect], Any]

_CHANCE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b([0-9a-f]{16}|[0-9a-f]{64})\b|\d{12,}|(?<=-m)\d+(?=\.avro)"
    r"|(?<=put item ).+"
)


class Died(BaseException):
    """The process is gone: no code of its own sees this."""


def dies_before(_: Effect) -> None:
    raise Died


def dies_after(effect: Effect) -> None:
    effect()
    raise Died


def never_arrives(_: Effect) -> None:
    raise ReadTimeoutError(endpoint_url="aws")


def loses_its_answer(effect: Effect) -> None:
    effect()
    raise ReadTimeoutError(endpoint_url="aws")


def is_refused_for_now(_: Effect) -> None:
    raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")


def label(name: str) -> str:
    """The name of a side effect without what is left to chance: the same in every process.

    So are the numbers of manifests and the keys of items, which are written side by side, and hashes of what gzip has
    put a date into.
    """
    return _CHANCE.sub("*", name)


def copy_of(made: Lake) -> Lake:
    """A lake in memory, as if it were built anew, with no side effect counted yet."""
    lake = Lake(aws=in_memory(Effects()))
    lake.raw, lake.processed, lake.database, lake.metrics = made.raw, made.processed, made.database, made.metrics
    lake.partition_by, lake.decoding = made.partition_by, made.decoding
    lake.s3.buckets = {name: dict(objects) for name, objects in made.s3.buckets.items()}
    lake.s3.now = made.s3.now
    lake.glue.tables = dict(made.glue.tables)
    return lake


def fail_at(lake: Lake, point: int, fault: Fault, drive: Callable[[], object]) -> None:
    """Drive a run into the fault; what is lost may be made up for on the spot, but for whoever dies all is over."""
    effects = lake.s3.effects

    def at_the_point(number: int, effect: Effect) -> Any:
        if number > point and fault in (dies_before, dies_after):
            raise Died
        return fault(effect) if number == point else effect()

    effects.fault = at_the_point
    with contextlib.suppress(Died, OSError, ReadTimeoutError, ClientError):
        drive()
    assert len(effects.names) > point, "the run never came to this point"
    effects.fault = None


def rows_at_every_effect(lake: Lake, drive: Callable[[], object]) -> list[list[dict[str, Any]]]:
    """What a reader finds in the table after each side effect of a run."""
    seen = []

    def look(_: int, effect: Effect) -> Any:
        answer = effect()
        seen.append(lake.rows())
        return answer

    lake.s3.effects.fault = look
    drive()
    return seen
