"""`python -m ops reprocess`: archived readings once more through today's rules: tried, applied, back-tested, undone."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from compaction.errors import InvalidInput
from compaction.store import Store
from ops import asking, executions, running, written
from ops.errors import OpsError
from ops.pages import open_page
from ops.reprocess_progress import Watching
from ops.reprocess_report import did, show_report
from ops.reprocess_runs import refuse_needless_undo, successor
from ops.running import Answer, typed
from ops.stack import Stack, find
from reprocessing.keys import ledger_key, page_key, report_key
from reprocessing.parsing import parse, run_id
from sensors.settings import Reprocessing

_ANY = Reprocessing(hot_writers=1, max_rate=1, restore_tier="Standard", restore_days=1)
"""Stands for the settings of the deployed system, which complete an input and make none right or wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which readings, what is done with them, how, and how that is watched."""
    parser.description = (
        "Read archived readings once more by today's rules and decoder. Without --apply it is a dry run: it reports "
        "what would change, and changes nothing. Shows the progress and then the report; Ctrl-C leaves it running."
    )
    parser.epilog = "docs/reprocessing.md explains it all, with examples."
    asking.add_arguments(parser)
    runs = parser.add_argument_group("watching and taking back")
    runs.add_argument(
        "--follow", nargs="?", const="", metavar="RUN_ID", help="come back to a run; without one, as without the option"
    )
    runs.add_argument("--detach", action="store_true", help="start it, say how to watch it, and do not wait")
    runs.add_argument("--undo", metavar="RUN_ID", help="put back what that run has replaced in the table")
    runs.add_argument("--open", action="store_true", help="open the report in a browser in the end")


def run(given: argparse.Namespace) -> int:
    """Start, follow or undo a run; 0 when that went well. Raises OpsError when not, or the run failed."""
    asked = asking.input_of(given)
    _go_together(given, asked)
    run_input = None if given.follow else _input(given, asked)
    stack = find(given.stack)
    name = _followed(given, stack) if run_input is None else _started(stack, run_input)
    if given.detach:
        running.tell_started(given, stack, MACHINE, name)
        return 0
    answer = with_report(stack, name, running.watch(given, stack, MACHINE, name))
    running.tell(given, answer, show_report)
    if not given.json and (then := "\n".join(_then(given, stack, name, answer))):
        running.tell(given, answer, lambda _: then)
    if given.open:
        open_page(stack, page_key(answer["run_id"]))
    return 0


def with_report(stack: Stack, name: str, answer: Answer) -> Answer:
    """All that the report of an execution's run says, and where it is. Raises OpsError without it.

    `taken_back` is what the ledger says of its undo, None without one. An undo has no report: where another execution
    had undone the run before, `already` is the ledger's line about that.
    """
    store = Store(stack.client("s3"), stack.outputs["ProcessedBucketName"])
    taken = (written.read(store, ledger_key(answer["run_id"])) or {}).get("undone")
    if "undone" in answer:
        return answer | {"execution": name, "already": taken if taken and taken["execution"] != name else None}
    report = written.read(store, report_key(answer["run_id"]))
    if report is None:
        raise OpsError(f"The run is done, and its report is gone: {answer['report']}")
    said = {field: answer[field] for field in ("report", "page", "status", "seconds")}
    return report | said | {"execution": name, "taken_back": taken}


def next_step(given: argparse.Namespace, stack: Stack, name: str, answer: Answer) -> str:
    """What a person may want to type after a run, in a sentence; empty where there is nothing to do."""
    states = stack.client("stepfunctions")
    arn = executions.arn_of(stack.outputs[MACHINE.output], name)
    run_input = json.loads(executions.describe(states, arn)["input"])
    if answer.get("mode") == "dry_run":
        if _is_empty(answer):
            return "There is nothing to apply: no reading is of this range and these devices."
        options = asking.options_of(run_input | {"mode": "apply"})
        why = [] if "--note" in options else ["--note", "WHY"]
        differs = answer["written"]["rows_replaced"] or answer["written"]["rows_written"]
        so = "Nothing was changed. To do it:" if differs else "No row of the table would change. To do it nonetheless:"
        return f"{so}  {typed(given, 'reprocess', *options, *why)}"
    if answer.get("snapshot_id") is not None and answer["taken_back"] is None:
        return f"To take it back:  {typed(given, 'reprocess', '--undo', answer['run_id'])}"
    return ""


def _is_empty(report: Answer) -> bool:
    """Whether neither table nor archive has a reading of what was asked for; what is frozen may have."""
    readings, found = report["readings"], report["found"]
    return not any((readings["before"], readings["after"], report["records"]["stored"], found["frozen"]))


def _then(given: argparse.Namespace, stack: Stack, name: str, answer: Answer) -> Iterator[str]:
    """What stands below a summary: where the report is, and what may come next."""
    if "page" in answer:
        yield f"The report is {answer['page']}"
        if not given.open:
            yield f"To open it:  {typed(given, 'reprocess', '--follow', name, '--open')}"
    if then := next_step(given, stack, name, answer):
        yield then


def _go_together(given: argparse.Namespace, asked: dict[str, Any]) -> None:
    """Raises OpsError for options of which one leaves no room for another."""
    if given.undo and asked.keys() - {"note"}:
        raise OpsError(f"--undo: it takes back what {given.undo} has done, all of it. Leave the other options out.")
    if given.follow and (asked or given.undo or given.detach):
        raise OpsError(f"--follow: {given.follow} is a run that has been asked for. Leave the other options out.")
    if given.detach and (given.open or given.follow is not None):
        raise OpsError("--detach: it does not wait for the end. Leave --open and --follow out.")


def _input(given: argparse.Namespace, asked: dict[str, Any]) -> dict[str, Any]:
    """The execution's input. Raises OpsError naming the option that is wrong."""
    try:
        if given.undo:
            return {"undo": run_id("undo", given.undo), **asked}
        run_input = asking.completed(asked, datetime.now(UTC))
        parse(run_input, _ANY)
    except InvalidInput as error:
        raise OpsError(asking.as_option(str(error))) from None
    return run_input


def _started(stack: Stack, run_input: dict[str, Any]) -> str:
    """The execution of a new run or undo, asked for by the user or role of the credentials."""
    if "undo" in run_input:
        refuse_needless_undo(stack, stack.outputs[MACHINE.output], run_input["undo"])
    return running.start(stack, MACHINE, run_input | {"by": str(stack.client("sts").get_caller_identity()["Arn"])})


def _followed(given: argparse.Namespace, stack: Stack) -> str:
    """The execution that is come back to: another, where that has carried on the run of the one that was named."""
    name = successor(stack, stack.outputs[MACHINE.output], given.follow)
    if name != given.follow:
        print(f"{given.follow} ended before its run did, which {name} has carried on:", file=sys.stderr)
    return name


MACHINE = running.Machine("reprocess", "ReprocessStateMachineArn", show_report, did, asking.options_of, Watching)
