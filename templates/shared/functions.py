"""One Lambda function: its log group, its role and the function itself, from one entry of the catalogue."""

from dataclasses import dataclass

from awacs.aws import Statement
from troposphere import Ref, Split, Template, awslambda

from config.settings import Settings
from templates.shared import iam
from templates.shared.layers import layer_of
from templates.shared.log_groups import log_group
from templates.shared.naming import logical_id
from templates.shared.suppressions import suppress
from templates.shared.wiring import local_file, needs

NAMESPACE = "Sensorkeep"
"""CloudWatch namespace of the metrics that functions emit."""

RUNTIME = "python3.13"
ARCHITECTURE = "arm64"


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
    after_failure: str | None = None
    """What becomes of an invocation that fails for good, where no dead-letter queue receives it."""
    needs_internet: bool = False
    """It calls what is no AWS service: the private network has no way out, and so it stays outside of it."""


def add_function(template: Template, settings: Settings, spec: FunctionSpec, key_arn: object) -> awslambda.Function:
    """Add the function with a log group and a role of its own."""
    title = logical_id(spec.folder)
    logs = template.add_resource(log_group(f"{title}Logs", settings, f"/aws/lambda/{spec.name}", key_arn))
    own = [iam.write_logs(logs.get_att("Arn")), *([iam.trace()] if settings.tracing else [])]
    if settings.network.enabled and not spec.needs_internet:
        own += iam.work_in_network(spec.name)  # also when it is not attached: to give its interfaces back
    role = template.add_resource(iam.role(f"{title}Role", "lambda.amazonaws.com", own + spec.statements))
    options: dict[str, object] = {}
    if settings.tracing:
        options["TracingConfig"] = awslambda.TracingConfig(Mode="Active")
    if spec.reserved_concurrency is not None:
        options["ReservedConcurrentExecutions"] = spec.reserved_concurrency
    if spec.disk_mb is not None:
        options["EphemeralStorage"] = awslambda.EphemeralStorage(Size=spec.disk_mb)
    if settings.network.holds_functions and not spec.needs_internet:
        options["VpcConfig"] = _private_network(template)
    function = awslambda.Function(
        title,
        FunctionName=spec.name,
        Description=spec.description,
        Runtime=RUNTIME,
        Architectures=[ARCHITECTURE],
        Handler=f"{spec.folder}.handler.handle",
        Code=local_file(f"{spec.folder}.zip"),
        Layers=[_packages(template, spec.folder)],
        MemorySize=spec.memory_mb,
        Timeout=spec.timeout_s,
        Environment=awslambda.Environment(Variables={**_common_environment(settings), **spec.environment}),
        LoggingConfig=awslambda.LoggingConfig(LogGroup=logs.ref()),
        Role=role.get_att("Arn"),
        **options,
    )
    _say_what_it_lacks(function, spec)
    return template.add_resource(function)


def _say_what_it_lacks(function: awslambda.Function, spec: FunctionSpec) -> None:
    suppress(
        function, "The variables are names, ARNs and limits; Lambda encrypts them with its own key.", "CKV_AWS_173"
    )
    if spec.reserved_concurrency is None:
        suppress(function, "A reserve fails on accounts with a small quota: it is for the settings.", "CKV_AWS_115")
    if spec.after_failure is not None:
        suppress(function, spec.after_failure, "CKV_AWS_116")
    if "VpcConfig" not in function.properties:
        away = "It calls what is no AWS service, and the private network has no way out."
        unasked = "It calls nothing but AWS, over TLS; a network around it is for the settings."
        suppress(function, away if spec.needs_internet else unasked, "CKV_AWS_117", "lambda_inside_vpc_check")


def _private_network(template: Template) -> awslambda.VPCConfig:
    """The subnets and the security group of the stack `network`; all functions of a stack share its parameters."""
    subnets = _given_once(template, "PrivateSubnetIds", "Subnets of the functions, with commas between them")
    group = _given_once(template, "FunctionSecurityGroupId", "Security group of the functions")
    return awslambda.VPCConfig(SubnetIds=Split(",", subnets), SecurityGroupIds=[group])


def _packages(template: Template, folder: str) -> Ref:
    """The layer of the function's packages, from the stack `layers`."""
    layer = layer_of(folder)
    return _given_once(template, layer.output, f"Layer of {', '.join(layer.packages)}")


def _given_once(template: Template, name: str, description: str) -> Ref:
    return Ref(name) if name in template.parameters else needs(template, name, description)


def _common_environment(settings: Settings) -> dict[str, object]:
    """What Powertools reads in every function (https://docs.powertools.aws.dev/lambda/python/latest/)."""
    return {
        "POWERTOOLS_LOG_LEVEL": settings.log_level,
        "POWERTOOLS_METRICS_NAMESPACE": NAMESPACE,
        "POWERTOOLS_SERVICE_NAME": settings.stack_name,
        "POWERTOOLS_TRACE_DISABLED": "false" if settings.tracing else "true",
    }
