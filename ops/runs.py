"""`python -m ops runs`: the runs of all state machines, newest first; and everything that is known of one."""

import argparse
import json
from collections.abc import Iterator

from botocore.exceptions import ClientError
from rich.console import Group, RenderableType

from compaction.store import Store, error_code
from ops import executions, written
from ops.errors import OpsError
from ops.figures import age, count, facts, hour
from ops.last_runs import last_runs, run_of, run_table
from ops.machines import MACHINES
from ops.reprocess_report import undone_when
from ops.running import Answer, Machine, tell
from ops.stack import Stack, find

_LIMIT, _MOST = 20, 1000
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})
_LEDGER = {"compact": "ledger/runs/", "optimize": "ledger/optimize/", "reprocess": "ledger/reprocess/"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, or how many."""
    parser.description = "The runs of all state machines, newest first; or everything that is known of one."
    parser.add_argument("run", nargs="?", metavar="RUN_ID", help="show this run")
    parser.add_argument("--limit", type=int, default=_LIMIT, metavar="N", help=f"list at most so many: {_LIMIT}")


def run(given: argparse.Namespace) -> int:
    """List the runs, or show one. Raises OpsError when there is no run of that name."""
    if not 1 <= given.limit <= _MOST:
        raise OpsError(f"--limit: {given.limit} is not from 1 to {_MOST:,}.")
    stack = find(given.stack)
    if given.run is None:
        tell(given, {"runs": last_runs(stack, MACHINES, given.limit)}, _show_list)
    else:
        tell(given, one(stack, given.run), _show_one)
    return 0


def one(stack: Stack, name: str) -> Answer:
    """What is known of a run: its execution while Step Functions has it, its report and its line in the ledger.

    A run that several executions have carried on has the name of the first. Machines whose runs the caller may not see
    are left out. Raises OpsError when there is none.
    """
    store = Store(stack.client("s3"), stack.outputs["ProcessedBucketName"])
    hidden: list[str] = []
    meant: list[str] = []
    for machine in MACHINES:
        try:
            found = _known(stack, store, machine, name)
        except ClientError as error:
            if error_code(error) not in _REFUSED:
                raise
            hidden.append(machine.command)
        else:
            if found is not None:
                return found
            meant += executions.alike(stack.client("stepfunctions"), stack.outputs[machine.output], name)
    if hidden:
        raise OpsError(f"There is no run {name} that you may see. Those of {' and '.join(hidden)} you may not.")
    raise executions.no_run(name, meant)


def _known(stack: Stack, store: Store, machine: Machine, name: str) -> Answer | None:
    """What is known of a machine's run of this name; None when there is none. Raises ClientError if hidden."""
    execution = _execution(stack, machine, name)
    run_id = execution.get("run_id", name)
    left = {
        "report": written.read(store, f"runs/{machine.command}/{run_id}/report.json"),
        "ledger": written.read(store, f"{_LEDGER[machine.command]}{run_id}.json"),
    }
    if not execution and not any(left.values()):
        return None
    return {"machine": machine.command, "run_id": run_id, **execution, **left}


def _execution(stack: Stack, machine: Machine, name: str) -> Answer:
    """The execution of this name as JSON values; empty when the machine has none."""
    states, arn = stack.client("stepfunctions"), executions.arn_of(stack.outputs[machine.output], name)
    found = executions.find(states, arn)
    if found is None:
        return {}
    now = executions.progress(states, arn)
    return {
        **run_of(found),
        "run_id": executions.run_id(states, found),
        "execution": name,
        "execution_arn": arn,
        "input": json.loads(found["input"]),
        "state": now.state,
        "tasks": now.tasks.total if now.tasks else 0,
        "tasks_done": now.tasks.done if now.tasks else 0,
        "cause": executions.sentence(found.get("cause", "")) or None,
        "failed_tasks": [
            dict(zip(("task_id", "error", "cause"), failed, strict=True))
            for failed in executions.failed_tasks(states, arn)
        ],
    }


def _show_list(found: Answer) -> RenderableType:
    return run_table("runs", found["runs"], MACHINES) if found["runs"] else "There are no runs yet."


def _show_one(found: Answer) -> RenderableType:
    machine = next(machine for machine in MACHINES if machine.command == found["machine"])
    shown: list[RenderableType] = [facts(f"{found['machine']} {found['run_id']}", dict(_facts(found)))]
    if answer := {**(found.get("did") or {}), **(found["report"] or {})}:  # the answer says where the page is
        shown.append(machine.show_report({"run_id": found["run_id"], "seconds": found.get("seconds"), **answer}))
    return Group(*shown)


def _facts(found: Answer) -> Iterator[tuple[str, str]]:
    """What there is to say of the execution and of who has asked for it."""
    if "status" in found:
        yield "status", found["status"]
        yield "started", hour(found["started_at"])
        if found["seconds"] is not None:
            yield "took", age(found["seconds"])
        if found["execution"] != found["run_id"]:
            yield "execution", found["execution"]
        yield "input", json.dumps(found["input"], ensure_ascii=False)
        yield "state", found["state"] or "none yet"
        if found["tasks"]:
            yield "tasks", f"{found['tasks_done']:,} of {count(found['tasks'], 'task')} of its last map done"
    else:
        yield "status", "no longer known: Step Functions keeps an execution for 90 days"
    if found.get("error"):
        yield "error", f"{found['error']}: {found['cause']}" if found["cause"] else found["error"]
    for failed in found.get("failed_tasks", ()):
        yield f"task {failed['task_id']}", f"{failed['error']}: {failed['cause']}"
    ledger = found["ledger"] or {}
    yield from ((name, str(ledger[name])) for name in ("by", "note", "outcome", "snapshot_id") if ledger.get(name))
    if undone := ledger.get("undone"):
        yield "undone", undone_when(undone)
    if others := [name for name in ledger.get("executions", ()) if name != found["run_id"]]:
        yield "carried on by", ", ".join(others)
