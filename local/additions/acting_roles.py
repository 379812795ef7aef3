"""The roles with which Step Functions and Scheduler act: MiniStack does whatever a machine or a schedule says.

On AWS a state machine's role is asked for every function that a task calls, for the object that a Distributed Map reads
its items from and for the machine itself, which the map starts anew
(https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html), for each machine that a task
starts or whose executions it lists, and a schedule's role for its target
(https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role).
"""

import contextvars
from typing import Any

from local.additions.services import RefusedError, demand

SCHEDULER = "aws.scheduler"
LOOK_S = 1  # between looks at the schedules: MiniStack's ten seconds are long for a person who watches

TARGET_ACTIONS = {"lambda": "lambda:InvokeFunction", "states": "states:StartExecution"}
"""What Scheduler asks for a target, by the service of its ARN; of the targets those that systems here have."""

STEP_FUNCTIONS = "StepFunctions"
"""What stands before the errors of a task that starts a machine, and `Exception` behind."""

LIST_EXECUTIONS = "arn:aws:states:::aws-sdk:sfn:listExecutions"
"""Of the AWS SDK's calls that a task can make the one that machines here do."""

NO_ROLE = ""
_role: contextvars.ContextVar[str] = contextvars.ContextVar("machine_role", default=NO_ROLE)


def install() -> None:
    """Ask the roles before MiniStack does what they are for."""
    _install_machines()
    _install_schedules()


def _install_machines() -> None:
    from ministack.services import stepfunctions

    run, call = stepfunctions._run_execution, stepfunctions._call_lambda
    read, run_map = stepfunctions._read_map_items, stepfunctions._run_distributed_map
    start, use_sdk = stepfunctions._invoke_nested_start_execution, stepfunctions._invoke_aws_sdk_integration

    def run_with_role(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn) or {}
        machine = stepfunctions._state_machines.get(execution.get("stateMachineArn")) or {}
        token = _role.set(machine.get("roleArn", NO_ROLE))
        try:
            run(execution_arn)
        finally:
            _role.reset(token)

    def call_allowed(function: str, event: Any) -> Any:
        demand_of_machine("lambda:InvokeFunction", _function_arn(function), refused_as="Lambda.AWSLambdaException")
        return call(function, event)

    def start_allowed(resource: str, given: dict[str, Any]) -> Any:
        demand_of_machine(
            "states:StartExecution", given["StateMachineArn"], refused_as=f"{STEP_FUNCTIONS}.AccessDeniedException"
        )
        try:
            return start(resource, given)
        except stepfunctions._ExecutionError as error:
            raise stepfunctions._ExecutionError(f"{STEP_FUNCTIONS}.{error.error}Exception", error.cause) from error

    def use_sdk_allowed(resource: str, given: dict[str, Any]) -> Any:
        if resource == LIST_EXECUTIONS:
            demand_of_machine("states:ListExecutions", given["StateMachineArn"], refused_as="Sfn.SfnException")
        return use_sdk(resource, given)

    def read_allowed(reader: dict[str, Any], effective: Any, context: Any) -> Any:
        if reader["Resource"].endswith("s3:getObject"):
            item = stepfunctions._resolve_params_obj(reader["Parameters"], effective, context)
            demand_of_machine(
                "s3:GetObject", f"arn:aws:s3:::{item['Bucket']}/{item['Key']}", refused_as="States.ItemReaderFailed"
            )
        return read(reader, effective, context)

    def run_map_allowed(
        state: dict[str, Any], given: Any, effective: Any, iterator: dict[str, Any], execution: dict[str, Any], ctx: Any
    ) -> Any:
        demand_of_machine("states:StartExecution", execution["stateMachineArn"], refused_as="States.TaskFailed")
        return run_map(state, given, effective, iterator, execution, ctx)

    stepfunctions._run_execution, stepfunctions._call_lambda = run_with_role, call_allowed
    stepfunctions._read_map_items, stepfunctions._run_distributed_map = read_allowed, run_map_allowed
    stepfunctions._invoke_nested_start_execution = start_allowed
    stepfunctions._invoke_aws_sdk_integration = use_sdk_allowed


def _install_schedules() -> None:
    from ministack.services import eventbridge, scheduler

    invoke = eventbridge._invoke_target

    def invoke_allowed(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> Any:
        action = TARGET_ACTIONS.get(target["Arn"].split(":")[2])
        if event.get("Source") == SCHEDULER and action:
            demand(target["RoleArn"], "scheduler", (action, target["Arn"]))  # MiniStack logs the refusal
        return invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_allowed
    scheduler._SCHEDULE_TICK_INTERVAL = LOOK_S


def demand_of_machine(action: str, resource: str, refused_as: str) -> None:
    """Raise a state's error, which `Retry` and `Catch` see by its name, unless the running machine's role allows it."""
    from ministack.services import stepfunctions

    role = _role.get()
    try:
        if role:
            demand(role, "execution", (action, resource))
    except RefusedError as refusal:
        raise stepfunctions._ExecutionError(refused_as, str(refusal)) from refusal


def _function_arn(function: str) -> str:
    """A function's ARN; a task may give its name."""
    from ministack.core.responses import get_account_id, get_region

    is_arn = function.startswith("arn:")
    return function if is_arn else f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{function}"
