"""Batch: the state machines that compact the archive and look after the table, their functions, what starts them."""

from awacs import awslambda as lambda_actions
from awacs import kms, s3
from awacs.aws import Statement
from troposphere import Template, awslambda, stepfunctions

from config.settings import Settings
from templates.shared import compacting, iam, optimizing
from templates.shared.functions import add_function
from templates.shared.lake_functions import Lake, Step
from templates.shared.naming import own_name
from templates.shared.schedules import Schedule, add_schedules
from templates.shared.state_machines import DEFINITIONS, add_state_machine, definition
from templates.shared.wiring import needs, offers


def build(settings: Settings) -> Template:
    """Functions, state machines and schedules of compaction and upkeep."""
    template = Template("Compaction of the archive and upkeep of the table")
    lake = Lake(
        raw=needs(template, "RawBucketName", "Bucket of the archive"),
        processed=needs(template, "ProcessedBucketName", "Bucket of the Iceberg table and the runs"),
        database=needs(template, "LakeDatabaseName", "Glue database of the Iceberg table"),
        key_arn=needs(template, "KeyArn", "Key that encrypts the buckets and the logs"),
    )
    compaction = _functions(template, settings, lake, compacting.STEPS)
    compact = _machine(
        template,
        settings,
        lake,
        title="Compact",
        steps=compaction,
        map_label="WriteParquet",
        concurrency=settings.compaction.concurrency,
    )
    upkeep = _functions(template, settings, lake, optimizing.STEPS)
    optimize = _machine(
        template,
        settings,
        lake,
        title="Optimize",
        steps=upkeep,
        map_label="RewriteParquet",
        concurrency=settings.optimization.concurrency,
    )
    schedules = [
        Schedule(compact, settings.compaction.schedule, settings.compaction.enabled),
        Schedule(optimize, settings.optimization.schedule, settings.optimization.enabled),
    ]
    add_schedules(template, settings, lake.key_arn, schedules)
    names = {f"{function.title}Name": function.ref() for function in (*compaction, *upkeep)}
    offers(template, **names, CompactStateMachineArn=compact.ref(), OptimizeStateMachineArn=optimize.ref())
    return template


def _functions(template: Template, settings: Settings, lake: Lake, steps: tuple[Step, ...]) -> list[awslambda.Function]:
    return [add_function(template, settings, step(settings, lake), lake.key_arn) for step in steps]


def _machine(
    template: Template,
    settings: Settings,
    lake: Lake,
    *,
    title: str,
    steps: list[awslambda.Function],
    map_label: str,
    concurrency: int,
) -> stepfunctions.StateMachine:
    """The machine of `stepfunctions/<name>.asl.json`, whose name is the title's, and whose map is `map_label`."""
    name = title.lower()
    arns = {f"{function.title}Arn": function.get_att("Arn") for function in steps}
    return add_state_machine(
        template,
        settings,
        title=title,
        name=own_name(settings, name),
        definition_string=definition(DEFINITIONS / f"{name}.asl.json", arns, {"MaxConcurrency": concurrency}),
        references=arns,
        statements=[*_invoke(arns), *_keep_books_of_map(lake, f"runs/{name}/*")],
        key_arn=lake.key_arn,
        map_label=map_label,
    )


def _invoke(arns: dict[str, object]) -> list[Statement]:
    return [iam.allow(arn, lambda_actions.InvokeFunction) for arn in arns.values()]


def _keep_books_of_map(lake: Lake, keys: str) -> list[Statement]:
    """The Map reads its items from the plan and writes down how each of them ended, in parts when there are many
    (https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html#resultwriter-iam-policies).

    Of an encrypted bucket AWS asks both key actions of the role.
    """
    return [
        iam.allow(
            iam.objects_arn(lake.processed, keys),
            s3.AbortMultipartUpload,
            s3.GetObject,
            s3.ListMultipartUploadParts,
            s3.PutObject,
        ),
        iam.use_key(lake.key_arn, "s3", kms.Decrypt, kms.GenerateDataKey),
    ]
