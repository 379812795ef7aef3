"""Traps 24, 26 to 28, 30, 32, 33, 35 and 36: what keeps a system deployable, and affordable."""

import json
import re
from typing import Any

from tests.templates.traps.systems import Resource, System, actions, source, text
from tests.templates.walking import walk

SMALL_OBJECT_BYTES = 128 * 1024
"""Not worth the overhead of a colder class; S3 leaves them by default
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html)."""

RESERVED_VARIABLES = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
}
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""

ROOT_BYTES, TEMPLATE_BYTES, PARAMETER_BYTES = 51_200, 1_000_000, 4_096
COUNTS = {"Resources": 500, "Parameters": 200, "Outputs": 200}
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
ACCOUNT = "123456789012"

NAMES = re.compile(
    r"^(Alias|Bucket|Database|DeliveryStream|Function|Group|LogGroup|Policy|Rule|StateMachine|Table|Template|ThingType"
    r"|Topic|Trail)?Name$"
)
"""Properties with which a template gives a resource its name."""


def faults_of_transitions(system: System) -> set[str]:
    """Trap 24: S3 leaves small objects in their class, unless a rule or a bucket says otherwise, and then they cost
    more than before."""
    faults = set()
    for bucket in system.resources("AWS::S3::Bucket"):
        lifecycle = bucket.properties["LifecycleConfiguration"]
        if lifecycle.get("TransitionDefaultMinimumObjectSize", "").startswith("varies"):
            faults.add(f"{bucket}: moves small objects")
        for rule in lifecycle["Rules"]:
            moves = "Transitions" in rule or "NoncurrentVersionTransitions" in rule
            if moves and int(rule.get("ObjectSizeGreaterThan", SMALL_OBJECT_BYTES)) < SMALL_OBJECT_BYTES:
                faults.add(f"{bucket}: {rule['Id']} moves small objects")
    return faults


DELETES = frozenset(
    {
        "batch.SweepOrphansRole",
        "reprocessing.PlanReprocessRole",
        "reprocessing.CommitReprocessRole",
        "reprocessing.ReportReprocessRole",
        "reprocessing.UndoReprocessRole",
    }
)
"""Roles that may delete: files of the table that no snapshot names, claims, what a run has set aside that is undone.
`test_permissions` holds each to its folders."""


def faults_of_old_versions(system: System) -> set[str]:
    """Trap 26: no function deletes what it has worked on, and what became an old version goes in the end."""
    faults = {
        f"{role}: {action}"
        for function in system.resources("AWS::Lambda::Function")
        if (role := source(system, function.stack, function.properties["Role"]))
        for action in actions(role)
        if action.startswith("s3:Delete") and str(role) not in DELETES
    }
    for bucket in system.resources("AWS::S3::Bucket"):
        rules = bucket.properties["LifecycleConfiguration"]["Rules"]
        if bucket.properties["VersioningConfiguration"]["Status"] == "Enabled" and not any(
            rule.get("NoncurrentVersionExpiration") and rule["Status"] == "Enabled" for rule in rules
        ):
            faults.add(f"{bucket}: old versions stay for ever")
    return faults


def faults_of_machine_sizes(system: System) -> set[str]:
    """Trap 27: items come from S3, run as executions of their own and leave the state alone, because state and history
    are small; and none of them may fail, because a Map that tolerates failures cannot be redriven for them."""
    faults = set()
    for machine in system.resources("AWS::StepFunctions::StateMachine"):
        for state in walk(json.loads(machine.properties["DefinitionString"])):
            if not isinstance(state, dict) or state.get("Type") != "Map":
                continue
            mode = state["ItemProcessor"].get("ProcessorConfig", {}).get("Mode")
            if mode != "DISTRIBUTED" or not state.get("ItemReader") or state.get("ResultPath", "$") is not None:
                faults.add(f"{machine}: a map's items or results stand in its state")
            if state.get("ToleratedFailurePercentage") or state.get("ToleratedFailureCount"):
                faults.add(f"{machine}: tolerates failures")
            if state.get("Catch"):
                faults.add(f"{machine}: catches what could be redriven")
    return faults


