"""What an alarm is: what it watches, from when on it is trouble, whom it tells, and where it is explained."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from troposphere import Join, Sub, Template, cloudwatch

from config.settings import Settings
from templates.shared.functions import NAMESPACE
from templates.shared.naming import own_name

PERIOD_S = 300
RUNBOOK = "docs/runbook.md"
UNHEALTHY = "PipelineUnhealthy"
"""Logical id of the composite alarm."""


@dataclass(frozen=True)
class Alarm:
    """Trouble when what it watches, a metric or an expression over several, is beyond `limit` in each of `periods`."""

    title: str
    meaning: str
    watches: Mapping[str, object]
    limit: float
    periods: int = 1
    trouble: Literal["above", "below"] = "above"
    missing: Literal["breaching", "ignore", "notBreaching"] = "notBreaching"
    """What no data means. Most metrics are sent only while there is something to count, so it means all is well."""
    harmful: bool = True
    """Whether readings or alerts are late or lost: then the pipeline is unhealthy."""


def add_alarms(template: Template, settings: Settings, alarms: Iterable[Alarm], topic_arn: object) -> None:
    """Add the alarms, and the one over those that are harmful; each tells the topic when trouble begins and ends."""
    harmful = []
    for alarm in alarms:
        added = template.add_resource(_metric_alarm(settings, alarm, topic_arn))
        if alarm.harmful:
            harmful.append(added)
    rule = Join(" OR ", [Sub('ALARM("${Alarm}")', Alarm=alarm.ref()) for alarm in harmful])
    template.add_resource(
        cloudwatch.CompositeAlarm(
            UNHEALTHY,
            AlarmName=_name(settings, UNHEALTHY),
            AlarmDescription=_description(settings, UNHEALTHY, "Readings or alerts are late or are being lost."),
            AlarmRule=rule,
            AlarmActions=[topic_arn],
            OKActions=[topic_arn],
        )
    )


def runbook(settings: Settings, anchor: str = "") -> str:
    """Where the runbook is: a link when the tag `Repository` is one, else the path in the repository."""
    repository = settings.tags.repository.removesuffix("/").removesuffix(".git")
    place = f"{repository}/blob/HEAD/{RUNBOOK}" if repository.startswith("https://") else RUNBOOK
    return f"{place}#{anchor}" if anchor else place


def entry(title: str) -> str:
    """An alarm's heading in the runbook, and the end of its name: `StreamThrottled` → `stream-throttled`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in title).removeprefix("-")


def metric(
    namespace: str, name: str, statistic: str, dimensions: Mapping[str, object], period_s: int = PERIOD_S
) -> dict[str, object]:
    """One statistic of one metric."""
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": _dimensions(dimensions),
        "Statistic": statistic,
        "Period": period_s,
    }


def own_metric(settings: Settings, name: str, statistic: str) -> dict[str, object]:
    """One statistic of a metric that our functions emit."""
    return metric(NAMESPACE, name, statistic, {"service": settings.stack_name})


def math(expression: str, **sums: Mapping[str, object]) -> dict[str, object]:
    """An expression over sums of metrics, each known by its name in `sums`."""
    queries = [
        cloudwatch.MetricDataQuery(
            Id=query,
            ReturnData=False,
            MetricStat=cloudwatch.MetricStat(
                Metric=cloudwatch.Metric(
                    **{field: watched[field] for field in ("Namespace", "MetricName", "Dimensions")}
                ),
                Period=watched["Period"],
                Stat=watched["Statistic"],
            ),
        )
        for query, watched in sums.items()
    ]
    result = cloudwatch.MetricDataQuery(Id="result", Expression=expression, ReturnData=True)
    return {"Metrics": [*queries, result]}


def query(text: str, values: Mapping[str, object]) -> dict[str, object]:
    """A Metrics Insights query, in which `${Name}` stands for the value of that name."""
    used = {name: value for name, value in values.items() if f"${{{name}}}" in text}
    found = cloudwatch.MetricDataQuery(Id="found", Expression=Sub(text, **used), Period=PERIOD_S, ReturnData=True)
    return {"Metrics": [found]}


def _metric_alarm(settings: Settings, alarm: Alarm, topic_arn: object) -> cloudwatch.Alarm:
    return cloudwatch.Alarm(
        alarm.title,
        AlarmName=_name(settings, alarm.title),
        AlarmDescription=_description(settings, alarm.title, alarm.meaning),
        Threshold=alarm.limit,
        EvaluationPeriods=alarm.periods,
        ComparisonOperator="GreaterThanThreshold" if alarm.trouble == "above" else "LessThanThreshold",
        TreatMissingData=alarm.missing,
        AlarmActions=[topic_arn],
        OKActions=[topic_arn],
        **alarm.watches,
    )


def _name(settings: Settings, title: str) -> str:
    return own_name(settings, entry(title))


def _description(settings: Settings, title: str, meaning: str) -> str:
    return f"{meaning} Runbook: {runbook(settings, entry(title))}"


def _dimensions(values: Mapping[str, object]) -> list[cloudwatch.MetricDimension]:
    return [cloudwatch.MetricDimension(Name=name, Value=value) for name, value in values.items()]
