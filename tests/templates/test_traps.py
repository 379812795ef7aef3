"""What breaks on AWS and no emulator or linter shows: one test a trap, over every system, each shown able to fail.

A check of `traps/` names its findings in one system. It must find nothing in any of them, nor in one with everything
switched on, and something in the latter after each of the damages that its test lists. `ELSEWHERE` names the tests of
the traps, and parts of traps, that code or the build satisfies.
"""

import json
import re
from collections.abc import Callable

import pytest

from templates.root import STACKS
from tests.named import is_test
from tests.templates.traps import access, alarms, deployment, kms, networks, streams, trail
from tests.templates.traps.mutations import Mutation, add, damaged, drop, grant, loosen, put, require, revoke
from tests.templates.traps.systems import EVERYTHING, System, systems

ELSEWHERE = {
    20: ("tests/lambdas/process_readings/test_handler.py::test_delivering_a_batch_again_changes_nothing",),
    21: ("tests/lambdas/commit_table/test_publishing.py::test_a_second_run_over_the_same_archive_changes_nothing",),
    23: (
        "tests/lambdas/process_readings/test_handler.py::test_of_duplicates_in_a_batch_the_last_received_is_stored",
        "tests/lambdas/process_readings/test_handler.py::test_unprocessed_items_are_written_by_a_later_attempt",
        "tests/lambdas/process_readings/test_batch.py::test_the_largest_reading_is_far_below_dynamodbs_limits",
    ),
    25: ("tests/lambdas/write_parquet/test_writing.py::test_an_object_in_glacier_fails_by_name",),
    27: (
        "tests/lambdas/commit_table/test_publishing.py::test_of_two_runs_that_planned_the_same_object_one_is_committed",
        "tests/lambdas/plan_compaction/test_planning.py::test_the_function_answers_references_only",
    ),
    28: ("tests/templates/test_build.py::test_a_template_beyond_cloudformations_limits_is_refused",),
    29: (
        "tests/templates/test_build.py::test_an_upload_puts_every_artifact_once_under_a_key_of_its_hash",
        "tests/templates/test_build.py::test_a_change_has_another_key_and_leaves_the_rest_alone",
    ),
}
"""Trap → tests beside the code or the build that satisfies it."""

TRAPS = range(1, 39)


def holds(check: Callable[[System], set[str]], *damages: Mutation) -> None:
    """The check finds nothing in any system, and something after each of the damages."""
    assert {name: check(system) for name, system in systems().items() if check(system)} == {}
    assert damages
    for number, damage in enumerate(damages):
        assert check(damaged(damage)), f"{check.__name__} does not find damage {number}"


def test_everything_that_can_be_switched_on_is_checked():
    assert set(systems()[EVERYTHING].stacks) == {*STACKS, "root"}
    assert set(systems()) > {"dev", "iot-processing", "local", "manufacturing"}


def test_every_trap_has_a_test():
    here = [int(number) for name in globals() if (number := "".join(re.findall(r"^test_trap_(\d\d)_", name)))]

    assert sorted({*here, *ELSEWHERE}) == list(TRAPS)
    assert len(here) == len(set(here))


@pytest.mark.parametrize("test", [test for tests in ELSEWHERE.values() for test in tests])
def test_a_trap_that_code_satisfies_is_tested_beside_the_code(test):
    assert is_test(test)


def test_trap_01_alarms_reach_their_encrypted_topic():
    holds(
        kms.faults_of_alarm_delivery,
        revoke("security.DataKey", "kms:Decrypt", "cloudwatch.amazonaws.com"),
        revoke("security.DataKey", "kms:GenerateDataKey", "cloudwatch.amazonaws.com"),
        put("realtime.AlertsTopic.Properties.KmsMasterKeyId", "alias/aws/sns"),
        revoke("realtime.AlertsTopicPolicy", "sns:Publish", "cloudwatch.amazonaws.com"),
        drop("realtime.AlertsTopicPolicy"),
    )


def test_trap_02_cloudtrail_may_use_key_and_bucket_for_this_trail_only():
    holds(
        trail.faults_of_trail_access,
        revoke("security.DataKey", "kms:Decrypt", "EncryptTrail"),
        revoke("security.DataKey", "kms:DescribeKey", "DescribeForTrail"),
        loosen("security.DataKey", trail.CONTEXT, "EncryptTrail"),
        loosen("security.DataKey", "aws:SourceArn", "EncryptTrail"),
        put("security.DataKey.Properties.Description", {"Ref": "AuditTrail"}),
        revoke("audit.TrailBucketPolicy", "s3:GetBucketAcl"),
        loosen("audit.TrailBucketPolicy", "s3:x-amz-acl"),
        loosen("audit.TrailBucketPolicy", "aws:SourceArn", "WriteTrail"),
        drop("audit.AuditTrail.DependsOn"),
    )


