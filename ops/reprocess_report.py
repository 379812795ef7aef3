"""What a reprocessing has found and changed, told to people: its execution's answer and its `report.json` together."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType

from ops.figures import age, count, facts, hour, size
from ops.running import Answer

_MODES = {"dry_run": "dry run", "apply": "reprocessing", "backtest": "back-test"}
_OUTCOMES = {
    "applied": "applied",
    "looked": "nothing was changed",
    "refused": "refused, nothing was changed",
    "undone": "undone",
}
_METRICS = 5  # those that differ most; the page has more


def did(answer: Answer) -> str:
    """What a run did, in a line."""
    if "undone" in answer:
        return f"undid {answer['run_id']}: {_undone(answer['undone'])}"
    if answer["mode"] == "backtest":
        given = count(answer["alarms_given"] or 0, "alarm")
        return f"back-test: {given} by the given thresholds, {answer['alarms_after']:,} by today's"
    mode = "applied" if answer["outcome"] == "applied" else _MODES[answer["mode"]]
    stays = answer["outcome"] == "applied" and answer["snapshot_id"] is None
    nothing = "nothing to change in the table" if stays else "nothing differs"
    return f"{mode}: {_differences(answer) or nothing}"


def show_report(answer: Answer) -> RenderableType:
    """The run's report in short."""
    if "undone" in answer:
        already = answer.get("already")
        title = "undone before, nothing was changed now" if already else f"undone in {age(answer['seconds'])}"
        rows = {"run": answer["run_id"]} | ({"undone": undone_when(already)} if already else {})
        rows |= {"table": _undone(answer["undone"]), "hot table": answer["undone"]["hot_table"]}
        return facts(title, rows)
    title = f"{_MODES[answer['mode']]} of {age(answer['duration_s'])}: {_OUTCOMES[answer['outcome']]}"
    return facts(title, dict(_facts(answer)))


def _facts(report: Answer) -> Iterator[tuple[str, str]]:
    yield "run", report["run_id"]
    yield "asked", _asked(report["request"])
    yield "note", report["request"]["note"]
    if rules := report["request"].get("rules"):
        yield "tried", "; ".join(_rules(rules))
    yield "found", _found(report["found"])
    yield "records", _records(report["records"])
    yield "readings", _readings(report["readings"])
    if report["metrics"]:
        yield "values", "; ".join(_metrics(report["metrics"]))
    yield "alarms", _alarms(report)
    if report["snapshot_id"]:
        written = report["written"]
        files = f"{count(written['files_replaced'], 'file')} replaced by {written['files_written']:,}"
        yield "table", f"snapshot {report['snapshot_id']}: {files}"
    elif report["outcome"] == "applied" and "table" in report["request"]["targets"]:
        yield "table", "nothing to change, its files are as they were"
    if hot := report["hot"]:
        yield "hot table", _hot(hot)
    if report.get("taken_back"):
        yield "undone", undone_when(report["taken_back"])
    if report["refused"]:
        yield "refused", f"{report['refused']['error']}: {report['refused']['cause']}"
    estimate = report["estimate"]
    if estimate["thaw"]["objects"] or estimate["thaw"]["refused"]:
        yield "to restore", _thaw(estimate["thaw"])
    duration = f", {age(estimate['seconds'])} when applied" if report["mode"] == "dry_run" else ""
    yield "cost", f"about ${estimate['cost_usd']:,.4f}{duration}"


def _asked(request: Answer) -> str:
    scope = request["scope"]
    told = [f"{_moment(scope['start_ms'])} to {_moment(scope['end_ms'])}"]
    told.append(", ".join(scope["devices"]) if scope.get("devices") else "all devices")
    if request.get("failed_tasks_of"):
        told.append(f"failed tasks of {request['failed_tasks_of']}")
    elif request["source"] == "quarantine":
        told.append(f"quarantine ({', '.join(request.get('reasons') or ['all reasons'])})")
    return f"{'; '.join(told)}; for {' and '.join(request['targets'])}"


