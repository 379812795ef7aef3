"""Schedules that start a machine once for each scheduled time, however often Scheduler calls, and one run at a time."""

from dataclasses import dataclass

from awacs import states
from troposphere import Sub, Template, scheduler, stepfunctions

from config.settings import Settings
from templates.shared import iam
from templates.shared.naming import own_name
from templates.shared.state_machines import DEFINITIONS, add_state_machine, definition
from templates.shared.wiring import offers

RETRY_S = 900  # a start that fails for longer is left to the next schedule, which finds the same work


@dataclass(frozen=True)
class Schedule:
    """A machine and when it is started; `expression` is Scheduler's, in UTC."""

    machine: stepfunctions.StateMachine
    expression: str
    enabled: bool


def add_schedules(template: Template, settings: Settings, key_arn: object, schedules: list[Schedule]) -> None:
    """Add the schedules, and the machine between: Scheduler gives a run no name, and an express machine does.

    Scheduler fills in the scheduled time
    (https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html), which holds
    colons, as the name of an execution must not.
    """
    starter = add_state_machine(
        template,
        settings,
        title="StartRun",
        name=own_name(settings, "start-run"),
        kind="EXPRESS",
        definition_string=definition(DEFINITIONS / "start_run.asl.json", {}, {}),
        references={},
        statements=[
            iam.allow(schedule.machine.ref(), states.ListExecutions, states.StartExecution) for schedule in schedules
        ],
        key_arn=key_arn,
    )
    group = template.add_resource(scheduler.ScheduleGroup("Schedules", Name=settings.stack_name))
    role = template.add_resource(
        iam.role(
            "ScheduleRole",
            "scheduler.amazonaws.com",
            [iam.allow(starter.ref(), states.StartExecution)],
            iam.from_here(group.get_att("Arn")),  # Scheduler names the group, not the schedule
        )
    )
    for schedule in schedules:
        target = scheduler.Target(
            Arn=starter.ref(),
            RoleArn=role.get_att("Arn"),
            Input=Sub(
                '{"scheduled_at":"<aws.scheduler.scheduled-time>","state_machine_arn":"${StateMachineArn}"}',
                StateMachineArn=schedule.machine.ref(),
            ),
            RetryPolicy=scheduler.RetryPolicy(MaximumEventAgeInSeconds=RETRY_S, MaximumRetryAttempts=10),
        )
        template.add_resource(_schedule(settings, schedule, group, target))
    offers(template, StartRunStateMachineArn=starter.ref())


def _schedule(
    settings: Settings, schedule: Schedule, group: scheduler.ScheduleGroup, target: scheduler.Target
) -> scheduler.Schedule:
    title = schedule.machine.title
    return scheduler.Schedule(
        f"{title}Schedule",
        Name=own_name(settings, title.lower()),
        GroupName=group.ref(),
        ScheduleExpression=schedule.expression,
        ScheduleExpressionTimezone="UTC",
        State="ENABLED" if schedule.enabled else "DISABLED",
        FlexibleTimeWindow=scheduler.FlexibleTimeWindow(Mode="OFF"),
        Target=target,
    )
