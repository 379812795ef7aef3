"""What the commands of the state machines have in common: a run that is started, followed and told."""

import argparse
import json
import secrets
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import Console, RenderableType

from compaction.errors import InvalidInput
from compaction.hours import window_of
from ops import executions
from ops.errors import OpsError
from ops.following import Details, follow, no_details
from ops.stack import Stack, find

Answer = dict[str, Any]


class Machine(NamedTuple):
    """A command's state machine: the stack's output with its ARN, and how its runs are told to people.

    `did` says in a line what a run has answered. `again` are the options that start another run like the one whose
    input is given; `details` are further lines of the live progress.
    """

    command: str
    output: str
    show_report: Callable[[Answer], RenderableType]
    did: Callable[[Answer], str]
    again: Callable[[Answer], list[str]] = lambda _: ["--follow"]
    details: Callable[[Stack], Details] = lambda _: no_details


class DryRun(NamedTuple):
    """How a machine's planner is asked what a run would do, and how its answer is told to people."""

    ask: Callable[[Stack, dict[str, str]], Answer]
    show: Callable[[Answer], RenderableType]


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


def run(given: argparse.Namespace, machine: Machine, dry_run: DryRun) -> int:
    """Answer a dry run, start a run, follow one; 0 when that went well. Raises OpsError when not, or the run failed."""
    run_input = _input(given)
    stack = find(given.stack)
    if given.dry_run:
        with Console(stderr=True).status("Looking at what there is to do"):
            answer = dry_run.ask(stack, run_input)
        tell(given, answer, dry_run.show)
        return 0
    run_id = given.follow or start(stack, machine, run_input)
    if given.follow is None:
        tell_started(given, stack, machine, run_id)
    else:
        tell(given, watch(given, stack, machine, run_id), machine.show_report)
    return 0


def start(stack: Stack, machine: Machine, run_input: Mapping[str, Any]) -> str:
    """Start an execution of the machine, and answer its name."""
    run_id = f"manual-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    states = stack.client("stepfunctions")
    states.start_execution(stateMachineArn=stack.outputs[machine.output], name=run_id, input=json.dumps(run_input))
    return run_id


def tell_started(given: argparse.Namespace, stack: Stack, machine: Machine, run_id: str) -> None:
    """Say that a run has begun, and how to watch it."""
    arn = executions.arn_of(stack.outputs[machine.output], run_id)
    watch_it = typed(given, machine.command, "--follow", run_id)
    started = {"run_id": run_id, "execution_arn": arn, "status": "RUNNING"}
    tell(given, started, lambda _: f"Started {run_id}. Watch it with:  {watch_it}")


def watch(given: argparse.Namespace, stack: Stack, machine: Machine, run_id: str) -> Answer:
    """Show a run until it ends, and answer what it did. Raises OpsError when there is none, or it has failed."""
    states = stack.client("stepfunctions")
    arn = executions.arn_of(stack.outputs[machine.output], run_id)
    run_input = json.loads(executions.describe(states, arn)["input"])
    way_back = typed(given, machine.command, "--follow", run_id)
    if follow(states, arn, way_back, machine.details(stack)) != "SUCCEEDED":
        raise executions.failure(
            states, arn, lambda: typed(given, machine.command, *machine.again(run_input)), way_back
        )
    return executions.output(states, arn)


def typed(given: argparse.Namespace, *words: str) -> str:
    """A command as it is typed, for the stack of the one that was given."""
    command, *options = words
    stack = ["--stack", given.stack] if given.stack else []
    return shlex.join(["python", "-m", "ops", command, *stack, *options])


def tell(given: argparse.Namespace, answer: Answer, show: Callable[[Answer], RenderableType]) -> None:
    """Print an answer, for people or for programs."""
    if given.json:
        print(json.dumps(answer))
    else:
        shown = show(answer)
        # a command is copied in one piece, and so is a name
        Console().print(shown, highlight=False, soft_wrap=isinstance(shown, str), crop=False)


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