def _rules(rules: dict[str, Any]) -> Iterator[str]:
    """The thresholds of a back-test, so that a metric whose name is not right can be seen."""
    for metric, thresholds in rules.items():
        limits = (
            f"{side} {one[side]:g} ({one['severity']})"
            for one in thresholds
            for side in ("above", "below")
            if one.get(side) is not None
        )
        yield f"{metric} {', '.join(limits) or 'without a threshold'}"


def _found(found: Answer) -> str:
    told = [f"{count(found['objects'], 'object')}, {size(found['bytes'])}"]
    notes = {
        "outside": "outside the hours of arrival",
        "waiting": "not compacted yet",
        "missing": "missing",
        "frozen": f"frozen ({size(found['frozen_bytes'])})",
    }
    return "; ".join([*told, *(f"{found[name]:,} {text}" for name, text in notes.items() if found[name])])


def _thaw(thaw: Answer) -> str:
    told = f"{count(thaw['objects'], 'object')}, {size(thaw['bytes'])}, up to {age(thaw['hours'] * 3600)}, about "
    refused = f"; {thaw['refused']:,} cannot be restored by this tier" if thaw["refused"] else ""
    return f"{told}${thaw['cost_usd']:,.4f}{refused}"


def _records(records: Answer) -> str:
    reasons = ", ".join(f"{reason} {number:,}" for reason, number in records["by_reason"].items())
    parts = {
        "stored": "stored",
        "duplicate": "duplicate",
        "outside": "not of the range and devices",
        "quarantined": f"quarantined ({reasons})",
    }
    told = " + ".join(f"{records[name]:,} {text}" for name, text in parts.items() if records[name] or name == "stored")
    return f"{records['records']:,} = {told}"


def _readings(readings: Answer) -> str:
    if not readings["before"] and not readings["after"]:
        return "none of the range and devices, neither before nor after"
    told = f"{readings['before']:,} before, {readings['after']:,} after: {_differences(readings) or 'nothing differs'}"
    causes = ", ".join(f"{cause} {number:,}" for cause, number in readings["vanished_by"].items())
    return f"{told} ({causes})" if causes else told


def _differences(readings: Answer) -> str:
    """How the readings after differ from those before; empty when they do not."""
    kinds = {"changed": "changed", "added": "added", "vanished": "gone"}
    return ", ".join(f"{readings[name]:,} {text}" for name, text in kinds.items() if readings[name])


def _metrics(metrics: dict[str, Any]) -> Iterator[str]:
    order = sorted(metrics.items(), key=lambda one: -sum(one[1][name] for name in ("changed", "appeared", "gone")))
    for name, change in order[:_METRICS]:
        kinds = [f"{change[kind]:,} {kind}" for kind in ("changed", "appeared", "gone") if change[kind]]
        by = f" by up to {change['largest']:,.6g}" if change["changed"] else ""
        yield f"{name} {', '.join(kinds)}{by}"
    if len(order) > _METRICS:
        yield f"{len(order) - _METRICS:,} more metrics"


def _alarms(report: Answer) -> str:
    told = f"{report['alarms_before']['total']:,} before, {report['alarms_after']['total']:,} after"
    if report["alarms_given"] is not None:
        told += f", {report['alarms_given']['total']:,} by the given thresholds"
    alerts = report["alerts"]
    return told + (f"; {count(alerts['sent'], 'alert')} sent" if alerts["sent"] else "; no alert was sent")


def _hot(hot: Answer) -> str:
    notes = {
        "unchanged": "already right",
        "newer": "newer there",
        "expired": "past their time",
        "refused": "refused by DynamoDB",
    }
    told = [f"{hot[name]:,} {text}" for name, text in notes.items() if hot[name]]
    return ", ".join([f"{count(hot['written'], 'item')} written", *told])


def undone_when(taken: Answer) -> str:
    """When a run was taken back, by whom and why, as its line in the ledger says it."""
    by, why = f" by {taken['by']}" if taken["by"] else "", f": {taken['note']}" if taken["note"] else ""
    return f"{hour(taken['at'])}{by}{why}"


def _undone(undone: Answer) -> str:
    out, back = (
        f"{count(undone[f'rows_{what}'], 'row')} in {count(undone[f'files_{what}'], 'file')}"
        for what in ("removed", "restored")
    )
    return f"{out} taken out, {back} put back"


def _moment(epoch_ms: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d %H:%M}"