def faults_of_template_sizes(system: System) -> set[str]:
    """Trap 28: CloudFormation's quotas of one template."""
    faults = set()
    for stack in system.stacks.values():
        size = len(json.dumps(stack.body).encode())
        if size > (ROOT_BYTES if stack.name == "root" else TEMPLATE_BYTES):
            faults.add(f"{stack.name}: {size} bytes")
        for section, most in COUNTS.items():
            if len(stack.body.get(section, {})) > most:
                faults.add(f"{stack.name}: more than {most} {section}")
    for nested in system.resources("AWS::CloudFormation::Stack"):
        for name, value in nested.properties.get("Parameters", {}).items():
            if len(str(value).encode()) > PARAMETER_BYTES:
                faults.add(f"{nested}: {name} has more than {PARAMETER_BYTES} bytes")
    return faults


def faults_of_names(system: System) -> set[str]:
    """Trap 30: names of buckets are global and short; an update makes or deletes one index of a table."""
    faults = set()
    for bucket in system.resources("AWS::S3::Bucket"):
        given = text(bucket.properties["BucketName"])
        name = given.replace("${AWS::AccountId}", ACCOUNT).replace("${AWS::Region}", system.settings.region)
        if not given.endswith("-${AWS::AccountId}-${AWS::Region}"):
            faults.add(f"{bucket}: its name may be taken in another account or region")
        if not BUCKET_NAME.fullmatch(name):
            faults.add(f"{bucket}: {name} is no name of a bucket")
    for table in system.resources("AWS::DynamoDB::Table"):
        if len(table.properties.get("GlobalSecondaryIndexes", [])) > 1:
            faults.add(f"{table}: two indexes cannot be made by one update")
    return faults


def faults_of_reserved_concurrency(system: System) -> set[str]:
    """Trap 32: an account with a small quota refuses any reservation, so that only the settings may ask for one."""
    asked = system.settings.realtime.function
    wanted = {system.settings.name(asked.name): asked.reserved_concurrency}
    return {
        f"{function}: reserves what nobody asked for"
        for function in system.resources("AWS::Lambda::Function")
        if function.properties.get("ReservedConcurrentExecutions") != wanted.get(function.properties["FunctionName"])
    }


def faults_of_retained_names(system: System) -> set[str]:
    """Trap 33: what is kept under a name of its own blocks the next attempt when its first deployment fails, unless
    it is kept except then; and a bucket that is not kept blocks its stack's deletion."""
    faults = set()
    for resource in system.all_resources():
        policy = resource.body.get("DeletionPolicy")
        if policy == "Retain" and _is_named(resource):
            faults.add(f"{resource}: blocks its own creation after a failure")
        if resource.body["Type"] == "AWS::S3::Bucket" and policy != "RetainExceptOnCreate":
            faults.add(f"{resource}: blocks the deletion of its stack")
    return faults


def faults_of_account_wide_logging(system: System) -> set[str]:
    """Trap 35: one logging configuration of IoT an account and region: only where the settings ask for it."""
    wanted = 1 if system.settings.devices.rule_log_level else 0
    found = [str(logging) for logging in system.resources("AWS::IoT::Logging")]
    return set() if len(found) == wanted else {f"{len(found)} logging configurations of the account, not {wanted}"}


def faults_of_variables(system: System) -> set[str]:
    """Trap 36: Lambda refuses a function that sets one of its own variables."""
    return {
        f"{function}: {name} is Lambda's own"
        for function in system.resources("AWS::Lambda::Function")
        for name in set(_variables(function)) & RESERVED_VARIABLES
    }


def _variables(function: Resource) -> dict[str, Any]:
    found: dict[str, Any] = function.properties.get("Environment", {}).get("Variables", {})
    return found


def _is_named(resource: Resource) -> bool:
    return any(NAMES.match(name) and not _is_reference(value) for name, value in resource.properties.items())


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and "Ref" in value
