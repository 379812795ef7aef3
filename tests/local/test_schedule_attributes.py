"""Scheduler fills the scheduled time into a target's input."""

from typing import Any

import pytest
from ministack.services import eventbridge

from local.additions import schedule_attributes

CALLED_S = 1_795_339_223.7  # 2026-11-22T09:20:23.7Z


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Inputs that targets were called with; the addition is installed until the test ends."""
    inputs: list[str] = []
    monkeypatch.setattr(eventbridge, "_invoke_target", lambda target, *_: inputs.append(target["Input"]))
    schedule_attributes.install()
    return inputs


def call(source: str, expression: str) -> None:
    target: dict[str, Any] = {"Arn": "machine", "Input": '{"at":"<aws.scheduler.scheduled-time>"}'}
    event = {"Source": source, "Time": CALLED_S}
    eventbridge._invoke_target(target, event, {"ScheduleExpression": expression})


@pytest.mark.parametrize(
    ("expression", "time"),
    [
        ("cron(20 * * * ? *)", "2026-11-22T09:20:00Z"),
        ("rate(1 hours)", "2026-11-22T09:20:23Z"),
        ("at(2026-11-22T09:19:30)", "2026-11-22T09:19:30Z"),
    ],
)
def test_the_input_has_the_time_that_the_schedule_meant(sent: list[str], expression: str, time: str) -> None:
    call("aws.scheduler", expression)

    assert sent == [f'{{"at":"{time}"}}']


def test_the_input_of_an_event_rule_stays_as_it_is(sent: list[str]) -> None:
    call("aws.events", "rate(1 hour)")

    assert sent == ['{"at":"<aws.scheduler.scheduled-time>"}']
