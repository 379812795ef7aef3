"""What the columns of a recorded CSV file mean: its separator, its time, its metrics."""

import csv
import dataclasses
import datetime
import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from config.fields import RESERVED_NAMES
from local.fleet import FleetError

SEPARATORS = ";,\t|"
SAMPLE_ROWS = 50
TIME_NAMES = {"datetime", "timestamp", "time", "date", "ts", "measured_at"}
MEANINGS = {  # columns of the Skoltech Anomaly Benchmark (SKAB), after snake_case
    "accelerometer1_rms": "vibration_1",
    "accelerometer2_rms": "vibration_2",
    "thermocouple": "fluid_temperature",
    "volume_flow_rate_rms": "flow_rate",
}
YEAR_10000_MS = 253_402_300_800_000
MISSING = {"", "na", "nan", "n/a", "null", "none"}
MAX_METRICS = 62
"""A payload carries 64 metrics; two are ours: `sequence` and `vibration`."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """How to read a file's rows."""

    separator: str
    count: int
    time: int
    metrics: dict[int, str]
    """Position of a column → name of its metric."""
    ignored: tuple[str, ...]
    """Columns that hold neither the time nor numbers."""


def recognise(path: Path, separator: str | None, names: Mapping[str, str]) -> Columns:
    """Find out what a file's columns mean from its header and first rows.

    `names` maps a meaning to a column's name and comes before what is recognised. A file of one column `value` beside
    the time gives the metric the file's name. Raises FleetError, naming the file and what to give.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first, *rest = itertools.islice(itertools.chain(lines, [""]), 1 + SAMPLE_ROWS)
    separator = separator or max(SEPARATORS, key=first.count)
    header = _cells(first, separator)
    given = {_position(path, header, column): meaning for meaning, column in names.items()}
    sample = [cells for cells in (_cells(line, separator) for line in rest) if len(cells) == len(header)]
    time = next((index for index, meaning in given.items() if meaning == "time"), None)
    time = _find_time(path, header, sample) if time is None else time
    metrics = {
        index: given.get(index) or _meaning(name)
        for index, name in enumerate(header)
        if index != time and _is_numeric([cells[index] for cells in sample])
    }
    metrics = {index: name for index, name in metrics.items() if name and name not in RESERVED_NAMES}
    if [*metrics.values()] == ["value"] and not names:
        metrics = dict.fromkeys(metrics, _snake(path.stem) or "value")
    if not 1 <= len(set(metrics.values())) == len(metrics) <= MAX_METRICS:
        raise FleetError(
            f"{path}: found the metrics {sorted(metrics.values())}. 1 to {MAX_METRICS} are needed, with different "
            "names. Give their names with --columns metric=column,…, or the separator with --separator."
        )
    ignored = tuple(name for index, name in enumerate(header) if index != time and index not in metrics)
    return Columns(separator, len(header), time, metrics, ignored)


def split(line: str, separator: str) -> list[str]:
    """The cells of one line. A line is a row: a stray quote spoils one row, not the rest of the file.

    Raises ValueError when it is no row, such as one with a cell of more than 128 KiB.
    """
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _cells(line: str, separator: str) -> list[str]:
    """The cells of a line of the header or the sample; none of a line that cannot be read."""
    try:
        return split(line, separator)
    except ValueError:
        return []


def read_time_ms(text: str) -> int:
    """A time as ms since 1970: a date and time (UTC without an offset), or a number of seconds or milliseconds.

    Numbers from 1e11 are milliseconds, as in the payload. Raises ValueError when it is neither, or not of the years
    1970 to 9999.
    """
    try:
        number = float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        number = moment.timestamp() * 1000
    else:
        number = number if number >= 1e11 else number * 1000
    if not 0 <= number < YEAR_10000_MS:
        raise ValueError(f"'{text}' is not a time from 1970 to 9999")
    return round(number)


def read_number(text: str) -> float | None:
    """A cell's number; None for an empty cell. Raises ValueError when it holds anything else."""
    if text.strip().lower() in MISSING:
        return None
    number = float(text)
    if number != 0 and not 1e-130 <= abs(number) < 1e126:  # what a DynamoDB number holds
        raise ValueError(f"'{text}' is not a number that can be stored")
    return number


def _position(path: Path, header: list[str], column: str) -> int:
    if column not in header:
        raise FleetError(f"{path} has no column '{column}'. It has: {', '.join(header)}.")
    return header.index(column)


def _find_time(path: Path, header: list[str], sample: list[list[str]]) -> int:
    """The column that holds the time: by its name, or else the first that holds dates."""
    for index, name in enumerate(header):
        if _snake(name) in TIME_NAMES and any(_is_time(cells[index]) for cells in sample):
            return index
    for index in range(len(header)):
        texts = [cells[index] for cells in sample]
        if texts and not _is_numeric(texts) and all(_is_time(text) for text in texts):
            return index
    raise FleetError(f"{path}: no column holds times. Give its name with --columns time=column.")


def _is_time(text: str) -> bool:
    try:
        read_time_ms(text)
    except ValueError:
        return False
    return True


def _is_numeric(texts: list[str]) -> bool:
    """Whether most of a column's cells are numbers."""
    numbers = 0
    for text in texts:
        try:
            numbers += read_number(text) is not None
        except ValueError:
            numbers -= 1
    return numbers > 0


def _meaning(column: str) -> str:
    name = _snake(column)
    return MEANINGS.get(name, name)


def _snake(name: str) -> str:
    """`Volume Flow RateRMS` → `volume_flow_rate_rms`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:255]
