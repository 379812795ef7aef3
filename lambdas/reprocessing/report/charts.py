"""Charts as SVG without a text in them: numbers in, marks out, so that they are readable at any width.

A chart fills the box that it stands in, whatever its proportions; what its axes say stands around it, as text of the
page. Colours and strokes are those of the page's classes `before`, `after`, `now` and `given`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from markupsafe import Markup

WIDTH: Final = 1000
HEIGHT: Final = 240

Band = tuple[float, float]
"""The smallest and the largest value within one bucket of time."""

_MARGIN: Final = 6  # a line at the edge keeps its width
_GAP: Final = 4
"""Buckets without a value are a gap when they are so many times as many as most values have between them."""


def bands(title: str, named: Sequence[tuple[str, Sequence[Band | None]]], low: float, high: float) -> Markup:
    """Bands over time, one over the other: of each its class and, bucket by bucket, what it spans from `low` to `high`.

    Buckets without a value are passed over, and where they are many the band is broken.
    """
    paths = (_band(name, part, len(buckets), low, high) for name, buckets in named for part in _parts(buckets))
    return _svg(title, (_grid(), *paths))


def bars(title: str, named: Sequence[tuple[str, Sequence[int]]], high: int) -> Markup:
    """Groups of bars, up to `high`: of each of a group its class, and its values from group to group."""
    groups = max((len(values) for _, values in named), default=0)
    step = WIDTH / max(groups, 1)
    width = step * 0.8 / max(len(named), 1)
    marks = (
        _bar(name, at * step + step * 0.1 + place * width, width, value / max(high, 1))
        for place, (name, values) in enumerate(named)
        for at, value in enumerate(values)
        if value
    )
    return _svg(title, marks)


def _svg(title: str, marks: Iterable[Markup]) -> Markup:
    return Markup('<svg role="img" viewBox="0 0 {} {}" preserveAspectRatio="none"><title>{}</title>{}</svg>').format(
        WIDTH, HEIGHT, title, Markup().join(marks)
    )


def _grid() -> Markup:
    """A line in the middle, where the scale has its middle."""
    return Markup('<line x1="0" x2="{}" y1="{}" y2="{}"/>').format(WIDTH, HEIGHT // 2, HEIGHT // 2)


def _parts(buckets: Sequence[Band | None]) -> Iterator[list[tuple[int, Band]]]:
    """What stands together: the values, with their places, between one gap and the next."""
    held = [(at, band) for at, band in enumerate(buckets) if band is not None]
    steps = sorted(after - before for (before, _), (after, _) in pairwise(held))
    widest = steps[len(steps) // 2] * _GAP if steps else 0
    part = held[:1]
    for (before, _), (after, band) in pairwise(held):
        if after - before > widest:
            yield part
            part = []
        part.append((after, band))
    if part:
        yield part


def _band(name: str, part: Sequence[tuple[int, Band]], buckets: int, low: float, high: float) -> Markup:
    """Along the largest values, and back along the smallest; where they are the same it is a line."""
    step = WIDTH / buckets
    inner = [((at + 0.5) * step, band) for at, band in part]
    ends = (part[0][0] * step, part[0][1]), ((part[-1][0] + 1) * step, part[-1][1])  # a single one is seen as well
    held = [ends[0], *inner, ends[1]]
    there = [(x, _y(band[1], low, high)) for x, band in held]
    back = [(x, _y(band[0], low, high)) for x, band in reversed(held)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*there, *back))
    return Markup('<polygon class="{}" points="{}"/>').format(name, points)


def _bar(name: str, x: float, width: float, share: float) -> Markup:
    height = max(share * (HEIGHT - _MARGIN), 1.0)  # the smallest is still seen
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        name, x, HEIGHT - height, width, height
    )


def _y(value: float, low: float, high: float) -> float:
    """The middle where all values are the same; halved, so that no difference of doubles overflows."""
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)
