"""What `compact` and `optimize` have in common: a run that is estimated, started, followed and told."""

import argparse
import json
import secrets
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import Console, RenderableType

from compaction.errors import InvalidInput
from compaction.hours import window_of
from ops import executions
from ops.errors import OpsError
from ops.following import follow
from ops.stack import Stack, find

Answer = dict[str, Any]


class Machine(NamedTuple):
    """A command's state machine: the stack's output with its ARN, and how the command's answers are told to people."""

    command: str
    output: str
    dry_run: Callable[[Stack, dict[str, str]], Answer]
    show_dry_run: Callable[[Answer], RenderableType]
    show_report: Callable[[Answer], RenderableType]
    did: Callable[[Answer], str]


def add_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """The range of `what`, in the plural, whether only to look, whether to wait."""
    parser.add_argument("--from", dest="start", metavar="ISO", help=f"the first of the {what}: 2026-11-21T09:00Z")
    parser.add_argument("--to", dest="end", metavar="ISO", help=f"the end of the {what}, not included")
    parser.add_argument("--dry-run", action="store_true", help="only say what a run would do")
    parser.add_argument(
        "--follow",
        nargs="?",
        const="",
        metavar="RUN_ID",
        help="show the progress and wait for the end: of the new run, or of the one that is named",
    )


def run(given: argparse.Namespace, machine: Machine) -> int:
    """Answer a dry run, start a run, follow one; 0 when that went well. Raises OpsError when not, or the run failed."""
    run_input = _input(given)
    stack = find(given.stack)
    console = Console()
    if given.dry_run:
        with Console(stderr=True).status("Looking at what there is to do"):
            answer = machine.dry_run(stack, run_input)
        _tell(given, console, answer, machine.show_dry_run)
        return 0
    states = stack.client("stepfunctions")
    run_id = given.follow or _start(states, stack.outputs[machine.output], run_input)
    arn = executions.arn_of(stack.outputs[machine.output], run_id)
    command = _command(given, machine)
    way_back = f"{command} --follow {run_id}"
    if given.follow is None:
        started = {"run_id": run_id, "execution_arn": arn, "status": "RUNNING"}
        _tell(given, console, started, lambda _: f"Started {run_id}. Watch it with:  {way_back}")
        return 0
    executions.describe(states, arn)
    if follow(states, arn, way_back) != "SUCCEEDED":
        raise executions.failure(states, arn, command)
    _tell(given, console, executions.output(states, arn), machine.show_report)
    return 0


def _input(given: argparse.Namespace) -> dict[str, str]:
    """The execution's input. Raises OpsError for options that are no times, or do not go together."""
    run_input = {name: value for name, value in (("from", given.start), ("to", given.end)) if value is not None}
    if given.dry_run and given.follow is not None:
        raise OpsError("--dry-run starts no run that --follow could show. Leave one of them out.")
    if given.follow and run_input:
        raise OpsError(f"--follow {given.follow} shows a run whose range is set. Leave --from and --to out.")
    try:
        window_of(run_input, datetime.now(UTC), grace_minutes=0)
    except InvalidInput as error:
        raise OpsError(f"--{error}") from None
    return run_input


def _start(states: Any, machine_arn: str, run_input: dict[str, str]) -> str:
    run_id = f"manual-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    states.start_execution(stateMachineArn=machine_arn, name=run_id, input=json.dumps(run_input))
    return run_id


def _command(given: argparse.Namespace, machine: Machine) -> str:
    """The command as it is typed, for this stack."""
    stack = ["--stack", given.stack] if given.stack else []
    return shlex.join(["python", "-m", "ops", machine.command, *stack])


def _tell(
    given: argparse.Namespace, console: Console, answer: Answer, show: Callable[[Answer], RenderableType]
) -> None:
    if given.json:
        print(json.dumps(answer))
    else:
        shown = show(answer)
        console.print(shown, highlight=False, soft_wrap=isinstance(shown, str))  # a command is copied in one piece
