"""Batch: the state machine that compacts the archive, the functions it calls, and what starts it."""

from awacs import awslambda as lambda_actions
from awacs import kms, s3, states
from awacs.aws import Statement
from troposphere import Template, awslambda, scheduler, stepfunctions

from config.settings import Settings
from templates.shared import catalogue, iam
from templates.shared.functions import add_function
from templates.shared.naming import own_name
from templates.shared.state_machines import DEFINITIONS, add_state_machine, definition, run_distributed_map
from templates.shared.wiring import needs, offers

SCHEDULE_RETRY_S = 900  # a start that fails for longer is left to the next schedule, which plans the same hours


def build(settings: Settings) -> Template:
    """Functions, state machine and schedule of the compaction."""
    template = Template("Compaction of the archive")
    lake = catalogue.Lake(
        raw=needs(template, "RawBucketName", "Bucket of the archive"),
        processed=needs(template, "ProcessedBucketName", "Bucket of the Iceberg table and the runs"),
        database=needs(template, "LakeDatabaseName", "Glue database of the Iceberg table"),
        key_arn=needs(template, "KeyArn", "Key that encrypts the buckets and the logs"),
    )
    plan, write, commit = (
        add_function(template, settings, step(settings, lake), lake.key_arn)
        for step in (catalogue.plan_compaction, catalogue.write_parquet, catalogue.commit_table)
    )
    machine = _compact(template, settings, [plan, write, commit], lake)
    _schedule(template, settings, machine)
    offers(
        template,
        PlanCompactionName=plan.ref(),
        WriteParquetName=write.ref(),
        CommitTableName=commit.ref(),
        CompactStateMachineArn=machine.ref(),
    )
    return template


def _compact(
    template: Template, settings: Settings, functions: list[awslambda.Function], lake: catalogue.Lake
) -> stepfunctions.StateMachine:
    name = own_name(settings, "compact")
    arns = {f"{function.title}Arn": function.get_att("Arn") for function in functions}
    numbers = {"MaxConcurrency": settings.compaction.concurrency}
    return add_state_machine(
        template,
        settings,
        title="Compact",
        name=name,
        definition_string=definition(DEFINITIONS / "compact.asl.json", arns, numbers),
        references=arns,
        statements=[*_invoke(arns), *_read_plan(lake), *run_distributed_map(name, "WriteParquet")],
        key_arn=lake.key_arn,
    )


def _invoke(arns: dict[str, object]) -> list[Statement]:
    return [iam.allow(arn, lambda_actions.InvokeFunction) for arn in arns.values()]


def _read_plan(lake: catalogue.Lake) -> list[Statement]:
    """The Map reads its items from the plan; of an encrypted bucket AWS asks both key actions of the role."""
    return [
        iam.allow(iam.objects_arn(lake.processed, "runs/compact/*"), s3.GetObject),
        iam.use_key(lake.key_arn, "s3", kms.Decrypt, kms.GenerateDataKey),
    ]


def _schedule(template: Template, settings: Settings, machine: stepfunctions.StateMachine) -> None:
    """Starts the machine for every closed hour that is not in the table yet."""
    group = template.add_resource(scheduler.ScheduleGroup("Schedules", Name=settings.stack_name))
    role = template.add_resource(
        iam.role(
            "ScheduleRole",
            "scheduler.amazonaws.com",
            [iam.allow(machine.ref(), states.StartExecution)],
            iam.from_here(group.get_att("Arn")),  # Scheduler names the group, not the schedule
        )
    )
    template.add_resource(
        scheduler.Schedule(
            "CompactSchedule",
            Name=own_name(settings, "compact"),
            GroupName=group.ref(),
            ScheduleExpression=settings.compaction.schedule,
            ScheduleExpressionTimezone="UTC",
            State="ENABLED" if settings.compaction.enabled else "DISABLED",
            FlexibleTimeWindow=scheduler.FlexibleTimeWindow(Mode="OFF"),
            Target=scheduler.Target(
                Arn=machine.ref(),
                RoleArn=role.get_att("Arn"),
                Input="{}",
                RetryPolicy=scheduler.RetryPolicy(MaximumEventAgeInSeconds=SCHEDULE_RETRY_S, MaximumRetryAttempts=10),
            ),
        )
    )
