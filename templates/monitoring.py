"""Monitoring: the dashboard, and the alarms that publish to the alerts topic."""

import json

from troposphere import Sub, Template, cloudwatch

from config.settings import Settings
from templates.shared.alarms import alarms
from templates.shared.dashboards import body
from templates.shared.wiring import needs, offers

WATCHED = {
    "StreamName": "Stream of readings",
    "RawBucketName": "Bucket of the archive",
    "FirehoseName": "Delivery to the archive",
    "ReadingsTableName": "Table of recent readings",
    "ProcessReadingsName": "Function that stores readings",
    "EventSourceId": "Event source mapping of that function",
    "CompactStateMachineArn": "State machine of the compaction",
}


def build(settings: Settings) -> Template:
    """Dashboard and alarms over everything the stacks before made."""
    template = Template("Dashboard and alarms")
    watched = {name: needs(template, name, description) for name, description in WATCHED.items()}
    topic_arn = needs(template, "AlertsTopicArn", "Topic that alarms publish to")
    text = json.dumps(body(settings), sort_keys=True, separators=(",", ":"))
    dashboard = template.add_resource(
        cloudwatch.Dashboard(
            "Dashboard",
            DashboardName=settings.name(settings.monitoring.dashboard_name),
            DashboardBody=Sub(text, **{name: ref for name, ref in watched.items() if f"${{{name}}}" in text}),
        )
    )
    for alarm in alarms(settings, watched, topic_arn):
        template.add_resource(alarm)
    offers(template, DashboardName=dashboard.ref())
    return template
