"""What people may ask of a reprocessing, and what they are told when they ask for something else."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compaction.errors import InvalidInput
from config.settings import load
from reprocessing.parsing import FIELDS, parse
from reprocessing.request import Request, Scope
from sensors.settings import FunctionSettings, Threshold

SETTINGS = msgspec.convert(load("local", {}).model_dump(mode="json"), FunctionSettings).reprocessing
LEAST = {
    "from": "2026-03-01",
    "to": "2026-04-01T00:00:00Z",
    "source": "archive",
    "targets": ["table"],
    "mode": "apply",
    "note": "sensor 7 was scaled wrongly",
}
MARCH = Scope(1_772_323_200_000, 1_775_001_600_000)
RULES = {"pressure": [{"severity": "warning", "above": 9}, {"below": 1.5}], "hum": []}


def asked(**changed: Any) -> Request:
    """The least there is to say, and what else is said; None takes a field away."""
    return parse(LEAST | {"from" if name == "from_" else name: value for name, value in changed.items()}, SETTINGS)


def test_what_is_not_said_is_as_in_the_settings():
    assert asked() == Request(
        scope=MARCH,
        source="archive",
        targets=("table",),
        mode="apply",
        max_rate=SETTINGS.max_rate,
        restore_tier=SETTINGS.restore_tier,
        restore_days=SETTINGS.restore_days,
        note="sensor 7 was scaled wrongly",
    )


def test_everything_can_be_said():
    request = asked(
        devices=["pump-2", "fan-*", "pump-2"],
        source="quarantine",
        reasons=["bad_metric", "not_json"],
        targets=["hot", "table"],
        alerts="send",
        max_rate=7,
        allow_fewer=True,
        fresh=True,
        restore={"tier": "Bulk", "days": 3},
        by="arn:aws:sts::1:assumed-role/operators/ann",
    )

    assert request == Request(
        scope=Scope(MARCH.start_ms, MARCH.end_ms, ("fan-*", "pump-2")),
        source="quarantine",
        targets=("table", "hot"),
        mode="apply",
        max_rate=7,
        restore_tier="Bulk",
        restore_days=3,
        note="sensor 7 was scaled wrongly",
        reasons=("not_json", "bad_metric"),
        alerts="send",
        allow_fewer=True,
        fresh=True,
        by="arn:aws:sts::1:assumed-role/operators/ann",
    )


def test_one_device_needs_no_list():
    assert asked(devices="fan-[12]*").scope.devices == ("fan-[12]*",)


def test_the_failed_tasks_of_a_run_stand_in_for_the_source():
    request = asked(source=None, failed_tasks_of="compact-7")

    assert (request.source, request.failed_tasks_of) == ("archive", "compact-7")


def test_a_back_test_has_rules_for_any_metric_and_needs_no_target():
    request = asked(mode="backtest", rules=RULES, targets=None)

    assert request.targets == ("table",)
    assert request.rules == {
        "hum": (),
        "pressure": (Threshold("warning", above=9.0), Threshold("critical", below=1.5)),
    }


def test_parts_of_a_millisecond_go_to_the_next_one():
    scope = asked(from_="2026-03-01T00:00:00.0001+00:00", to="2026-03-01T00:00:00.0011+00:00").scope

    assert (scope.start_ms - MARCH.start_ms, scope.end_ms - MARCH.start_ms) == (1, 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"from_": None}, r"from: missing\. Write a time like"),
        ({"to": "soon"}, r"to: 'soon' is not an ISO-8601 time\."),
        ({"to": 7}, r"to: 7 is not an ISO-8601 time\."),
        ({"to": "2026-03-01"}, r"from: .* is not before 'to'"),
        ({"from_": "0001-01-01"}, r"from: .* outside the years"),
        ({"devices": []}, r"devices: \[\] is not a list of something"),
        ({"devices": ["pump 1"]}, r"devices: 'pump 1' can be no device"),
        ({"devices": ["pump!1"]}, r"devices: 'pump!1' can be no device"),
        ({"devices": ["pump-[12"]}, r"devices: 'pump-\[12' can be no device"),
        ({"devices": ["pump *"]}, r"devices: 'pump \*' can be no device"),
        ({"devices": [7]}, r"devices: 7 can be no device"),
        ({"devices": ["a"] * 1001}, r"devices: 1001 entries, 1000 at most\. Write globs"),
        ({"source": None}, r"source: missing\. Write one of archive, quarantine"),
        ({"source": "stream"}, r"source: 'stream' is unknown\. Write one of archive, quarantine"),
        ({"source": "quarantine", "failed_tasks_of": "x"}, r"source: 'failed_tasks_of' says which"),
        ({"failed_tasks_of": "runs/x"}, r"failed_tasks_of: 'runs/x' is no run"),
        ({"reasons": ["not_json"]}, r"reasons: only records of the quarantine"),
        ({"source": "quarantine", "reasons": ["bad"]}, r"reasons: 'bad' is unknown\. Write one of not_json"),
        ({"source": "quarantine", "reasons": []}, r"reasons: \[\] is not a list of something"),
        ({"targets": None}, r"targets: missing"),
        ({"targets": []}, r"targets: \[\] is not a list of something"),
        ({"targets": ["lake"]}, r"targets: 'lake' is unknown\. Write one of table, hot"),
        ({"mode": None}, r"mode: missing\. Write one of dry_run, apply, backtest"),
        ({"mode": ["apply"]}, r"mode: \['apply'\] is unknown"),
        ({"rules": RULES}, r"rules: only a back-test"),
        ({"mode": "backtest"}, r"rules: missing\. Write the thresholds to try, like"),
        ({"mode": "backtest", "rules": {}}, r"rules: not an object of 1 to 100 metrics"),
        ({"mode": "backtest", "rules": {"timestamp": []}}, r"rules: 'timestamp' can be no metric"),
        ({"mode": "backtest", "rules": {"hum": {}}}, r"rules\.hum: not a list of"),
        ({"mode": "backtest", "rules": {"hum": [7]}}, r"rules\.hum\[0\]: not an object"),
        ({"mode": "backtest", "rules": {"hum": [{}]}}, r"rules\.hum\[0\]: it needs exactly one of"),
        ({"mode": "backtest", "rules": {"hum": [{"above": 1, "below": 0}]}}, r"exactly one of 'above' and 'below'"),
        ({"mode": "backtest", "rules": {"hum": [{"above": "1"}]}}, r"rules\.hum\[0\]\.above: '1' is no number"),
        ({"mode": "backtest", "rules": {"hum": [{"above": 10**400}]}}, r"above: a huge number is no number"),
        ({"mode": "backtest", "rules": {"hum": [{"above": 1, "severity": "bad"}]}}, r"severity: 'bad' is unknown"),
        (
            {"mode": "backtest", "rules": {"hum": [{"abov": 1}]}},
            r"rules\.hum\[0\]\.abov: unknown field\. Did you mean 'above'",
        ),
        ({"alerts": "loud"}, r"alerts: 'loud' is unknown\. Write one of suppress, send"),
        ({"mode": "dry_run", "alerts": "send"}, r"alerts: 'send' goes with mode 'apply' only"),
        ({"max_rate": 5}, r"max_rate: it caps writes to the hot table\."),
        ({"targets": ["hot"], "max_rate": 0}, r"max_rate: 0 is out of bounds\. Write a whole number from 1"),
        ({"targets": ["hot"], "max_rate": True}, r"max_rate: True is out of bounds"),
        ({"allow_fewer": "yes"}, r"allow_fewer: 'yes' is neither true nor false"),
        ({"restore": "Bulk"}, r"restore: not an object\. Write an object of tier, days"),
        ({"restore": {"tier": "Slow"}}, r"restore\.tier: 'Slow' is unknown\. Write one of Expedited"),
        ({"restore": {"days": 0}}, r"restore\.days: 0 is out of bounds"),
        ({"note": None}, r"note: missing\. Write why the run is made, in 1 to 1,000 characters"),
        ({"note": "  "}, r"note: '  ' is no text for it\. Write one of 1 to 1,000"),
        ({"note": "x" * 1001}, r"note: 'xxx.*\.\.\. is no text for it"),
        ({"by": ""}, r"by: '' is no text for it"),
        ({"device": "a"}, r"device: unknown field\. Did you mean 'devices'\? Known are from, to"),
        ({"zzz": 1}, r"zzz: unknown field\. Known are from, to"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_field_with_what_to_write(changed, said):
    with pytest.raises(InvalidInput, match=said):
        asked(**changed)


@pytest.mark.parametrize("value", [None, [], "dry_run", 7])
def test_an_input_that_is_no_object_is_refused(value):
    with pytest.raises(InvalidInput, match="input: not an object"):
        parse(value, SETTINGS)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
likely = {
    "from": st.sampled_from(["2026-03-01", "2026-03-01T10:00:00+14:00", "1970-01-01T00:00+14:00", "9997-12-31"]),
    "to": st.sampled_from(["2026-03-02T00:00Z", "9997-12-31T23:59:59.999999-12:00"]),
    "devices": st.sampled_from(["*", ["pump-[1", "[!]]"], ["[z-a]"], "a[[:x"]),
    "source": st.sampled_from(["archive", "quarantine"]),
    "targets": st.just(["hot"]),
    "mode": st.sampled_from(["dry_run", "apply", "backtest"]),
    "rules": st.just(RULES),
    "note": st.just("why"),
}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: likely.get(name, anything) for name in FIELDS}) | anything)
def test_whatever_json_comes_in_is_a_request_or_a_sentence_about_a_field(value):
    try:
        request = parse(value, SETTINGS)
    except InvalidInput as error:
        said = str(error)
    else:
        said = ""
        assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request
    assert not said or re.fullmatch(r"(?s)[^:]+: .{5,900}\.", said)


def test_the_guide_names_every_field_there_is_and_no_other():
    said = (Path(__file__).parents[3] / "docs" / "reprocessing.md").read_text(encoding="utf-8")
    table = said.partition("## What may be asked")[2].partition("## What a run does")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(FIELDS)
