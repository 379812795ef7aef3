"""Batch: the state machines that compact the archive and look after the table, their functions, what starts them."""

from troposphere import Template

from config.settings import Settings
from templates.shared import compacting, optimizing
from templates.shared.lake_functions import Lake
from templates.shared.lake_machines import add_lake_machine, add_steps
from templates.shared.schedules import Schedule, add_schedules
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
    compaction = add_steps(template, settings, lake, compacting.STEPS)
    compact = add_lake_machine(
        template,
        settings,
        lake,
        title="Compact",
        steps=compaction,
        numbers={"MaxConcurrency": settings.compaction.concurrency},
    )
    upkeep = add_steps(template, settings, lake, optimizing.STEPS)
    optimize = add_lake_machine(
        template,
        settings,
        lake,
        title="Optimize",
        steps=upkeep,
        numbers={"MaxConcurrency": settings.optimization.concurrency},
    )
    schedules = [
        Schedule(compact, settings.compaction.schedule, settings.compaction.enabled),
        Schedule(optimize, settings.optimization.schedule, settings.optimization.enabled),
    ]
    add_schedules(template, settings, lake.key_arn, schedules)
    names = {f"{function.title}Name": function.ref() for function in (*compaction, *upkeep)}
    offers(template, **names, CompactStateMachineArn=compact.ref(), OptimizeStateMachineArn=optimize.ref())
    return template
