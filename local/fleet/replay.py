"""Recorded CSV files as messages: a file a device, original times, every unreadable row counted."""

import dataclasses
import heapq
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.fleet import FleetError
from local.fleet.columns import Columns, read_number, read_time_ms, recognise, split
from local.fleet.message import Kind, Message

EXAMPLES = 10
"""Unreadable rows that are shown; all are counted."""
FUTURE_TOLERANCE_MS = 300_000
"""How far ahead a time may be before the system rejects it (setting `decoding.future_tolerance_s`)."""


@dataclasses.dataclass
class Report:
    """What was read, and what could not be."""

    rows: int = 0
    unreadable: int = 0
    examples: list[str] = dataclasses.field(default_factory=list)
    """The first unreadable rows: file, line and why."""
    ignored_columns: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Columns without numbers, by file."""

    def refuse(self, path: Path, line: int, why: object) -> None:
        """Count a row that cannot be read."""
        self.unreadable += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{path.name}, line {line}: {why}")


@dataclasses.dataclass(frozen=True)
class Recording:
    """One CSV file and how to read it."""

    path: Path
    device_id: str
    columns: Columns

    def messages(self, report: Report, speed: float | None, now_ms: int) -> Iterator[tuple[float, Message]]:
        """The file's rows as messages, each with its place among those of other files.

        With a `speed`, rows are due as far apart as their times divided by it; without, at once, and the files take
        turns. A row with the time of an earlier one is a duplicate, one ahead of `now_ms` will be rejected.
        Unreadable rows go to `report`.
        """
        begin_ms: int | None = None
        seen: set[int] = set()
        for line, at_ms, metrics in self._rows(report):
            begin_ms = at_ms if begin_ms is None else begin_ms
            due_s = max(0.0, (at_ms - begin_ms) / 1000 / speed) if speed else 0.0
            fields = {"device_id": self.device_id, "timestamp": at_ms, "sequence": line - 1} | metrics
            payload = json.dumps(fields, separators=(",", ":")).encode()
            message = Message(self.device_id, due_s, payload, Kind.ANOMALY if metrics.get("anomaly") else Kind.NORMAL)
            if at_ms > now_ms + FUTURE_TOLERANCE_MS:
                message = dataclasses.replace(message, kind=Kind.CLOCK_AHEAD, reason="timestamp_in_future")
            elif at_ms in seen:
                message = dataclasses.replace(message, kind=Kind.DUPLICATE)
            seen.add(at_ms)
            yield (due_s if speed else float(line)), message

    def _rows(self, report: Report) -> Iterator[tuple[int, int, dict[str, float]]]:
        """Line number, time in ms and metrics of each row that can be read."""
        with self.path.open(encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if number == 1 or not line.strip():
                    continue
                report.rows += 1
                try:
                    at_ms, metrics = _read(split(line, self.columns.separator), self.columns)
                except ValueError as why:
                    report.refuse(self.path, number, why)
                    continue
                yield number, at_ms, metrics


def find(path: Path) -> list[Path]:
    """The CSV files of a folder and those below it, or the file itself. Raises FleetError when there is none."""
    found = [path] if path.is_file() else sorted(path.rglob("*.csv"), key=_natural)
    if not found:
        raise FleetError(f"There is no CSV file at {path}.")
    return found


def open_recordings(
    paths: list[Path], separator: str | None = None, names: Mapping[str, str] | None = None
) -> list[Recording]:
    """Recognise each file's separator and columns; `names` maps a meaning (`time` or a metric) to a column.

    A device is named after the file and its folder: `valve1/0.csv` is `valve1-0`. Raises FleetError when a file
    cannot be understood, or when two files would be one device.
    """
    recordings: dict[str, Recording] = {}
    for path in paths:
        device_id = re.sub(r"[^A-Za-z0-9:_-]+", "-", f"{path.absolute().parent.name}-{path.stem}").strip("-")[:128]
        if device_id in recordings:
            raise FleetError(f"{recordings[device_id].path} and {path} would both be device {device_id}.")
        recordings[device_id] = Recording(path, device_id, recognise(path, separator, names or {}))
    return list(recordings.values())


def messages(
    recordings: list[Recording], report: Report, now_ms: int, speed: float | None = None, limit: int | None = None
) -> Iterator[Message]:
    """The rows of all recordings as messages, side by side; each file begins at once. At most `limit` of them."""
    report.ignored_columns |= {each.path.name: each.columns.ignored for each in recordings if each.columns.ignored}
    streams = [recording.messages(report, speed, now_ms) for recording in recordings]
    merged = heapq.merge(*streams, key=lambda placed: placed[0])
    return itertools.islice((message for _, message in merged), limit)


def _read(cells: list[str], columns: Columns) -> tuple[int, dict[str, float]]:
    """Time and metrics of one row. Raises ValueError, saying why, when it cannot be read."""
    if len(cells) != columns.count:
        raise ValueError(f"{len(cells)} cells where the header has {columns.count}")
    at_ms = read_time_ms(cells[columns.time])
    metrics: dict[str, float] = {}
    for index, name in columns.metrics.items():
        value = read_number(cells[index])
        if value is not None:
            metrics[name] = value
    if not metrics:
        raise ValueError("no value")
    if "vibration" not in metrics and "vibration_1" in metrics and "vibration_2" in metrics:
        # the worse of the two: a limit must see either bearing
        metrics["vibration"] = max(metrics["vibration_1"], metrics["vibration_2"])
    return at_ms, metrics


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that puts `2.csv` before `10.csv`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]
