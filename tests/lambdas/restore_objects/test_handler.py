"""The function `restore_objects`, on the embedded AWS, which has objects restored as S3 does, in seconds."""

import time
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from compaction.archive import listed, objects
from compaction.errors import ObjectArchived
from compaction.hours import Window
from reprocessing.keys import frozen_key, plan_key
from reprocessing.manifests import DecodeTask, Plan
from reprocessing.plan.frozen import copy_of
from restore_objects import handler
from tests.lake import AT, NOW, Lake, reading
from tests.lambdas.reprocessing import decodes


@pytest.fixture
def frozen(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> DecodeTask:
    """A run over two objects, both in Glacier."""
    monkeypatch.setenv("RAW_BUCKET", lake.raw)
    monkeypatch.setenv("PROCESSED_BUCKET", lake.processed)
    handler._restorer.cache_clear()
    for number, name in enumerate("ab"):
        key = lake.put(name, [reading(at=AT + number)])
        place = {"Bucket": lake.raw, "Key": key}
        lake.s3.copy_object(**place, CopySource=place, StorageClass="GLACIER")
    task = DecodeTask("00000", tuple(objects(lake.s3, lake.raw, Window(None, NOW))))
    plan = Plan("run", decodes.request(), decodes.RULES, "", None, 1, 2, 1, 0, 0, 0, 2, 1)
    lake.store.write(plan_key("run"), msgspec.json.encode(plan))
    lines = (msgspec.json.encode(planned) + b"\n" for planned in task.objects)
    lake.store.write(frozen_key("run"), b"".join(lines))
    return task


def copies(lake: Lake) -> list[datetime | None]:
    """Until when there are copies of the objects, as a listing says."""
    return [item.copy_until for item in listed(lake.s3, lake.raw, Window(None, NOW))]


def test_objects_in_glacier_are_refused_restored_and_decoded(
    lake: Lake, frozen: DecodeTask, context: SimpleNamespace
) -> None:
    context.get_remaining_time_in_millis = lambda: 900_000
    with pytest.raises(ObjectArchived, match=frozen.objects[0].key):
        decodes.decoder(lake).decode("run", frozen)

    answers: list[dict[str, Any]] = [handler.handle({"run_id": "run"}, context)]
    assert copies(lake) == [None, None]
    while answers[-1]["waiting"]:
        time.sleep(0.2)
        answers.append(handler.handle({"run_id": "run"}, context))

    assert answers[0] == {"waiting": 2, "restored": 0, "wait_s": 900}
    assert answers[-1] == {"waiting": 0, "restored": 2, "wait_s": 900}
    assert decodes.decoder(lake).decode("run", frozen).objects[1].stored == 1
    until = [copy_of(lake.s3.head_object(Bucket=lake.raw, Key=one.key)).until for one in frozen.objects]
    assert copies(lake) == until != [None, None]
