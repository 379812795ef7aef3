"""Having frozen objects restored: what is asked of S3, when to look again, and what cannot be."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ReadTimeoutError

from compaction.manifests import PlannedObject
from reprocessing.errors import RestoreRefused
from reprocessing.keys import frozen_key, plan_key
from reprocessing.manifests import Plan
from reprocessing.plan.frozen import MOST_LOOKS, WAIT_S, Copy, copy_of
from reprocessing.plan.restoring import Restorer
from reprocessing.request import Request, Scope, Tier
from tests.glacier import GlacierS3, glacier_lake
from tests.lake import Lake

Clock = Callable[[], float]


def always() -> float:
    return 900.0


class Frozen:
    """A run with frozen objects, and looks at them as the state machine has them."""

    def __init__(self, count: int, tier: Tier = "Standard", days: int = 7, storage_class: str = "GLACIER") -> None:
        self.lake: Lake = glacier_lake()
        self.s3: GlacierS3 = self.lake.s3
        self.keys = [self.lake.put(f"{number:05}", []) for number in range(count)]
        for key in self.keys:
            self.s3.freeze(self.lake.raw, key, storage_class)
        request = Request(Scope(0, 1), "archive", ("table",), "apply", 1, tier, days, "test")
        plan = Plan("run", request, "rules", "", None, 1, count, 0, 0, 0, 0, count, 0)
        self.lake.store.write(plan_key("run"), msgspec.json.encode(plan))
        lines = (msgspec.json.encode(PlannedObject(key, 1, "tag")) + b"\n" for key in self.keys)
        self.lake.store.write(frozen_key("run"), b"".join(lines))

    def look(self, time_left_s: Clock = always) -> dict[str, int]:
        return Restorer(self.s3, self.lake.raw, self.lake.processed).look("run", self.s3.now, time_left_s)

    def looks(self, most: int = 120) -> Iterator[dict[str, int]]:
        """Look, and wait as it says, until nothing waits."""
        for _ in range(most):
            answer = self.look()
            yield answer
            if not answer["waiting"]:
                return
            self.s3.now += timedelta(seconds=answer["wait_s"])
        pytest.fail("it never ends")


def test_objects_are_asked_for_once_with_tier_and_days_and_waited_for() -> None:
    frozen = Frozen(40, tier="Standard", days=3)

    answers = list(frozen.looks())

    assert answers[0] == {"waiting": 40, "restored": 0, "wait_s": 900}
    assert answers[-1] == {"waiting": 0, "restored": 40, "wait_s": 900}
    assert len(answers) == 1 + 5 * 4
    wanted = {"Days": 3, "GlacierJobParameters": {"Tier": "Standard"}}
    assert sorted(frozen.s3.requests, key=lambda request: request[0]) == [(key, wanted) for key in frozen.keys]
    assert frozen.s3.get_object(Bucket=frozen.lake.raw, Key=frozen.keys[-1])["Body"].read()


def test_a_look_goes_no_further_than_a_few_objects_that_are_not_there_yet() -> None:
    frozen = Frozen(200)
    frozen.look()
    frozen.s3.looked_at.clear()

    frozen.look()

    assert len(frozen.s3.looked_at) < 40


def test_what_is_restored_under_way_or_no_longer_frozen_is_not_asked_for_again() -> None:
    frozen = Frozen(4)
    for key in frozen.keys[:2]:
        frozen.s3.restore_object(Bucket=frozen.lake.raw, Key=key, RestoreRequest={"Days": 9})
        frozen.s3.now += timedelta(hours=3)
    frozen.s3.freeze(frozen.lake.raw, frozen.keys[2], "STANDARD")
    frozen.s3.requests.clear()

    assert frozen.look() == {"waiting": 3, "restored": 1, "wait_s": 900}

    assert [key for key, _ in frozen.s3.requests] == frozen.keys[3:]


def test_a_copy_that_could_be_gone_before_the_others_are_there_is_asked_for_again() -> None:
    frozen = Frozen(1)
    frozen.s3.restore_object(Bucket=frozen.lake.raw, Key=frozen.keys[0], RestoreRequest={"Days": 1})
    frozen.s3.now += timedelta(hours=20)
    frozen.s3.requests.clear()

    assert frozen.look()["waiting"] == 0

    assert len(frozen.s3.requests) == 1
    assert copy_of(frozen.s3.head_object(Bucket=frozen.lake.raw, Key=frozen.keys[0])).until == (
        frozen.s3.now + timedelta(days=7)
    )


def test_two_that_met_at_one_object_are_both_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = Frozen(1)
    restore_object = frozen.s3.restore_object

    def after_another(**request: Any) -> None:
        restore_object(**request)
        restore_object(**request)

    monkeypatch.setattr(frozen.s3, "restore_object", after_another)

    assert list(frozen.looks())[-1] == {"waiting": 0, "restored": 1, "wait_s": 900}


def test_a_look_that_runs_out_of_time_goes_on_where_it_was() -> None:
    frozen = Frozen(100)
    frozen.s3.takes = timedelta(0)
    answers: list[dict[str, int]] = []
    while not answers or answers[-1]["waiting"]:
        clock = iter([900.0] * 30)
        answers.append(frozen.look(lambda clock=clock: next(clock, 0.0)))  # type: ignore[misc]

    assert answers[0] == {"waiting": 100, "restored": 0, "wait_s": 1}
    assert 4 < len(answers) < 12
    assert sorted(key for key, _ in frozen.s3.requests) == frozen.keys


def test_a_run_that_was_through_looks_at_all_again_and_asks_for_what_has_gone_since() -> None:
    frozen = Frozen(5, days=7)
    list(frozen.looks())
    frozen.s3.requests.clear()
    assert frozen.look()["waiting"] == 0
    assert frozen.s3.requests == []

    frozen.s3.now += timedelta(days=8)

    assert next(frozen.looks())["waiting"] == 5
    assert len(frozen.s3.requests) == 5


def test_a_run_that_was_stopped_for_days_is_not_taken_at_its_old_word() -> None:
    frozen = Frozen(3)
    frozen.s3.restore_object(Bucket=frozen.lake.raw, Key=frozen.keys[0], RestoreRequest={"Days": 9})
    frozen.s3.now += timedelta(hours=6)
    assert frozen.look()["restored"] == 1
    frozen.s3.now += timedelta(days=20)

    assert frozen.look()["restored"] == 0
    assert list(frozen.looks())[-1]["waiting"] == 0


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "GlacierExpeditedRetrievalNotAvailable"])
def test_when_s3_has_no_capacity_for_now_the_next_look_asks_again(code: str) -> None:
    frozen = Frozen(30, tier="Expedited")
    frozen.s3.takes = timedelta(minutes=3)
    key = frozen.keys[7]
    frozen.s3.refusals[key] = [code]
    assert frozen.look() == {"waiting": 30, "restored": 0, "wait_s": 60}
    del frozen.s3.refusals[key]

    assert list(frozen.looks())[-1]["waiting"] == 0


def test_a_call_that_was_never_answered_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = Frozen(3)
    restore_object = frozen.s3.restore_object

    def loses_its_answer(**request: Any) -> None:
        restore_object(**request)
        if request["Key"] == frozen.keys[1]:
            raise ReadTimeoutError(endpoint_url="s3")

    monkeypatch.setattr(frozen.s3, "restore_object", loses_its_answer)

    assert frozen.look()["wait_s"] == 60
    assert list(frozen.looks())[-1]["waiting"] == 0
    assert sorted(key for key, _ in frozen.s3.requests) == frozen.keys


def test_what_cannot_be_restored_is_named_ten_at_most_with_reasons_and_how_many() -> None:
    frozen = Frozen(40)
    for key in frozen.keys[5:20]:
        frozen.s3.refusals[key] = ["AccessDenied"]
    frozen.lake.s3.delete_object(Bucket=frozen.lake.raw, Key=frozen.keys[2])

    with pytest.raises(RestoreRefused) as refused:
        frozen.look()

    message = str(refused.value)
    assert message.startswith("At least 16 of the 40 frozen objects of run run cannot be restored: ")
    assert f"{frozen.keys[2]}: NoSuchKey; {frozen.keys[5]}: AccessDenied by the test; " in message
    assert [key in message for key in frozen.keys].count(True) == 10


def test_after_what_was_refused_is_mended_a_look_begins_anew() -> None:
    frozen = Frozen(3)
    frozen.s3.refusals[frozen.keys[1]] = ["AccessDenied"]
    with pytest.raises(RestoreRefused):
        frozen.look()
    frozen.s3.refusals.clear()

    assert list(frozen.looks())[-1] == {"waiting": 0, "restored": 3, "wait_s": 900}


def test_deep_archive_is_not_asked_for_by_a_tier_that_it_does_not_have() -> None:
    frozen = Frozen(2, tier="Expedited", storage_class="DEEP_ARCHIVE")

    with pytest.raises(RestoreRefused, match="S3 does not restore DEEP_ARCHIVE by 'Expedited'; ask for 'Standard'"):
        frozen.look()

    assert frozen.s3.requests == []


def test_a_copy_that_is_gone_before_the_last_is_there_is_named_with_the_remedy() -> None:
    frozen = Frozen(2, tier="Bulk", days=1)
    frozen.s3.restore_object(Bucket=frozen.lake.raw, Key=frozen.keys[1], RestoreRequest={"Days": 1})
    frozen.s3.takes = timedelta(hours=40)

    with pytest.raises(
        RestoreRefused, match=r"00001\.gz: its copy is gone before all were there; raise 'restore.days'"
    ):
        list(frozen.looks())


@pytest.mark.parametrize(("tier", "promised"), [("Expedited", 5 / 60), ("Standard", 12.0), ("Bulk", 48.0)])
def test_a_restore_is_waited_for_until_well_after_what_aws_says_in_a_bounded_number_of_looks(
    tier: Tier, promised: float
) -> None:
    assert WAIT_S[tier] * MOST_LOOKS > 2 * promised * 3600
    frozen = Frozen(2, tier=tier)
    frozen.s3.takes = timedelta(days=90)
    seen = 0

    with pytest.raises(RestoreRefused) as refused:
        for seen, _ in enumerate(frozen.looks(), 1):  # noqa: B007 - how far it came
            pass

    assert MOST_LOOKS <= seen <= MOST_LOOKS + 1
    assert all(key in str(refused.value) for key in frozen.keys)
    assert f"'{tier}': S3 is still restoring" in str(refused.value)
    assert frozen.look()["waiting"] == 2


def test_objects_that_were_asked_for_late_have_as_long_as_the_first() -> None:
    frozen = Frozen(20, tier="Expedited")
    frozen.s3.takes = timedelta(minutes=40)
    clock = iter([900.0] * 10)
    assert frozen.look(lambda: next(clock, 0.0))["waiting"] == 20
    assert len(frozen.s3.requests) < 20
    frozen.s3.now += timedelta(minutes=30)

    assert list(frozen.looks())[-1]["waiting"] == 0


def test_s3_that_never_takes_the_request_is_given_up_too() -> None:
    frozen = Frozen(1, tier="Expedited")
    frozen.s3.refusals[frozen.keys[0]] = ["GlacierExpeditedRetrievalNotAvailable"]

    with pytest.raises(RestoreRefused, match="S3 takes no request for object 1"):
        list(frozen.looks())


@pytest.mark.parametrize(
    ("head", "copy", "readable"),
    [
        ({}, Copy("STANDARD", None), True),
        ({"StorageClass": "GLACIER_IR"}, Copy("GLACIER_IR", None), True),
        ({"StorageClass": "GLACIER"}, Copy("GLACIER", None), False),
        (
            {"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'},
            Copy("DEEP_ARCHIVE", None, in_progress=True),
            False,
        ),
    ],
)
def test_what_s3_says_of_an_object_is_understood(head: dict[str, str], copy: Copy, readable: bool) -> None:
    assert copy_of(head) == copy
    assert copy.is_readable is readable
