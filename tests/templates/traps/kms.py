"""Traps 1 and 3 to 8: who has to be able to use a customer-managed key, and how a key is kept."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.templates.traps.systems import Resource, System, actions, grants, pairs, service, source, text
from tests.templates.walking import walk

PRODUCE, CONSUME = "kms:GenerateDataKey", "kms:Decrypt"

KEY_USES = {
    "dynamodb:BatchWriteItem": ("dynamodb", {CONSUME}),  # the table's own key is opened for whoever writes
    "kinesis:GetRecords": ("kinesis", {CONSUME}),
    "kinesis:PutRecord": ("kinesis", {PRODUCE}),
    "kinesis:PutRecords": ("kinesis", {PRODUCE}),
    "s3:GetObject": ("s3", {CONSUME}),
    "s3:PutObject": ("s3", {PRODUCE}),
    "secretsmanager:GetSecretValue": ("secretsmanager", {CONSUME}),
    "secretsmanager:PutSecretValue": ("secretsmanager", {PRODUCE}),
    "sns:Publish": ("sns", {PRODUCE, CONSUME}),
    "sqs:SendMessage": ("sqs", {PRODUCE, CONSUME}),
}
"""What a role needs of the key, through which service, for an action on something that the key encrypts."""

SERVICE_HERE = re.compile(r"(\w+)\.\$\{AWS::Region\}\.\$\{AWS::URLSuffix\}")
"""A value of `kms:ViaService`: the service's name and the region that it works in."""


def faults_of_alarm_delivery(system: System) -> set[str]:
    """Trap 1: CloudWatch itself uses the topic's key and publishes, so that both policies have to name it."""
    cloudwatch, faults = service("cloudwatch"), set()
    for topic in _alarmed_topics(system):
        key = source(system, topic.stack, topic.properties.get("KmsMasterKeyId"))
        if key is None or not _admits(key, cloudwatch, PRODUCE, CONSUME):
            faults.add(f"{topic}: CloudWatch may not use its key")
        if not any("sns:Publish" in _admitted(policy, cloudwatch) for policy in _policies_of_topic(system, topic)):
            faults.add(f"{topic}: CloudWatch may not publish to it")
    return faults


def faults_of_log_encryption(system: System) -> set[str]:
    """Trap 3: CloudWatch Logs of this region uses the key for its log groups, which refer to it and so come later."""
    faults = set()
    for group in system.resources("AWS::Logs::LogGroup"):
        key = source(system, group.stack, group.properties.get("KmsKeyId"))
        if key is None or key.body["Type"] != "AWS::KMS::Key":
            faults.add(f"{group}: not encrypted with a key of the system")
            continue
        allowed = {
            grant.action
            for grant in grants(key)
            if text((grant.principal or {}).get("Service")) == "logs.${AWS::Region}.${AWS::URLSuffix}"
            and "kms:EncryptionContext:aws:logs:arn" in grant.conditions
        }
        if not {PRODUCE, CONSUME, "kms:Encrypt"} <= allowed:
            faults.add(f"{key}: CloudWatch Logs may not use it for {group}")
    return faults


def faults_of_data_keys(system: System) -> set[str]:
    """Trap 4: who produces may make data keys, who consumes may decrypt, through the service and in its region."""
    admitted = {
        text(value)
        for key in system.resources("AWS::KMS::Key")
        for grant in grants(key)
        for value in grant.conditions.get("kms:ViaService", [])
    }
    faults = set()
    for role in system.resources("AWS::IAM::Role"):
        for grant in grants(role):
            if grant.action.startswith("kms:"):
                via = text(grant.conditions.get("kms:ViaService"))
                if not SERVICE_HERE.fullmatch(via):
                    faults.add(f"{role}: {grant.action} through no service of this region")
                elif via not in admitted:
                    faults.add(f"{role}: the key does not admit {via}")
        faults |= set(_missing_key_uses(role, KEY_USES))
    return faults


