"""What becomes of a task's readings in the hot table: compared with what it holds, and written where they differ."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import replace

from compaction.ahead import ahead
from compaction.columns import readings_of
from reprocessing.errors import TableBusy
from reprocessing.hot_table import KEYS, HotTable, NewerItem, RefusedItem, TimeIsUp, content, is_newer
from reprocessing.manifests import HotRefusal, HotResult
from sensors.hot_items import Item, Items

REFUSALS_LISTED: Final = 20

Outcome = Literal["written", "unchanged", "newer"] | HotRefusal


class Candidate(NamedTuple):
    """What the table should hold and what it does, and how many readings before it are past their time.

    The last has no item: there are no more readings, or there is no more time.
    """

    item: Item | TimeIsUp | None
    held: Item | None
    expired: int


class Settler(NamedTuple):
    """The table, how its items are made, and of which run they are: `started_at` in the form of `processed_at`."""

    table: HotTable
    items: Items
    run_id: str
    started_at: str

    def settle(self, result: HotResult, pieces: Iterable[pa.Table], metrics: Sequence[str], now_s: float) -> HotResult:
        """Take up rows in order of key, and say with the counts of `result` how far they got.

        Raises TableBusy when none was settled for want of time, and what `HotTable` raises.
        """
        begun = result
        try:
            for candidate, outcome in ahead(self._settle, self._candidates(pieces, metrics, now_s)):
                result = self._counted(result, candidate, outcome)
        except TimeIsUp as why:
            if result is begun:
                raise TableBusy(
                    f"Not one reading of task {result.task_id} was settled in this invocation: {why}. What is written "
                    "stays; redrive the execution when the hot table takes writes again."
                ) from None
            return result
        return replace(result, done=True)

    def _candidates(self, pieces: Iterable[pa.Table], metrics: Sequence[str], now_s: float) -> Iterator[Candidate]:
        try:
            yield from self._compared(pieces, metrics, now_s)
        except TimeIsUp as why:  # raised where its turn is, after what was found until then
            yield Candidate(why, None, 0)

    def _compared(self, pieces: Iterable[pa.Table], metrics: Sequence[str], now_s: float) -> Iterator[Candidate]:
        expired = 0
        for piece in pieces:
            kept = pc.indices_nonzero(pc.greater_equal(piece["received_at"], self.items.kept_from_ms(now_s)))
            taken = 0
            for start in range(0, len(kept), KEYS):
                page = kept[start : start + KEYS]
                readings = readings_of(piece.take(page), metrics)
                items = [self.items.item(reading, self.started_at) for reading in readings]
                held = {self.items.identity(item): item for item in self.table.read(map(self.items.key, items))}
                for place, item in zip(page.to_pylist(), items, strict=True):
                    yield Candidate(
                        item | {"reprocessed_by": {"S": self.run_id}},
                        held.get(self.items.identity(item)),
                        expired + place - taken,
                    )
                    expired, taken = 0, place + 1
            expired += piece.num_rows - taken
        yield Candidate(None, None, expired)

    def _settle(self, candidate: Candidate) -> Outcome | None:
        item, held = candidate.item, candidate.held
        if isinstance(item, TimeIsUp):
            raise item
        if item is None:
            return None
        if held is not None and content(held) == content(item):
            return "written" if held.get("reprocessed_by") == item["reprocessed_by"] else "unchanged"
        if held is not None and is_newer(held, item):
            return "newer"
        try:
            self.table.write(item)
        except NewerItem:
            return "newer"
        except RefusedItem as refused:
            return HotRefusal(self.items.identity(item), str(refused))
        return "written"

    def _counted(self, result: HotResult, candidate: Candidate, outcome: Outcome | None) -> HotResult:
        result = replace(result, expired=result.expired + candidate.expired)
        if outcome is None or not isinstance(candidate.item, dict):
            return result
        result = replace(result, after=self.items.identity(candidate.item))
        if isinstance(outcome, HotRefusal):
            refusals = (*result.refusals, outcome)[:REFUSALS_LISTED]
            return replace(result, refused=result.refused + 1, refusals=refusals)
        return replace(result, **{outcome: getattr(result, outcome) + 1})
