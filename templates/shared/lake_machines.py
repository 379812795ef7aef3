"""State machines whose tasks are functions on the lake: the functions, the machine, and what its maps ask of S3."""

from collections.abc import Mapping

from awacs import awslambda as lambda_actions
from awacs import kms, s3
from awacs.aws import Statement
from troposphere import Template, awslambda, stepfunctions

from config.settings import Settings
from templates.shared import iam
from templates.shared.functions import add_function
from templates.shared.lake_functions import Lake, Step
from templates.shared.naming import own_name
from templates.shared.state_machines import DEFINITIONS, add_state_machine, definition


def add_steps(template: Template, settings: Settings, lake: Lake, steps: tuple[Step, ...]) -> list[awslambda.Function]:
    """Add the functions of a machine."""
    return [add_function(template, settings, step(settings, lake), lake.key_arn) for step in steps]


def add_lake_machine(
    template: Template,
    settings: Settings,
    lake: Lake,
    *,
    title: str,
    steps: list[awslambda.Function],
    numbers: Mapping[str, int],
) -> stepfunctions.StateMachine:
    """Add the machine of `stepfunctions/<name>.asl.json`, whose name is the title's; `numbers` are placeholders."""
    name = title.lower()
    arns = {f"{function.title}Arn": function.get_att("Arn") for function in steps}
    return add_state_machine(
        template,
        settings,
        title=title,
        name=own_name(settings, name),
        definition_string=definition(DEFINITIONS / f"{name}.asl.json", arns, numbers),
        references=arns,
        statements=[*_invoke(arns), *_keep_books_of_maps(lake, f"runs/{name}/*")],
        key_arn=lake.key_arn,
    )


def _invoke(arns: dict[str, object]) -> list[Statement]:
    return [iam.allow(arn, lambda_actions.InvokeFunction) for arn in arns.values()]


def _keep_books_of_maps(lake: Lake, keys: str) -> list[Statement]:
    """A Map reads its items from the plan and writes down how each of them ended, in parts when there are many
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
