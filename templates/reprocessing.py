"""Reprocessing: the state machine that people start, its functions, and the policy of whoever may start it."""

from awacs import cloudformation, kms, s3, states
from troposphere import Template
from troposphere import iam as iam_resources

from config.settings import Settings
from templates.shared import iam, reprocessing
from templates.shared.lake_functions import Lake
from templates.shared.lake_machines import add_lake_machine, add_steps
from templates.shared.naming import own_name
from templates.shared.wiring import needs, offers

_READ = (reprocessing.MANIFESTS, reprocessing.LEDGER)
"""What whoever reprocesses may read: of each run its plan, progress and report, who wanted it and why."""


def build(settings: Settings) -> Template:
    """Functions, state machine, policy; nothing starts it but a person."""
    template = Template("Reprocessing of the archive")
    lake = Lake(
        raw=needs(template, "RawBucketName", "Bucket of the archive"),
        processed=needs(template, "ProcessedBucketName", "Bucket of the Iceberg table and the runs"),
        database=needs(template, "LakeDatabaseName", "Glue database of the Iceberg table"),
        key_arn=needs(template, "KeyArn", "Key that encrypts buckets, hot table, topic and logs"),
    )
    table = needs(template, "ReadingsTableName", "Table of recent readings")
    topic_arn = needs(template, "AlertsTopicArn", "Topic of the alerts that a run sends when it is asked to")
    steps = add_steps(template, settings, lake, reprocessing.steps(table, topic_arn))
    size = settings.reprocessing
    machine = add_lake_machine(
        template,
        settings,
        lake,
        title="Reprocess",
        steps=steps,
        numbers={"MaxConcurrency": size.concurrency, "HotWriters": size.hot_writers},
    )
    policy = template.add_resource(_policy(settings, lake))
    names = {f"{function.title}Name": function.ref() for function in steps}
    offers(template, **names, ReprocessStateMachineArn=machine.ref(), ReprocessPolicyArn=policy.ref())
    return template


def _policy(settings: Settings, lake: Lake) -> iam_resources.ManagedPolicy:
    """To be attached to people: they start, watch, stop and redrive, and read what a run says; the machine does it."""
    name = own_name(settings, "reprocess")
    of_a_map = iam.arn("states", f"mapRun:{name}/*")
    return iam_resources.ManagedPolicy(
        "ReprocessPolicy",
        Description=f"Start, watch, stop and redrive reprocessings of {settings.stack_name} and read their reports",
        PolicyDocument=iam.policy(
            iam.allow(
                iam.arn("states", f"stateMachine:{name}"),
                states.DescribeStateMachine,
                states.ListExecutions,
                states.StartExecution,
            ),
            iam.allow(
                iam.arn("states", f"execution:{name}:*"),
                states.DescribeExecution,
                states.DescribeStateMachineForExecution,
                states.GetExecutionHistory,
                states.ListMapRuns,
                states.RedriveExecution,
                states.StopExecution,
            ),
            iam.allow(of_a_map, states.DescribeMapRun, states.ListExecutions),
            # the tasks of a map, to see why one failed
            iam.allow(iam.arn("states", f"execution:{name}/*"), states.DescribeExecution, states.GetExecutionHistory),
            *(iam.allow(iam.objects_arn(lake.processed, keys), s3.GetObject) for keys in _READ),
            iam.list_keys(lake.processed, *(keys.removesuffix("*") for keys in _READ)),
            iam.use_key(lake.key_arn, "s3", kms.Decrypt),
            # `python -m ops` finds the system among all stacks by its tag: a call that names none of them
            iam.allow(iam.ANY, cloudformation.DescribeStacks, cloudformation.ListStacks),
        ),
    )
