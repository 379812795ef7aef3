"""State machines: definitions from `stepfunctions/*.asl.json`, their placeholders, logs, tracing and role."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from awacs import logs, states, xray
from awacs.aws import Statement
from troposphere import Template, stepfunctions

from config.settings import Settings
from templates.shared import iam
from templates.shared.limits import BuildError
from templates.shared.log_groups import log_group
from templates.shared.suppressions import suppress

DEFINITIONS = Path(__file__).parents[2] / "stepfunctions"
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def definition(path: Path, references: Mapping[str, object], numbers: Mapping[str, int]) -> str:
    """The definition as one line of JSON, in which `references` stay placeholders for CloudFormation to fill.

    CloudFormation fills in text only, so a placeholder of `numbers` (`"MaxConcurrency": "${MaxConcurrency}"`) becomes
    a number here. Raises BuildError for a placeholder without a substitution and a substitution without a placeholder.
    """
    text = path.read_text(encoding="utf-8")
    used, given = set(PLACEHOLDER.findall(text)), {*references, *numbers}
    if missing := sorted(used - given):
        raise BuildError(
            f"{path.name} has the placeholders {missing} without a substitution; there are {sorted(given)}."
        )
    if unused := sorted(given - used):
        raise BuildError(f"{path.name} has no placeholder for {unused}; remove the substitution or use it.")
    for name, number in numbers.items():
        text = text.replace(f'"${{{name}}}"', str(number))
        if f"${{{name}}}" in text:
            raise BuildError(f"{path.name} has the number {name} inside a text; let it stand alone.")
    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except json.JSONDecodeError as error:
        raise BuildError(f"{path.name} is not valid JSON: {error}") from error


def add_state_machine(
    template: Template,
    settings: Settings,
    *,
    title: str,
    name: str,
    definition_string: str,
    references: Mapping[str, object],
    statements: list[Statement],
    key_arn: object,
    kind: str = "STANDARD",
) -> stepfunctions.StateMachine:
    """Add a machine with its log group and role.

    `statements` say what its tasks need, `kind` is STANDARD or EXPRESS.
    """
    # Logs of this prefix are delivered without the 5,120 characters that a log resource policy may have.
    group = template.add_resource(log_group(f"{title}Logs", settings, f"/aws/vendedlogs/states/{name}", key_arn))
    own = [_deliver_logs(), *([_trace()] if settings.tracing else [])]
    callers = [iam.arn("states", f"stateMachine:{name}")]
    if labels := _map_labels(definition_string):
        own += _run_distributed_maps(name, labels)
        # The children of a Distributed Map belong to the machine's ARN with the Map's label behind it.
        callers.append(iam.arn("states", f"stateMachine:{name}/*"))
    role = template.add_resource(
        iam.role(f"{title}Role", "states.amazonaws.com", own + statements, iam.from_here(*callers))
    )
    destination = stepfunctions.LogDestination(
        CloudWatchLogsLogGroup=stepfunctions.CloudWatchLogsLogGroup(LogGroupArn=group.get_att("Arn"))
    )
    machine = stepfunctions.StateMachine(
        title,
        StateMachineName=name,
        StateMachineType=kind,
        RoleArn=role.get_att("Arn"),
        DefinitionString=definition_string,
        **({"DefinitionSubstitutions": dict(references)} if references else {}),  # it may not be empty
        LoggingConfiguration=stepfunctions.LoggingConfiguration(
            Level="ALL", IncludeExecutionData=True, Destinations=[destination]
        ),
        TracingConfiguration=stepfunctions.TracingConfiguration(Enabled=settings.tracing),
    )
    if not settings.tracing:
        suppress(
            machine,
            "The settings of this environment do without X-Ray.",
            "step_functions_state_machine_tracing_enabled_check",
        )
    return template.add_resource(machine)


def _map_labels(definition_string: str) -> list[str]:
    """The labels of the machine's Distributed Maps."""
    states_by_name = json.loads(definition_string)["States"]
    return [state["Label"] for state in states_by_name.values() if state["Type"] == "Map"]


def _run_distributed_maps(name: str, labels: list[str]) -> list[Statement]:
    """A Distributed Map starts its machine anew for the items; `labels` are those of the Map states.

    Children are redriven under the ARN that has the label, and looked at and stopped under the machine's own
    (https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html). The ARNs are built from the
    name, or they would form a circle with the role.
    """
    return [
        iam.allow(iam.arn("states", f"stateMachine:{name}"), states.StartExecution),
        iam.allow(iam.arn("states", f"execution:{name}:*"), states.DescribeExecution, states.StopExecution),
        *(iam.allow(iam.arn("states", f"execution:{name}/{label}:*"), states.RedriveExecution) for label in labels),
    ]


def _deliver_logs() -> Statement:
    return iam.allow(
        iam.ANY,  # log deliveries have no resource
        logs.CreateLogDelivery,
        logs.DeleteLogDelivery,
        logs.DescribeLogGroups,
        logs.DescribeResourcePolicies,
        logs.GetLogDelivery,
        logs.ListLogDeliveries,
        logs.PutResourcePolicy,
        logs.UpdateLogDelivery,
    )


def _trace() -> Statement:
    return iam.allow(
        iam.ANY,  # X-Ray has no resource for segments
        xray.GetSamplingRules,
        xray.GetSamplingTargets,
        xray.PutTelemetryRecords,
        xray.PutTraceSegments,
    )
