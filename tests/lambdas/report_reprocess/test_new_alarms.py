"""Alarms that are new, and the messages that they become."""

from alerting import alerts
from reprocessing.changes import Alarm, Alarms
from reprocessing.report.new_alarms import alert_of, new_alarms
from sensors.reading import Reading
from sensors.rules import Rule
from sensors.settings import Metric, Threshold


def alarm(first_ms: int, last_ms: int | None = None, device: str = "a", above: float = 1.0) -> Alarm:
    return Alarm(device, "temperature", "critical", above, None, first_ms, last_ms or first_ms, 1, 2.0)


def all_of(*listed: Alarm) -> Alarms:
    return Alarms(len(listed), listed)


def test_an_alarm_at_the_time_of_one_of_the_same_rule_before_is_not_new() -> None:
    before = all_of(alarm(10, 20), alarm(50, device="b"), alarm(50, above=9.0))

    found = new_alarms(before, all_of(alarm(5, 9), alarm(19, 30), alarm(21, 25), alarm(50)))

    assert found.compared == 4
    assert [one.first_ms for one in found.alarms] == [5, 21, 50]


def test_what_cannot_be_known_because_lists_end_is_not_compared() -> None:
    before = Alarms(3, (alarm(10), alarm(20)))

    found = new_alarms(before, all_of(alarm(15), alarm(20), alarm(25)))

    assert (found.compared, [one.first_ms for one in found.alarms]) == (2, [15])
    assert new_alarms(Alarms(1, ()), all_of(alarm(15))).compared == 0


def test_the_message_is_the_one_that_the_stream_would_have_sent() -> None:
    threshold = Threshold("critical", above=1.0)
    readings = [Reading("a", at, {"temperature": 2.0}, {}, at, 0, late=False) for at in (10, 20)]

    (sent,) = alerts("factory", readings, [Rule("temperature", "°C", threshold)])

    found = Alarm("a", "temperature", "critical", 1.0, None, 10, 20, 2, 2.0)
    assert alert_of("factory", {"temperature": Metric("°C", (threshold,))}, found) == sent
