"""Queries: the Athena workgroup of the table, its saved queries, and the policy of whoever may ask."""

from pathlib import Path

from awacs import athena as athena_actions
from awacs import glue, kms, s3
from awacs.aws import Statement
from troposphere import AccountId, Ref, Sub, Template, athena
from troposphere import iam as iam_resources

from config.settings import Settings
from templates.shared import iam
from templates.shared.naming import logical_id, own_name
from templates.shared.wiring import needs, offers

SAVED = Path(__file__).parent / "saved_queries"
"""A query a file; its comment is the description. `{metric}` and `{late_after_h}` are filled in."""

RESULTS = "athena/"
"""Where Athena puts the answers, in the processed bucket; they expire there by the settings."""

GB = 1_000_000_000
ENGINE = "Athena engine version 3"  # reads and travels through Iceberg tables; AUTO would change under the queries
CATALOG = "datacatalog/AwsDataCatalog"  # Athena's name for Glue


def build(settings: Settings) -> Template:
    """Workgroup, saved queries, policy."""
    template = Template("Queries of the table")
    processed = needs(template, "ProcessedBucketName", "Bucket of the Iceberg table and of the answers")
    database = needs(template, "LakeDatabaseName", "Glue database of the Iceberg table")
    key_arn = needs(template, "KeyArn", "Key that encrypts the bucket")
    workgroup = template.add_resource(_workgroup(settings, processed, key_arn))
    for name, text in saved_queries(settings).items():
        template.add_resource(_named_query(name, text, database, workgroup))
    policy = template.add_resource(_policy(settings, processed, database, key_arn))
    offers(template, AthenaWorkgroupName=workgroup.ref(), QueryPolicyArn=policy.ref())
    return template


def saved_queries(settings: Settings) -> dict[str, str]:
    """The saved queries by name, without what needs a declared metric where the settings declare none."""
    metric = next(iter(settings.metrics), None)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SAVED.glob("*.sql"))}
    return {
        name: text.format(metric=metric, late_after_h=settings.decoding.late_after_h)
        for name, text in texts.items()
        if metric or "{metric}" not in text
    }


def _workgroup(settings: Settings, processed: Ref, key_arn: Ref) -> athena.WorkGroup:
    """A client can neither scan more than the limit nor put answers elsewhere: its own settings do not count."""
    by_key = athena.EncryptionConfiguration(EncryptionOption="SSE_KMS", KmsKey=key_arn)
    return athena.WorkGroup(
        "QueriesWorkgroup",
        Name=own_name(settings, "queries"),
        Description=f"Queries of {settings.stack_name}",
        State="ENABLED",
        RecursiveDeleteOption=True,  # its history and queries that people saved would keep the stack from going
        WorkGroupConfiguration=athena.WorkGroupConfiguration(
            BytesScannedCutoffPerQuery=settings.athena.scan_limit_gb * GB,
            EnforceWorkGroupConfiguration=True,
            EngineVersion=athena.EngineVersion(SelectedEngineVersion=ENGINE),
            PublishCloudWatchMetricsEnabled=True,
            ResultConfiguration=athena.ResultConfiguration(
                EncryptionConfiguration=by_key,
                ExpectedBucketOwner=AccountId,
                OutputLocation=Sub(f"s3://${{Bucket}}/{RESULTS}", Bucket=processed),
            ),
        ),
    )


def _named_query(name: str, text: str, database: Ref, workgroup: athena.WorkGroup) -> athena.NamedQuery:
    comment, _, query = text.partition("\n")
    return athena.NamedQuery(
        logical_id(name),
        Name=name.replace("_", " "),
        Description=comment.removeprefix("-- "),
        Database=database,
        QueryString=query,
        WorkGroup=workgroup.ref(),
    )


def _policy(settings: Settings, processed: Ref, database: Ref, key_arn: Ref) -> iam_resources.ManagedPolicy:
    """To be attached to people and to programs: Athena reads and writes with the permissions of whoever asks."""
    return iam_resources.ManagedPolicy(
        "QueryPolicy",
        Description=f"Query the table of {settings.stack_name} with Athena, PyIceberg and what builds on them",
        PolicyDocument=iam.policy(
            *_ask_athena(own_name(settings, "queries")),
            *_read_catalog(database),
            iam.allow(iam.objects_arn(processed, "warehouse/readings/*"), s3.GetObject),
            iam.allow(
                iam.objects_arn(processed, f"{RESULTS}*"),
                s3.AbortMultipartUpload,
                s3.GetObject,
                s3.ListMultipartUploadParts,
                s3.PutObject,
            ),
            iam.allow(iam.bucket_arn(processed), s3.GetBucketLocation),
            iam.list_keys(processed, RESULTS, "warehouse/readings/"),
            iam.use_key(key_arn, "s3", kms.Decrypt, kms.GenerateDataKey),
        ),
    )


def _ask_athena(workgroup: str) -> list[Statement]:
    return [
        iam.allow(
            iam.arn("athena", f"workgroup/{workgroup}"),
            athena_actions.BatchGetNamedQuery,
            athena_actions.BatchGetQueryExecution,
            athena_actions.GetNamedQuery,
            athena_actions.GetQueryExecution,
            athena_actions.GetQueryResults,
            athena_actions.GetQueryResultsStream,
            athena_actions.GetWorkGroup,
            athena_actions.ListNamedQueries,
            athena_actions.ListQueryExecutions,
            athena_actions.StartQueryExecution,
            athena_actions.StopQueryExecution,
        ),
        iam.allow(
            iam.arn("athena", CATALOG),
            athena_actions.GetDataCatalog,
            athena_actions.GetDatabase,
            athena_actions.GetTableMetadata,
            athena_actions.ListDatabases,
            athena_actions.ListTableMetadata,
        ),
    ]


def _read_catalog(database: Ref) -> list[Statement]:
    """Glue checks an action on the catalog, the database and the table."""
    return [
        iam.allow(iam.arn("glue", "catalog"), glue.GetDatabase, glue.GetTable, glue.GetTables),
        iam.allow(
            iam.arn("glue", "database/${Database}", Database=database), glue.GetDatabase, glue.GetTable, glue.GetTables
        ),
        iam.allow(iam.arn("glue", "table/${Database}/readings", Database=database), glue.GetTable, glue.GetTables),
    ]
