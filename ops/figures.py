"""Figures as people read them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from rich.table import Table


def size(size_bytes: float) -> str:
    """Bytes in the largest decimal unit that leaves a digit before the point, such as `1.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def count(number: int, noun: str) -> str:
    """A number and its noun, in the plural where there is not one: `1 file`, `2 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def age(seconds: float) -> str:
    """A duration in its two largest units, such as `2 d 3 h`; below an hour in one."""
    whole = timedelta(seconds=max(0, round(seconds)))
    hours, rest = divmod(whole.seconds, 3600)
    minutes = rest // 60
    if whole.days:
        return f"{whole.days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{rest} s"


def hour(iso: str) -> str:
    """An ISO-8601 time in UTC to the minute, such as `2026-11-21 09:00`."""
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M}"


def facts(title: str, rows: Mapping[str, str]) -> Table:
    """Names and what stands beside them, as a table."""
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table
