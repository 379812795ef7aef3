"""What a person may want to do after a run: a sentence, and the input of the execution that does it."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from reprocessing.causes import lost
from reprocessing.report.contents import Report
from reprocessing.report.wording import count
from reprocessing.request import Request
from sensors.times import iso_ms


class Step(NamedTuple):
    """What to do, and where there is one the command for it, and the input that does the same from the console."""

    sentence: str
    command: str = ""
    run_input: str = ""


def next_steps(report: Report) -> list[Step]:
    """What may be done next, in the order in which people look for it."""
    return list(_AFTER[report.outcome](report))


def input_of(request: Request, **changes: Any) -> dict[str, Any]:
    """The input that asks for the same, but for these fields; not of a back-test."""
    scope = request.scope
    asked: dict[str, Any] = {
        "from": iso_ms(scope.start_ms),
        "to": iso_ms(scope.end_ms),
        "devices": list(scope.devices),
        "failed_tasks_of": request.failed_tasks_of,
        "source": None if request.failed_tasks_of else request.source,
        "reasons": list(request.reasons),
        "targets": list(request.targets),
        "mode": request.mode,
        "alerts": request.alerts if request.alerts == "send" else None,
        "max_rate": request.max_rate if "hot" in request.targets else None,
        "restore": {"tier": request.restore_tier, "days": request.restore_days},
        "allow_fewer": request.allow_fewer,
        "note": request.note,
    }
    return {name: value for name, value in (asked | changes).items() if value}


def _after_looking(report: Report) -> Iterator[Step]:
    request, readings = report.request, report.readings
    if request.mode == "backtest":
        yield Step("To have the given rules from now on, write them into the settings of the metrics, and deploy.")
        return
    differs = report.written.rows_replaced or report.written.rows_written
    to_hot = report.records.for_hot and "hot" in request.targets
    if not (differs or report.found.frozen or to_hot):
        yield Step("There is nothing to apply: the range is as the rules and the decoder of now make it.")
        return
    gone = lost(readings.before, readings.after, readings.vanished_by)
    if gone > 0 and not request.allow_fewer:
        yield Step(
            f"Applied as it is, this would be refused: {count(gone, 'reading')} would be lost. Mend what the causes "
            'below say and look again; or, if it is as it should be, write "allow_fewer": true into the input.'
        )
    if report.found.frozen:
        left_out = count(report.found.frozen, "frozen object")
        yield Step(f"Left out: {left_out}. An applied run has them restored first, and waits for that; see below.")
    yield Step(
        "To apply it, type the command with which this one ends:",
        f"python -m ops reprocess --follow {_last(report)}",
        _text(input_of(request, mode="apply")),
    )


def _after_applying(report: Report) -> Iterator[Step]:
    if report.hot is not None and report.hot.refused:
        yield Step("The hot table has refused readings, below. Its items keep what they had; the lake has them.")
    if report.snapshot_id is None:
        why = "There was nothing to change in" if "table" in report.request.targets else "Nothing was published to"
        yield Step(f"{why} the table, so there is nothing to take back.")
        return
    kept = " (the hot table keeps what was written)" if report.hot is not None else ""
    yield Step(
        f"To take it back{kept}, as long as nothing else is committed to the range:",
        f"python -m ops reprocess --undo {report.run_id} --note WHY",
        _text({"undo": report.run_id, "note": "why"}),
    )


def _after_refusal(report: Report) -> Iterator[Step]:
    yield Step(
        "Table, quarantine and hot table are as they were. Mend the causes and start it again, or publish with fewer "
        "readings:",
        run_input=_text(input_of(report.request, allow_fewer=True)),
    )


def _after_undo(report: Report) -> Iterator[Step]:
    taken = report.taken_back
    if taken is None:
        yield Step("It was taken back by a rollback of the table. The hot table keeps what it has.")
        return
    who, why = f" by {taken.by}" if taken.by else "", f": {taken.note}" if taken.note else ""
    yield Step(f"It was taken back{who} with the execution {taken.execution}{why}. The hot table keeps what it has.")


_AFTER = {
    "looked": _after_looking,
    "applied": _after_applying,
    "refused": _after_refusal,
    "undone": _after_undo,
}


def _last(report: Report) -> str:
    return report.executions[-1] if report.executions else report.run_id


def _text(run_input: dict[str, Any]) -> str:
    """JSON, a field a line."""
    fields = (f'  "{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in run_input.items())
    return "{\n" + ",\n".join(fields) + "\n}"
