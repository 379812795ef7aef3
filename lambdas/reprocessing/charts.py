"""Charts as SVG without a text in them: numbers in, marks out, so that they are readable at any width.

A chart fills the box that it stands in, whatever its proportions; what its axes say stands around it, as text of the
page. Colours are those of the page's classes `before`, `after` and `given`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from markupsafe import Markup

WIDTH: Final = 1000
HEIGHT: Final = 240

Band = tuple[float, float]
"""The smallest and the largest value within one bucket of time."""

_MARGIN: Final = 6  # a line at the edge keeps its width


def bands(title: str, named: Sequence[tuple[str, Sequence[Band | None]]], low: float, high: float) -> Markup:
    """Bands over time, one over the other: of each its class and, bucket by bucket, what it spans from `low` to `high`.

    Buckets without a value are passed over.
    """
    paths = (_band(name, buckets, low, high) for name, buckets in named)
    return _svg(title, paths)


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


def _band(name: str, buckets: Sequence[Band | None], low: float, high: float) -> Markup:
    """Along the largest values, and back along the smallest; where they are the same it is a line."""
    step = WIDTH / max(len(buckets), 1)
    held = [((at + 0.5) * step, band) for at, band in enumerate(buckets) if band is not None]
    there = [(x, _y(band[1], low, high)) for x, band in held]
    back = [(x, _y(band[0], low, high)) for x, band in reversed(held)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*there, *back))
    return Markup('<polygon class="{}" points="{}"/>').format(name, points) if held else Markup()


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
