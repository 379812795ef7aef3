"""Figures for people."""

from ops.figures import age, count, hour, size


def test_figures_read_as_people_write_them() -> None:
    assert [size(number) for number in (0, 999, 1000, 1_500_000, 2e9, 3e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2.0 GB",
        "3.0 TB",
    ]
    assert [count(1, "file"), count(0, "file"), count(2000, "row")] == ["1 file", "0 files", "2,000 rows"]
    assert [age(-5), age(59), age(119), age(3700), age(90_000)] == ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h"]


def test_times_are_told_in_utc() -> None:
    assert hour("2026-11-21T10:00:59+01:00") == "2026-11-21 09:00"
