"""Lambda function `rotate_secret`: one step of a rotation, asked for by Secrets Manager."""

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from rotate_secret.rotation import Rotation

logger = Logger()
tracer = Tracer(patch_modules=["botocore"])


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, str], _context: LambdaContext) -> None:
    """Do the step that the event names. Raises RotationError; Secrets Manager then tries the rotation again."""
    secret_id, version_id, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    Rotation(_secrets_manager(), secret_id, version_id).run(step)
    logger.info("rotation step done", extra={"secret_id": secret_id, "version_id": version_id, "step": step})


@cache
def _secrets_manager() -> Any:
    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("secretsmanager", config=config)
