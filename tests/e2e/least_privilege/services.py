"""What makes AWS's services use everything that the roles allow with which they act for the deployed system."""

import contextlib
import datetime
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3

from local import process
from tests.e2e.least_privilege.cases import settings
from tests.e2e.least_privilege.functions import RUN, Functions, new_run_id, window
from tests.e2e.plant import ATTRIBUTES, Plant
from tests.e2e.resources import eventually, objects


class Services:
    """Topic rules, Firehose, Step Functions, Scheduler and fleet provisioning; each method answers what was said."""

    def __init__(self, running: process.Running, outputs: dict[str, str], functions: Functions, plant: Plant) -> None:
        self._outputs = outputs
        self._functions = functions
        self._plant = plant
        self._seconds = itertools.count()
        self._log = Path(running.state_dir) / "emulator.log"

    def publish(self, action: str) -> str:
        """Messages of a device, until one is read from the stream or a refusal of the action is written down."""
        device = f"rule-{time.time_ns()}"
        logged = self._log_from_now()

        def said() -> str:
            payload = json.dumps({"timestamp": time.time(), "temperature": 20.0})
            boto3.client("iot-data").publish(topic=self._plant.topic(device), qos=1, payload=payload)
            time.sleep(0.1)
            errors = objects(self._outputs["RawBucketName"], f"errors/rule/{_now():%Y/%m/%d}/{device}/")
            return "".join(body.decode() for body in errors.values()) or _lines(logged(), action)

        if not action:
            said()
            return "" if eventually(lambda: self._plant.readings(device)) else "nothing arrived"
        return str(eventually(said))

    def archive(self, action: str) -> str:
        """A record on the stream, until Firehose has archived it or logs a refusal of the action."""
        logged, data = self._log_from_now(), self._functions.put_record()
        bucket = self._outputs["RawBucketName"]
        if action:
            return str(eventually(lambda: _lines(logged(), action)))
        today = f"raw-data/{_now():year=%Y/month=%m/day=%d}/"
        archived = eventually(lambda: any(data in body for body in objects(bucket, today).values()))
        return "" if archived else "nothing arrived"

    def run(self) -> str:
        """An execution of the state machine over a new object, and the causes of its failures."""
        self._functions.archive(RUN)
        return self._ended(self._outputs["CompactStateMachineArn"], window(RUN))

    def run_upkeep(self) -> str:
        """An execution of the table's upkeep, which has something to rewrite, and the causes of its failures."""
        said = self._ended(self._outputs["OptimizeStateMachineArn"], {})
        self._functions.put_together()
        return said

    def run_reprocessing(self, run_input: object) -> str:
        """An execution of the reprocessing, which has something to do for each of its maps."""
        said = self._ended(self._outputs["ReprocessStateMachineArn"], run_input)
        self._functions.put_together()
        return said

    def _ended(self, machine: str, run_input: object) -> str:
        """The causes of the failures of a new execution and of its map's children."""
        states = boto3.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=machine, name=new_run_id(), input=json.dumps(run_input))
        execution = arn["executionArn"]
        _wait_for(execution)
        runs = states.list_map_runs(executionArn=execution)["mapRuns"]
        children = [
            child["executionArn"]
            for run in runs
            for child in states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
        ]
        found = [states.describe_execution(executionArn=one) for one in (execution, *children)]
        return "".join(one.get("cause", "") for one in found)

    def schedule(self, action: str) -> str:
        """The schedule's target, due now, until it has begun to run or Scheduler logs a refusal of the action."""
        scheduler, states = boto3.client("scheduler"), boto3.client("stepfunctions")
        machine, group = self._outputs["StartRunStateMachineArn"], settings().stack_name
        name = scheduler.list_schedules(GroupName=group)["Schedules"][0]["Name"]
        target: Any = scheduler.get_schedule(GroupName=group, Name=name)["Target"]
        refused_input = json.dumps({})  # ends in its first state
        before, logged = _executions(states, machine), self._log_from_now()
        scheduler.create_schedule(
            GroupName=group,
            Name=f"now-{time.time_ns()}",
            ScheduleExpression="at(2020-01-01T00:00:00)",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target=target | {"Input": refused_input},
        )
        if action:
            return str(eventually(lambda: _lines(logged(), action)))
        return "" if eventually(lambda: _executions(states, machine) - before) else "nothing started"

    def start(self, output: str) -> str:
        """A start for a time whose run is over, and why its tasks failed."""
        states, machine = boto3.client("stepfunctions"), self._outputs[output]
        at = _now() + datetime.timedelta(seconds=next(self._seconds))
        refused_input = json.dumps({"from": "never"})  # ends in its first state
        run = states.start_execution(
            stateMachineArn=machine, name=f"scheduled-{at:%Y-%m-%dT%H%M%SZ}", input=refused_input
        )
        _wait_for(run["executionArn"])
        given = {"state_machine_arn": machine, "scheduled_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        started = states.start_execution(
            stateMachineArn=self._outputs["StartRunStateMachineArn"], input=json.dumps(given)
        )
        _wait_for(started["executionArn"])
        history = states.get_execution_history(executionArn=started["executionArn"])["events"]
        return "".join(event["taskFailedEventDetails"]["cause"] for event in history if event["type"] == "TaskFailed")

    def provision(self) -> str:
        """A device that asks to be registered, and the answer when it is not."""
        answer, document, _ = self._plant.register(self._plant.lasting_claim(), f"least-{time.time_ns()}", ATTRIBUTES)
        return "" if answer == "accepted" else json.dumps(document)

    @contextlib.contextmanager
    def without_retries(self) -> Iterator[None]:
        """The state machines without their retries, which would only repeat every refusal."""
        states: Any = boto3.client("stepfunctions")
        machines = [arn for name, arn in self._outputs.items() if name.endswith("StateMachineArn")]
        whole = {machine: states.describe_state_machine(stateMachineArn=machine)["definition"] for machine in machines}
        for machine, definition in whole.items():
            once = json.loads(definition, object_hook=lambda item: {key: item[key] for key in item if key != "Retry"})
            states.update_state_machine(stateMachineArn=machine, definition=json.dumps(once))
        yield
        for machine, definition in whole.items():
            states.update_state_machine(stateMachineArn=machine, definition=definition)

    def _log_from_now(self) -> Callable[[], str]:
        """What the emulator logs from now on."""
        start = self._log.stat().st_size
        return lambda: self._log.read_bytes()[start:].decode(errors="replace")


def _wait_for(execution: str) -> None:
    states = boto3.client("stepfunctions")
    eventually(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING")


def _lines(logged: str, action: str) -> str:
    return "\n".join(line for line in logged.splitlines() if action and f"perform: {action} " in line)


def _executions(states: Any, machine: str) -> set[str]:
    return {item["executionArn"] for item in states.list_executions(stateMachineArn=machine)["executions"]}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
