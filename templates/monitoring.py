"""Monitoring: the dashboard, and the alarms that publish to the alerts topic."""

import json

from troposphere import Sub, Template, cloudwatch

from config.settings import Settings
from templates.shared.alarm_catalogue import alarms
from templates.shared.alarms import add_alarms
from templates.shared.dashboards import body
from templates.shared.wiring import needs, offers

WATCHED = {
    "StreamName": "Stream of readings",
    "ReadingsRuleName": "Topic rule of messages with a time",
    "RawPayloadRuleName": "Topic rule of all other messages",
    "RawBucketName": "Bucket of the archive",
    "FirehoseName": "Delivery to the archive",
    "ReadingsTableName": "Table of recent readings",
    "ProcessReadingsName": "Function that stores readings",
    "EventSourceId": "Event source mapping of that function",
    "CompactStateMachineArn": "State machine of the compaction",
    "OptimizeStateMachineArn": "State machine of the table's upkeep",
    "ReprocessStateMachineArn": "State machine of the reprocessing",
    "StartRunStateMachineArn": "State machine that starts the others for their schedules",
    "PlanCompactionName": "First step of the compaction",
    "WriteParquetName": "Second step of the compaction",
    "CommitTableName": "Last step of the compaction",
    "PlanOptimizationName": "First step of the upkeep",
    "RewriteParquetName": "Second step of the upkeep",
    "CommitRewriteName": "Third step of the upkeep",
    "ExpireSnapshotsName": "Fourth step of the upkeep",
    "SweepOrphansName": "Last step of the upkeep",
    "PlanReprocessName": "Step of the reprocessing that finds what is decoded",
    "RestoreObjectsName": "Step of the reprocessing that has frozen objects restored",
    "DecodeObjectsName": "Step of the reprocessing that decodes",
    "PlanMergeName": "Step of the reprocessing that finds the files to merge",
    "MergeReadingsName": "Step of the reprocessing that merges",
    "CommitReprocessName": "Step of the reprocessing that publishes",
    "WriteHotTableName": "Step of the reprocessing that writes to the table of recent readings",
    "ReportReprocessName": "Last step of the reprocessing",
    "UndoReprocessName": "Step that takes a reprocessing back",
}


def build(settings: Settings) -> Template:
    """Dashboard and alarms over everything the stacks before made."""
    template = Template("Dashboard and alarms")
    watched = {name: needs(template, name, description) for name, description in _watched(settings).items()}
    topic_arn = needs(template, "AlertsTopicArn", "Topic that alarms publish to")
    add_alarms(template, settings, alarms(settings, watched), topic_arn)
    arns = {title: alarm.get_att("Arn") for title, alarm in template.resources.items()}
    text = json.dumps(body(settings, arns), sort_keys=True, separators=(",", ":"))
    values = {name: value for name, value in {**watched, **arns}.items() if f"${{{name}}}" in text}
    dashboard = template.add_resource(
        cloudwatch.Dashboard(
            "Dashboard",
            DashboardName=settings.name(settings.monitoring.dashboard_name),
            DashboardBody=Sub(text, **values),
        )
    )
    offers(template, DashboardName=dashboard.ref())
    return template


def _watched(settings: Settings) -> dict[str, str]:
    """What the stacks before offer: of those that only some systems have, what this one has."""
    webhook = {"WebhookFailuresQueueName": "Queue of alerts that the webhook did not take"}
    rotation = {"RotateSecretName": "Function that replaces the signing secret"}
    return {
        **WATCHED,
        **(webhook if settings.alerts.webhook else {}),
        **(rotation if settings.credentials else {}),
    }