def faults_of_encrypted_queues(system: System) -> set[str]:
    """Trap 5: SNS uses the key of a queue that it sends to, in its own name."""
    faults = set()
    for subscription in system.resources("AWS::SNS::Subscription"):
        given = subscription.properties
        targets = [given["Endpoint"]] if given["Protocol"] == "sqs" else []
        targets += [value for name, value in pairs(given.get("RedrivePolicy", {})) if name == "deadLetterTargetArn"]
        for queue in filter(None, (source(system, subscription.stack, target) for target in targets)):
            key = source(system, queue.stack, queue.properties.get("KmsMasterKeyId"))
            if queue.properties.get("KmsMasterKeyId") and not (key and _admits(key, service("sns"), PRODUCE, CONSUME)):
                faults.add(f"{queue}: SNS may not use its key")
    return faults


def faults_of_map_encryption(system: System) -> set[str]:
    """Trap 6: a Distributed Map reads and writes encrypted buckets with both key actions of the machine's role."""
    faults = set()
    for machine in system.resources("AWS::StepFunctions::StateMachine"):
        states = walk(json.loads(machine.properties["DefinitionString"]))
        if any(isinstance(state, dict) and ("ItemReader" in state or "ResultWriter" in state) for state in states):
            role = source(system, machine.stack, machine.properties["RoleArn"])
            if role is None or {PRODUCE, CONSUME} - _key_actions(role, "s3"):
                faults.add(f"{machine}: its role may not use the key through S3")
    return faults


def faults_of_key_retention(system: System) -> set[str]:
    """Trap 7: a key is kept when its stack goes, and could be brought back for 30 days when it is deleted."""
    faults = set()
    for key in system.resources("AWS::KMS::Key"):
        if (key.body.get("DeletionPolicy"), key.body.get("UpdateReplacePolicy")) != ("Retain", "Retain"):
            faults.add(f"{key}: goes with its stack")
        if key.properties.get("PendingWindowInDays") != 30:
            faults.add(f"{key}: may be gone before 30 days")
    return faults


def faults_of_access_log_encryption(system: System) -> set[str]:
    """Trap 8: S3 delivers access logs only to buckets that S3's own keys encrypt."""
    faults = set()
    for bucket in system.resources("AWS::S3::Bucket"):
        if logging := bucket.properties.get("LoggingConfiguration"):
            sink = source(system, bucket.stack, logging["DestinationBucketName"])
            if sink is None:
                faults.add(f"{bucket}: logs to a bucket that is not ours")
            elif "AES256" not in str(sink.properties["BucketEncryption"]) or "KMS" in str(
                sink.properties["BucketEncryption"]
            ):
                faults.add(f"{sink}: S3 could not deliver access logs to it")
    return faults


def _alarmed_topics(system: System) -> Iterable[Resource]:
    topics = {}
    for alarm in system.resources("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        for target in (*alarm.properties.get("AlarmActions", ()), *alarm.properties.get("OKActions", ())):
            topic = source(system, alarm.stack, target)
            assert topic is not None, f"{alarm} tells nothing of ours"
            topics[str(topic)] = topic
    return topics.values()


def _policies_of_topic(system: System, topic: Resource) -> Iterator[Resource]:
    for policy in system.resources("AWS::SNS::TopicPolicy"):
        if topic in [source(system, policy.stack, item) for item in policy.properties["Topics"]]:
            yield policy


def _admitted(policy: Resource, principal: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a resource's own policy lets a service do for this account, with the conditions."""
    return {
        grant.action: grant.conditions
        for grant in grants(policy)
        if grant.principal == principal and {"aws:SourceAccount", "aws:SourceArn"} & set(grant.conditions)
    }


def _admits(key: Resource, principal: Mapping[str, str], *needed: str) -> bool:
    return set(needed) <= set(_admitted(key, principal))


def _key_actions(role: Resource, through: str) -> set[str]:
    """What a role may do with the key through one service."""
    return {
        grant.action for grant in grants(role) if text(grant.conditions.get("kms:ViaService")).startswith(f"{through}.")
    }


def _missing_key_uses(role: Resource, uses: Mapping[str, tuple[str, set[str]]]) -> Iterator[str]:
    for action in sorted(actions(role) & set(uses)):
        through, needed = uses[action]
        for missing in sorted(needed - _key_actions(role, through)):
            yield f"{role}: {missing} through {through}, which {action} needs"
