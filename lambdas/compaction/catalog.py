"""The Glue catalog and its table, on AWS or wherever the standard AWS environment points."""

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from pyiceberg.catalog.glue import GlueCatalog

from compaction.lake_table import LakeTable
from sensors.settings import FunctionSettings


def open_table(session: boto3.Session, environ: Mapping[str, str], settings: FunctionSettings) -> LakeTable:
    """The table of the environment's bucket and database, as its settings want it."""
    return LakeTable(
        catalog=open_catalog(session, environ),
        database=environ["LAKE_DATABASE"],
        location=f"s3://{environ['PROCESSED_BUCKET']}/warehouse/readings",
        metrics=tuple(settings.metrics),
        partition_by=settings.lake.partition_by,
    )


def open_catalog(session: boto3.Session, environ: Mapping[str, str]) -> GlueCatalog:
    """The account's Glue catalog, for the session's credentials and region.

    Calls are not repeated by the client: an update whose answer was lost would come back as a conflict, and a
    conflict lets PyIceberg delete the manifests of what was, in truth, committed. Who commits tries again itself.
    """
    glue = session.client("glue", config=Config(retries={"total_max_attempts": 1}))
    return GlueCatalog("glue", client=glue, **_file_properties(session, environ))


def _file_properties(session: boto3.Session, environ: Mapping[str, str]) -> dict[str, Any]:
    """What PyIceberg's file reader has to be told: it does not read the AWS configuration as botocore does."""
    credentials = session.get_credentials()
    if credentials is None:
        raise RuntimeError("No AWS credentials found. Configure them as for the AWS CLI.")
    frozen = credentials.get_frozen_credentials()
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    properties = {
        "s3.region": session.region_name,
        "s3.access-key-id": frozen.access_key,
        "s3.secret-access-key": frozen.secret_key,
        "s3.session-token": frozen.token,
        "s3.endpoint": endpoint,
    }
    return {name: value for name, value in properties.items() if value}
