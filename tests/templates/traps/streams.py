"""Traps 19, 21, 22 and 23: how records come in, are kept, and are found again."""

import re
from typing import Any

from tests.templates.traps.systems import Resource, System, text
from tests.templates.walking import walk

FOR_EVER = -1
"""Lambda's default of both limits of an event source, also when it is given."""

SUBSTITUTED = re.compile(r"\$\{([^!}][^}]*)\}")
ESCAPED = re.compile(r"\$\{![^}]*\}")


def faults_of_event_sources(system: System) -> set[str]:
    """Trap 19: LATEST can miss what arrives while a mapping is made or changed, and a failing batch blocks its shard
    for as long as retries and age allow."""
    faults = set()
    for mapping in system.resources("AWS::Lambda::EventSourceMapping"):
        given = mapping.properties
        if given.get("StartingPosition") != "TRIM_HORIZON":
            faults.add(f"{mapping}: does not begin at the oldest record")
        for limit in ("MaximumRetryAttempts", "MaximumRecordAgeInSeconds"):
            if given.get(limit, FOR_EVER) == FOR_EVER:
                faults.add(f"{mapping}: no {limit}")
    return faults


def faults_of_partial_batches(system: System) -> set[str]:
    """Trap 20, the template's part: the function may answer which records failed, and batches are split."""
    return {
        f"{mapping}: a failure repeats the whole batch"
        for mapping in system.resources("AWS::Lambda::EventSourceMapping")
        if mapping.properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]
        or mapping.properties.get("BisectBatchOnFunctionError") is not True
    }


def faults_of_delivery(system: System) -> set[str]:
    """Trap 21: Firehose joins records with nothing between them unless a processor is told to."""
    faults = set()
    for delivery in system.resources("AWS::KinesisFirehose::DeliveryStream"):
        processing = delivery.properties["ExtendedS3DestinationConfiguration"].get("ProcessingConfiguration", {})
        delimiters = [
            item["ParameterValue"]
            for processor in processing.get("Processors", [])
            if processor["Type"] == "AppendDelimiterToRecord"
            for item in processor["Parameters"]
        ]
        if not processing.get("Enabled") or delimiters != ["\\n"]:
            faults.add(f"{delivery}: records are not lines")
    return faults


def faults_of_substitution(system: System) -> set[str]:
    """Trap 22: inside `Fn::Sub` a template of IoT is escaped, outside it is not; a rule has an error action."""
    faults = set()
    for resource in system.all_resources():
        names = _known(system, resource)
        for value in walk(resource.body):
            if isinstance(value, dict) and "Fn::Sub" in value:
                filled = value["Fn::Sub"][1] if isinstance(value["Fn::Sub"], list) else {}
                unknown = [name for name in SUBSTITUTED.findall(text(value)) if name not in {*filled, *names}]
                faults |= {f"{resource}: CloudFormation cannot fill in {name}" for name in unknown}
    for rule in system.resources("AWS::IoT::TopicRule"):
        payload = rule.properties["TopicRulePayload"]
        if not payload.get("ErrorAction"):
            faults.add(f"{rule}: loses what it cannot hand on")
        if any(ESCAPED.search(value) for value in _literals(payload)):
            faults.add(f"{rule}: escapes what nothing fills in")
    return faults


def faults_of_indexes(system: System) -> set[str]:
    """Trap 23: an index by a value that few readings do not share is one hot partition, and throttles its table."""
    faults = set()
    for table in system.resources("AWS::DynamoDB::Table"):
        for index in table.properties.get("GlobalSecondaryIndexes", []):
            (partition,) = [key["AttributeName"] for key in index["KeySchema"] if key["KeyType"] == "HASH"]
            if not partition.endswith("_shard"):
                faults.add(f"{table}: {index['IndexName']} is not spread over shards")
    return faults


def _known(system: System, resource: Resource) -> set[str]:
    """What CloudFormation can fill in by itself in this resource's stack, but for attributes."""
    body = system.stacks[resource.stack].body
    pseudo = {f"AWS::{name}" for name in ("AccountId", "Partition", "Region", "StackId", "StackName", "URLSuffix")}
    return pseudo | set(body.get("Parameters", {})) | set(body["Resources"])


def _literals(value: Any) -> list[str]:
    """Strings that stand in no `Fn::Sub`."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() if key != "Fn::Sub" for found in _literals(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _literals(inner)]
    return [value] if isinstance(value, str) else []