def test_trap_03_logs_may_use_the_key_of_their_groups():
    holds(
        kms.faults_of_log_encryption,
        drop("ingest.ArchiveDeliveryLogs.Properties.KmsKeyId"),
        put("batch.CompactLogs.Properties.KmsKeyId", "arn:aws:kms:eu-central-1:123456789012:key/other"),
        revoke("security.DataKey", "kms:Encrypt", "EncryptLogs"),
        loosen("security.DataKey", "kms:EncryptionContext:aws:logs:arn"),
        put("security.DataKey.Properties.KeyPolicy.Statement.2.Principal.Service", "logs.amazonaws.com"),
    )


def test_trap_04_who_produces_makes_data_keys_and_who_consumes_decrypts_in_the_region():
    holds(
        kms.faults_of_data_keys,
        revoke("ingest.TopicRuleRole", "kms:GenerateDataKey", "kinesis."),
        revoke("ingest.ArchiveDeliveryRole", "kms:Decrypt", "kinesis."),
        revoke("realtime.ProcessReadingsRole", "kms:Decrypt", "kinesis."),
        revoke("realtime.ProcessReadingsRole", "kms:GenerateDataKey", "s3."),
        require("realtime.ProcessReadingsRole", "kms:ViaService", "kinesis.amazonaws.com", "kinesis."),
        loosen("batch.CommitTableRole", "kms:ViaService"),
        require("security.DataKey", "kms:ViaService", []),
    )


def test_trap_05_sns_may_use_the_key_of_its_queues():
    holds(
        kms.faults_of_encrypted_queues,
        revoke("security.DataKey", "kms:Decrypt", "FillQueues"),
        revoke("security.DataKey", "kms:GenerateDataKey", "FillQueues"),
        loosen("security.DataKey", "aws:SourceArn", "FillQueues"),
        put("notifications.WebhookFailures.Properties.KmsMasterKeyId", "alias/aws/sqs"),
    )


def test_trap_06_a_distributed_map_may_use_the_key_of_its_bucket():
    holds(
        kms.faults_of_map_encryption,
        revoke("batch.CompactRole", "kms:Decrypt"),
        revoke("batch.CompactRole", "kms:GenerateDataKey"),
        revoke("batch.OptimizeRole", "kms:Decrypt"),
        revoke("reprocessing.ReprocessRole", "kms:Decrypt"),
        require("batch.CompactRole", "kms:ViaService", {"Fn::Sub": "kinesis.${AWS::Region}.${AWS::URLSuffix}"}),
    )


def test_trap_07_keys_are_kept():
    holds(
        kms.faults_of_key_retention,
        put("security.DataKey.Properties.PendingWindowInDays", 7),
        put("security.DataKey.DeletionPolicy", "Delete"),
        drop("security.DataKey.UpdateReplacePolicy"),
    )


def test_trap_08_access_logs_are_encrypted_by_s3():
    holds(
        kms.faults_of_access_log_encryption,
        put("audit.TrailBucket.Properties.LoggingConfiguration.DestinationBucketName", {"Ref": "TrailBucket"}),
        put("storage.RawBucket.Properties.LoggingConfiguration.DestinationBucketName", "elsewhere"),
        put(
            "storage.AccessLogsBucket.Properties.BucketEncryption",
            {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]},
        ),
    )


def test_trap_09_nothing_uses_a_role_before_its_policy():
    holds(
        access.faults_of_separate_policies,
        add("ingest.Later", "AWS::IAM::Policy", Roles=[{"Ref": "TopicRuleRole"}]),
        drop("ingest.ArchiveDeliveryRole.Properties.Policies"),
    )


def test_trap_10_iot_may_take_the_role_of_its_rules():
    holds(
        access.faults_of_rule_trust,
        put("ingest.ReadingsRule.Properties.RuleName", "another_name"),
        loosen("ingest.TopicRuleRole", "aws:SourceAccount"),
        require("ingest.TopicRuleRole", "aws:SourceAccount", "123456789012"),
        loosen("ingest.TopicRuleRole", "aws:SourceArn"),
    )


