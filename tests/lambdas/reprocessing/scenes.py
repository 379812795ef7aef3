"""What a run of `reprocess` may meet, each as an execution that is about to begin."""

import functools
from datetime import timedelta
from typing import Any

from reprocessing.request import Request, Scope
from sensors.hot_items import Items
from sensors.quarantine import pack
from sensors.reading import Reading
from sensors.settings import Decoding
from tests.faults import copy_of
from tests.lake import AT, HOUR, Lake, in_memory, reading
from tests.lambdas.optimization import by_hand
from tests.lambdas.reprocessing import decodes
from tests.lambdas.reprocessing.execution import Execution, Site
from tests.lambdas.reprocessing.harness import request
from tests.memory_aws import Effects

DECODING = Decoding(future_tolerance_s=7200)
"""Rules by which a record from an hour ahead is a reading; those that the lake was filled by had it rejected."""

THEN = AT - 4 * 86_400
"""The morning that is reprocessed, long over."""
SCOPE = Scope((THEN - 3600) * 1000, (THEN + 36_000) * 1000)
_HOUR = HOUR - timedelta(days=4)
_EVEN = [reading("pump-2", at=THEN + 2), reading("pump-3", at=THEN + 3)]
_AHEAD = reading("pump-9", at=THEN, temperature=150.0, received_at=(THEN - 3600) * 1000)


def asked(**changes: Any) -> Request:
    """A request for both targets, whose unfinished run the next execution carries on."""
    return request(SCOPE, **{"targets": ("table", "hot"), "fresh": False} | changes)


def begin(site: Site, name: str, of: Execution) -> Execution:
    """An execution with the input of another one."""
    return Execution(site, name, of.run.request, of.run.decoding, of.undoes)


def archive() -> Execution:
    """An object and the rules have changed, another object is frozen, one came too late for its hours, one waits."""
    site = Site(_filled())
    _put(site.lake, 200.0, b"{")
    site.lake.put("waiting", [reading("pump-5", at=THEN + 5), reading("pump-1", at=THEN)], _HOUR)
    site.lake.s3.freeze(site.lake.raw, site.lake.put("b", _EVEN, _HOUR))
    return Execution(_real_time(site), "run", asked(alerts="send"), DECODING)


def drain() -> Execution:
    """Records of the archive and of the stream were rejected by a limit that has changed."""
    site = Site(_filled())
    early_ms = (THEN - 3600) * 1000
    lines = [
        decodes.line("timestamp_in_future", "stream", "shardId-0:49", _AHEAD, early_ms),
        decodes.line("not_json", "stream", "shardId-0:50", b"{", early_ms),
    ]
    site.lake.store.write(f"quarantine/reason=mixed/year={_HOUR:%Y/month=%m/day=%d}/streamed.jsonl.gz", pack(lines))
    return Execution(_real_time(site), "run", asked(source="quarantine"), DECODING)


def fewer() -> Execution:
    """Readings would be gone, which nobody has allowed."""
    site = Site(_filled())
    site.lake.put("b", [b"garbage"], _HOUR)
    return Execution(site, "run", asked(targets=("table",)), DECODING)


def unchanged() -> Execution:
    """The table is as the rules of now make it."""
    site = Site(_filled())
    return Execution(_real_time(site), "run", asked(), Decoding())


def beside_compact() -> Execution:
    """The compaction commits what waits as soon as the run has decoded."""
    execution = archive()
    execution.site.meanwhile["plan_merge"] = lambda lake: lake.run("compaction")
    return execution


def beside_optimize() -> Execution:
    """`optimize` replaces all files when the run has merged them."""
    execution = archive()
    execution.site.meanwhile["commit"] = lambda lake: by_hand.optimize(lake, "rewrite")
    return execution


def undo_archive() -> Execution:
    """A run has gone through, and is a mistake."""
    return _undo(archive())


def undo_drain() -> Execution:
    """The same, of the quarantine."""
    return _undo(drain())


def undo_older() -> Execution:
    """Of two runs that have gone through the newer was undone, and now the older is a mistake too."""
    older = archive()
    older.drive()
    _put(older.site.lake, 300.0)
    newer = begin(older.site, "newer", older)
    newer.drive()
    Execution(older.site, "undo-newer", newer.run.request, DECODING, undoes="newer").drive()
    return Execution(older.site, "undo", older.run.request, DECODING, undoes="run")


def _undo(execution: Execution) -> Execution:
    execution.drive()
    return Execution(execution.site, "undo", execution.run.request, DECODING, undoes="run")


def _put(lake: Lake, temperature: float, *more: bytes) -> None:
    """An object with garbage, a record from ahead, and a reading of the night before, of the same partition."""
    changing = reading("pump-2", at=THEN + 1, temperature=temperature)
    night = reading("pump-1", at=THEN - 4 * 3600)
    lake.put("a", [reading("pump-1", at=THEN), changing, _AHEAD, b"garbage", night, *more], _HOUR)


@functools.cache
def _compacted() -> Lake:
    """A morning of two objects, and one that came days later, each a file of the table."""
    lake = Lake(aws=in_memory(Effects()))
    _put(lake, 20.0)
    lake.put("b", _EVEN, _HOUR)
    lake.put("late", [reading("pump-4", at=THEN + 4, temperature=1.0, received_at=AT * 1000)])
    lake.run("before", task_bytes=1)
    return lake


def _filled() -> Lake:
    """A lake of one's own like that."""
    return copy_of(_compacted())


def _real_time(site: Site) -> Site:
    """The hot table has one reading as it should be, one as it was, and one that a correction came for."""
    items = Items(Execution(site, "", asked(), DECODING).run.settings.hot_table)
    for device, second, later_ms in (("pump-1", 0, 50), ("pump-2", 1, 50), ("pump-3", 3, 90)):
        ms = (THEN + second) * 1000
        held = Reading(device, ms, {"temperature": 20.5}, {}, ms + later_ms, 0, late=False)
        site.hot.store(items.item(held, "2026-11-17T09:00:05.000Z"))
    return site
