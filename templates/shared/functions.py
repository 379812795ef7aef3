"""One Lambda function: its log group, its role and the function itself, from one entry of the catalogue."""

from dataclasses import dataclass

from awacs.aws import Statement
from troposphere import Template, awslambda

from config.settings import Settings
from templates.shared import iam
from templates.shared.log_groups import log_group
from templates.shared.naming import logical_id
from templates.shared.wiring import local_file

NAMESPACE = "Sensorkeep"
"""CloudWatch namespace of the metrics that functions emit."""


@dataclass(frozen=True)
class FunctionSpec:
    """What distinguishes one function: where its code is, how large it is, what it is told and what it may do."""

    folder: str
    name: str
    description: str
    memory_mb: int
    timeout_s: int
    environment: dict[str, object]
    statements: list[Statement]
    reserved_concurrency: int | None = None
    disk_mb: int | None = None


def add_function(template: Template, settings: Settings, spec: FunctionSpec, key_arn: object) -> awslambda.Function:
    """Add the function with a log group and a role of its own."""
    title = logical_id(spec.folder)
    logs = template.add_resource(log_group(f"{title}Logs", settings, f"/aws/lambda/{spec.name}", key_arn))
    own = [iam.write_logs(logs.get_att("Arn")), *([iam.trace()] if settings.tracing else [])]
    role = template.add_resource(iam.role(f"{title}Role", "lambda.amazonaws.com", own + spec.statements))
    options: dict[str, object] = {}
    if settings.tracing:
        options["TracingConfig"] = awslambda.TracingConfig(Mode="Active")
    if spec.reserved_concurrency is not None:
        options["ReservedConcurrentExecutions"] = spec.reserved_concurrency
    if spec.disk_mb is not None:
        options["EphemeralStorage"] = awslambda.EphemeralStorage(Size=spec.disk_mb)
    function = awslambda.Function(
        title,
        FunctionName=spec.name,
        Description=spec.description,
        Runtime="python3.13",
        Architectures=["arm64"],
        Handler=f"{spec.folder}.handler.handle",
        Code=local_file(f"{spec.folder}.zip"),
        MemorySize=spec.memory_mb,
        Timeout=spec.timeout_s,
        Environment=awslambda.Environment(Variables={**_common_environment(settings), **spec.environment}),
        LoggingConfig=awslambda.LoggingConfig(LogGroup=logs.ref()),
        Role=role.get_att("Arn"),
        **options,
    )
    return template.add_resource(function)


def _common_environment(settings: Settings) -> dict[str, object]:
    """What Powertools reads in every function (https://docs.powertools.aws.dev/lambda/python/latest/)."""
    return {
        "POWERTOOLS_LOG_LEVEL": settings.log_level,
        "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
        "POWERTOOLS_SERVICE_NAME": settings.stack_name,
        "POWERTOOLS_TRACE_DISABLED": "false" if settings.tracing else "true",
    }