def test_trap_11_scheduler_names_the_group():
    by_schedule = {"Fn::Sub": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/any/any"}
    holds(
        access.faults_of_schedule_trust,
        require("batch.ScheduleRole", "aws:SourceArn", [by_schedule]),
        drop("batch.CompactSchedule.Properties.GroupName"),
    )


def test_trap_12_a_service_invokes_only_for_us():
    holds(
        access.faults_of_invoke_permissions,
        drop("notifications.DeliverWebhookPermission.Properties.SourceArn"),
        drop("notifications.RotateSecretPermission.Properties.SourceAccount"),
    )


def test_trap_13_a_secret_rotates_from_the_start():
    by_name = {"Fn::Sub": "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:credentials"}
    holds(
        access.faults_of_rotation,
        drop("notifications.CredentialsRotation.DependsOn"),
        put("notifications.CredentialsRotation.Properties.SecretId", "credentials"),
        put("notifications.CredentialsRotation.Properties.RotationLambdaARN", {"Ref": "AlertsTopicArn"}),
        drop("notifications.CredentialsRotation.Properties.RotateImmediatelyOnUpdate"),
        grant("notifications.DeliverWebhookRole", "secretsmanager:GetSecretValue", by_name),
    )


def test_trap_14_step_functions_may_deliver_its_logs():
    holds(
        access.faults_of_machine_logs,
        revoke("batch.CompactRole", "logs:CreateLogDelivery"),
        put("batch.CompactLogs.Properties.LogGroupName", "/aws/states/compact"),
        put(
            "batch.Compact.Properties.LoggingConfiguration.Destinations.0.CloudWatchLogsLogGroup.LogGroupArn",
            {"Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:compact"},
        ),
    )


def test_trap_15_a_distributed_map_may_start_follow_and_redrive_its_children():
    holds(
        access.faults_of_distributed_maps,
        revoke("batch.CompactRole", "states:StartExecution"),
        revoke("batch.CompactRole", "states:StopExecution"),
        revoke("batch.CompactRole", "states:RedriveExecution"),
        revoke("batch.OptimizeRole", "states:RedriveExecution"),
        revoke("reprocessing.ReprocessRole", "states:RedriveExecution", "WriteHotTable"),
        put("batch.Compact.Properties.StateMachineName", "another-name"),
    )


def test_trap_16_given_up_records_are_kept_in_a_bucket():
    bucket = {"Fn::Sub": ["arn:${AWS::Partition}:s3:::${Bucket}", {"Bucket": {"Ref": "ProcessedBucketName"}}]}
    holds(
        access.faults_of_failed_batches,
        put("realtime.ReadingsSource.Properties.DestinationConfig.OnFailure.Destination", {"Ref": "AlertsTopic"}),
        drop("realtime.ReadingsSource.Properties.DestinationConfig"),
        revoke("realtime.ProcessReadingsRole", "s3:PutObject", "aws/lambda/"),
        revoke("realtime.ProcessReadingsRole", "s3:ListBucket"),
        put("storage.ProcessedBucket.Type", "AWS::S3::AccessPoint"),
        lambda system: (
            revoke("realtime.ProcessReadingsRole", "s3:PutObject", "aws/lambda/")(system),
            grant("realtime.ProcessReadingsRole", "s3:PutObject", bucket)(system),
        ),
    )


def test_trap_17_readers_of_a_stream_may_look_at_it_in_their_way():
    holds(
        access.faults_of_stream_readers,
        revoke("ingest.ArchiveDeliveryRole", "kinesis:DescribeStream"),
        revoke("realtime.ProcessReadingsRole", "kinesis:DescribeStreamSummary"),
        grant("realtime.ProcessReadingsRole", "kinesis:ListStreams", {"Ref": "StreamArn"}),
    )


def test_trap_18_nothing_is_put_behind_the_arn_of_a_log_group():
    group = {"Fn::GetAtt": ["CompactLogs", "Arn"]}
    place = "batch.Compact.Properties.LoggingConfiguration.Destinations.0.CloudWatchLogsLogGroup.LogGroupArn"
    holds(
        access.faults_of_log_group_arns,
        put(place, {"Fn::Sub": "${CompactLogs.Arn}:*"}),
        put(place, {"Fn::Sub": ["${Group}:*", {"Group": group}]}),
        put(place, {"Fn::Join": ["", [group, ":*"]]}),
    )


def test_trap_19_no_record_is_missed_or_retried_for_ever():
    holds(
        streams.faults_of_event_sources,
        put("realtime.ReadingsSource.Properties.StartingPosition", "LATEST"),
        put("realtime.ReadingsSource.Properties.MaximumRetryAttempts", -1),
        drop("realtime.ReadingsSource.Properties.MaximumRetryAttempts"),
        drop("realtime.ReadingsSource.Properties.MaximumRecordAgeInSeconds"),
    )


def test_trap_20_a_failure_repeats_no_more_than_it_has_to():
    holds(
        streams.faults_of_partial_batches,
        drop("realtime.ReadingsSource.Properties.FunctionResponseTypes"),
        put("realtime.ReadingsSource.Properties.BisectBatchOnFunctionError", False),
    )


def test_trap_21_archived_records_are_lines():
    processing = "ingest.ArchiveDelivery.Properties.ExtendedS3DestinationConfiguration.ProcessingConfiguration"
    holds(
        streams.faults_of_delivery,
        drop(processing),
        put(f"{processing}.Enabled", False),
        put(f"{processing}.Processors", []),
        put(f"{processing}.Processors.0.Parameters.0.ParameterValue", ","),
    )


def test_trap_22_rules_fill_in_their_own_templates_and_lose_nothing_silently():
    kinesis = "ingest.ReadingsRule.Properties.TopicRulePayload.Actions.0.Kinesis"
    holds(
        streams.faults_of_substitution,
        put(f"{kinesis}.PartitionKey", {"Fn::Sub": "${topic(3)}"}),
        put(f"{kinesis}.PartitionKey", "${!topic(3)}"),
        put("devices.DevicePolicy.Properties.PolicyName", {"Fn::Sub": "${iot:Connection.Thing.ThingName}"}),
        drop("ingest.RawPayloadRule.Properties.TopicRulePayload.ErrorAction"),
    )


def test_trap_23_an_index_is_spread_over_shards():
    index = "storage.ReadingsTable.Properties.GlobalSecondaryIndexes.0"
    holds(streams.faults_of_indexes, put(f"{index}.KeySchema.0.AttributeName", "sensor_type"))


def test_trap_24_small_objects_stay_in_their_class():
    lifecycle = "storage.RawBucket.Properties.LifecycleConfiguration"
    holds(
        deployment.faults_of_transitions,
        put(f"{lifecycle}.TransitionDefaultMinimumObjectSize", "varies_by_storage_class"),
        put(f"{lifecycle}.Rules.2.ObjectSizeGreaterThan", "1"),
    )


def test_trap_26_inputs_stay_and_old_versions_go():
    holds(
        deployment.faults_of_old_versions,
        grant("batch.CommitTableRole", "s3:DeleteObject", "*"),
        drop("storage.ProcessedBucket.Properties.LifecycleConfiguration.Rules.0.NoncurrentVersionExpiration"),
        put("storage.AccessLogsBucket.Properties.LifecycleConfiguration.Rules.0.Status", "Disabled"),
    )


def test_trap_27_a_run_outgrows_neither_state_nor_history_and_can_be_redriven():
    holds(
        deployment.faults_of_machine_sizes,
        _redefine("ToleratedFailurePercentage", 5),
        _redefine("ItemReader", None),
        _redefine("ResultPath", "$.results"),
        _redefine("Catch", [{"ErrorEquals": ["States.ALL"], "Next": "Nothing Published"}]),
    )


def _redefine(field: str, value: object) -> Mutation:
    """Set a field of the Distributed Map in the machine's definition."""

    def mutate(system: System) -> None:
        machine = system.stacks["batch"].body["Resources"]["Compact"]["Properties"]
        definition = json.loads(machine["DefinitionString"])
        definition["States"]["Write Parquet Files"][field] = value
        machine["DefinitionString"] = json.dumps(definition)

    return mutate


def test_trap_28_templates_stay_within_cloudformations_quotas():
    holds(
        deployment.faults_of_template_sizes,
        put("root.Storage.Metadata", "x" * 51_200),
        put("batch.Compact.Metadata", "x" * 1_000_000),
        put("root.Storage.Properties.Parameters.KeyArn", "x" * 4_097),
        lambda system: system.stacks["batch"].body["Outputs"].update({str(n): {} for n in range(200)}),
    )


def test_trap_30_names_are_unique_and_indexes_come_one_by_one():
    holds(
        deployment.faults_of_names,
        put("storage.RawBucket.Properties.BucketName", "raw-data"),
        put(
            "storage.RawBucket.Properties.BucketName",
            {"Fn::Sub": "a-name-of-a-bucket-that-is-far-too-long-${AWS::AccountId}-${AWS::Region}"},
        ),
        lambda system: (
            system.stacks["storage"]
            .body["Resources"]["ReadingsTable"]["Properties"]["GlobalSecondaryIndexes"]
            .append({"IndexName": "Another"})
        ),
    )


def test_trap_31_nobody_brings_a_deleted_log_group_back():
    holds(
        access.faults_of_log_group_creation,
        grant("batch.PlanCompactionRole", "logs:CreateLogGroup", "*"),
        drop("realtime.ProcessReadings.Properties.LoggingConfig"),
    )


def test_trap_32_concurrency_is_reserved_only_when_asked_for():
    holds(
        deployment.faults_of_reserved_concurrency,
        put("batch.PlanCompaction.Properties.ReservedConcurrentExecutions", 1),
        drop("realtime.ProcessReadings.Properties.ReservedConcurrentExecutions"),
    )


def test_trap_33_what_is_kept_blocks_neither_creation_nor_deletion():
    holds(
        deployment.faults_of_retained_names,
        put("storage.ReadingsTable.DeletionPolicy", "Retain"),
        put("devices.DeviceType.DeletionPolicy", "Retain"),
        put("storage.RawBucket.DeletionPolicy", "Delete"),
        drop("audit.TrailBucket.DeletionPolicy"),
    )


def test_trap_34_insights_have_their_events_and_the_trail_does_not_feed_itself():
    selectors = "audit.AuditTrail.Properties.AdvancedEventSelectors"
    everything_alike = ["arn:aws:s3:::RawBucketName"]
    holds(
        trail.faults_of_selectors,
        drop(f"{selectors}.1.FieldSelectors.2"),
        put(f"{selectors}.1.FieldSelectors.2.StartsWith", ["arn:aws:s3:::"]),
        put(f"{selectors}.1.FieldSelectors.2.StartsWith", everything_alike),
        drop(f"{selectors}.0"),
        put(f"{selectors}.0.FieldSelectors.0", {"Field": "readOnly", "Equals": ["false"]}),
        drop("audit.AuditTrail.Properties.InsightSelectors.1"),
    )


def test_trap_35_the_accounts_logging_of_iot_is_taken_only_when_asked_for():
    holds(
        deployment.faults_of_account_wide_logging,
        drop("devices.RuleLogging"),
        add("ingest.RuleLogging", "AWS::IoT::Logging"),
    )


def test_trap_36_no_function_sets_a_variable_of_lambdas_own():
    holds(
        deployment.faults_of_variables,
        put("batch.WriteParquet.Properties.Environment.Variables.AWS_REGION", "eu-central-1"),
    )


def test_trap_37_a_function_in_a_network_reaches_what_it_calls():
    holds(
        networks.faults_of_private_functions,
        drop("network.GlueEndpoint"),
        put("network.S3Endpoint.Properties.VpcEndpointType", "Interface"),
        grant("batch.CommitTableRole", "sqs:SendMessage", "arn"),
        put("network.PrivateSubnet2.Properties.AvailabilityZone", {"Fn::Select": [0, {"Fn::GetAZs": ""}]}),
    )


def test_trap_38_whatever_fails_is_told_and_whatever_is_shown_is_seen():
    holds(
        alarms.faults_of_alarms,
        drop("monitoring.ReadingsBehind.Properties.TreatMissingData"),
        drop("monitoring.MessagesUndelivered"),
        drop("monitoring.RuleActionsFailed"),
        drop("monitoring.ReadingsBehind.Properties.AlarmActions"),
        drop("monitoring.CompactionFailed"),
        drop("monitoring.OptimizationFailed"),
        drop("monitoring.RunNotStarted"),
        put("monitoring.ArchiveBehind.Properties.Dimensions", []),
        _undimensioned,
    )


def _undimensioned(system: System) -> None:
    """The dashboard's first metric without its dimensions."""
    body = system.stacks["monitoring"].body["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    shown = json.loads(body["Fn::Sub"][0])
    metrics = next(widget["properties"]["metrics"] for widget in shown["widgets"] if widget["type"] == "metric")
    namespace, name, *_, options = metrics[0]
    metrics[0] = [namespace, name, options]
    body["Fn::Sub"][0] = json.dumps(shown)
