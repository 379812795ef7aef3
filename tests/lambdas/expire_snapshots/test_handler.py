"""The function that expires snapshots, on the embedded AWS."""

from typing import Any

import msgspec
import pytest

import environment
from expire_snapshots import handler
from sensors.settings import Optimization
from tests.lake import AT, Lake, reading


@pytest.fixture
def configured(deployed: Lake) -> Lake:
    """A table with three snapshots of now, of which a day is the youngest that may go."""
    for number in range(3):
        deployed.put(f"{number}", [reading(at=AT + number)])
        deployed.run(f"run-{number}")
    return deployed


def snapshots(lake: Lake) -> int:
    return len(lake.table().metadata.snapshots)


def keep(monkeypatch: pytest.MonkeyPatch, newest: int, days: int) -> None:
    kept = Optimization(keep_snapshots=newest, keep_days=days, orphan_days=16)
    settings = msgspec.structs.replace(environment.settings(), optimization=kept)
    monkeypatch.setattr(handler, "settings", lambda: settings)


def test_the_function_keeps_what_the_settings_say(
    configured: Lake, context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = configured.rows()
    answers: list[Any] = []
    for newest, days in ((1, 7), (10, 0), (2, -1)):  # a negative age makes a snapshot of now an old one
        keep(monkeypatch, newest, days)
        answers.append(handler.handle({"run_id": "upkeep"}, context))

    assert answers == [{"expired": 0, "kept": 3}, {"expired": 0, "kept": 3}, {"expired": 1, "kept": 2}]
    assert handler.handle({"run_id": "upkeep"}, context) == {"expired": 1, "kept": 2}
    assert configured.rows() == rows
    assert snapshots(configured) == 2


def test_a_dry_run_names_what_would_go_and_expires_nothing(
    configured: Lake, context: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, 1, -1)
    oldest = [str(snapshot.snapshot_id) for snapshot in configured.table().metadata.snapshots[:2]]

    answer = handler.handle({"run_id": "status", "dry_run": True}, context)

    assert (answer["expired"], answer["kept"]) == (2, 1)
    assert [snapshot["id"] for snapshot in answer["snapshots"]] == oldest
    assert snapshots(configured) == 3
