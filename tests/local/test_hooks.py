"""Every place of MiniStack that our additions replace or call is still there, with the signature they rely on.

When a new version of MiniStack fails here, look at the addition that uses the name before the pin is moved.
"""

import importlib
import inspect
from importlib.metadata import version

import pytest

from local.additions.cloudformation import layer_versions, nested_change_sets, tags
from local.additions.functions import warm_workers

FUNCTIONS = {
    "app.pin_request_origin": "(source_ip, secure_transport)",
    "core.iam_actions.extract_iam_action": "(service, method, path, headers, body, query_params)",
    "app.call_service_handler_sync": "(handler, method, path, headers, body, query_params, timeout)",
    "core.arn.parse_arn": "(value)",
    "core.iam_actions.extract_resource_arn": "(service, method, path, headers, body, query_params, region, account_id)",
    "core.iam_evaluator.caller_arn": "()",
    "core.iam_evaluator._gather_role_policies": "(role_name, account_id)",
    "core.iam_evaluator._permissions_boundary": "(store, name, account_id)",
    "core.iam_evaluator.evaluate": "(ctx, policies, limits)",
    "core.iam_evaluator.evaluate_resource_policy": "(doc, ctx, service, named_only, direct_only)",
    "core.lambda_runtime.Worker": "(func_name, config, code_zip)",
    "core.lambda_runtime._account_region_from_function_config": "(config)",
    "core.lambda_runtime._detect_runtime_binary": "(runtime)",
    "core.responses.error_response_json": "(code, message, status, extra, message_key, content_type)",
    "core.responses.get_account_id": "()",
    "core.responses.get_region": "()",
    "core.responses.json_response": "(data, status, content_type)",
    "core.responses.request_scope": "(account_id, region)",
    "services.athena._create_named_query": "(data)",
    "services.athena._delete_named_query": "(data)",
    "services.athena._run_duckdb": "(query, database, catalog)",
    "services.athena._save_query_results": "(query_id)",
    "services.athena._start_query_execution": "(data)",
    "services.cloudformation.changesets._find_change_set": "(cs_name, stack_name)",
    "services.cloudformation.changesets._resolve_props_for_diff": "(template, params, stack_name, stack_id)",
    "services.cloudformation.engine._evaluate_conditions": "(template, params)",
    "services.cloudformation.engine._intrinsic_references": "(value)",
    "services.cloudformation.engine._parse_template": "(template_body)",
    "services.cloudformation.engine._resolve_parameters": "(template, provided_params, previous_params)",
    "services.cloudformation.engine._resolve_refs": "(value, resources, params, conditions, mappings, "
    "stack_name, stack_id)",
    "services.cloudformation.engine._topological_sort": "(resources, conditions)",
    "services.cloudformation.handlers._roll_back_operation": "(stack_name, stack_id, stack, operation, "
    "reason_override)",
    "services.cloudformation.helpers._resolve_template": "(params)",
    "services.cloudformation.provisioners._cw_metric_alarm_record": "(name, props)",
    "services.cloudformation.provisioners._sm_secret_string": "(props)",
    "services.cloudformation.provisioners._delete_resource": "(resource_type, physical_id, props, "
    "stack_name, logical_id)",
    "services.cloudformation.provisioners._nested_stack_lookup_name": "(physical_id_or_arn)",
    "services.cloudformation.provisioners._update_resource": "(resource_type, physical_id, old_props, new_props, "
    "stack_name, logical_id, old_attrs)",
    "services.cloudformation.provisioners._ec2_apply_tags": "(physical_id, props, old_props)",
    "services.cloudformation.provisioners._ec2_sg_permissions": "(rules)",
    "services.cloudformation.provisioners._reconcile_tag_map": "(store, old_props, new_props, prop)",
    "services.cloudformation.stacks._add_event": "(stack_id, stack_name, logical_id, resource_type, status, "
    "reason, physical_id, detailed_status)",
    "services.cloudformation.stacks._diff_resources": "(old_template, new_template, resources, template, "
    "changed_params, retag)",
    "services.cloudformation.stacks._roll_back_operation": "(stack_name, stack_id, stack, operation, reason_override)",
    "services.cloudtrail._delete_trail": "(body)",
    "services.cloudtrail._err": "(code, msg, status)",
    "services.cloudtrail._find_mutable_trail": "(raw)",
    "services.cloudtrail._find_visible_trail": "(raw)",
    "services.cloudtrail._ok": "(body)",
    "services.cloudtrail._trail_arn": "(name)",
    "services.cloudwatch._calc_stats": "(points)",
    "services.cloudwatch._delete_alarms": "(params, cbor_data, is_cbor, is_json)",
    "services.cloudwatch._dims_from_list": "(dimensions)",
    "services.cloudwatch._dims_key": "(dims)",
    "services.cloudwatch._evaluate_alarm": "(alarm)",
    "services.cloudwatch._put_composite_alarm": "(params, cbor_data, is_cbor, is_json)",
    "services.cloudwatch._set_alarm_state": "(params, cbor_data, is_cbor, is_json)",
    "services.cloudwatch._stat_value": "(stats, stat_name, points)",
    "services.cloudwatch.cloudformation_set_metric_alarm_tags": "(name, tags)",
    "services.cloudwatch.record_metric": "(namespace, metric_name, value, unit, dimensions)",
    "services.cloudwatch._validate_alarm_tag_arn": "(arn, is_json, is_cbor)",
    "services.ec2._create_flow_logs": "(params)",
    "services.ec2._delete_flow_logs": "(params)",
    "services.ec2._vpce_fields_xml": "(ep, tag)",
    "services.eventbridge._invoke_target": "(target, event, rule, view)",
    "services.firehose._apply_lambda_processors": "(stream, dest, records, metadata_sink, partition_sink)",
    "services.firehose._deliver_records_to_s3": "(stream, dest, records)",
    "services.firehose._deliver_to_s3": "(stream, dest, record_data, lambda_keys)",
    "services.firehose._evaluate_prefix": "(template, t, query_keys, lambda_keys, error_type)",
    "services.firehose._s3_bucket_from_arn": "(bucket_arn)",
    "services.firehose.ingest_from_kinesis_source": "(stream_arn, records)",
    "services.iot._dispatch_rule_action": "(account_id, region, rule_name, action, event)",
    "services.iot._eval_select_expr": "(expr, topic, payload, message, client_id)",
    "services.iot._parse_where": "(pred)",
    "services.iot._rule_message": "(payload)",
    "services.iot._rule_select_clause": "(sql)",
    "services.iot._rule_topic_filter": "(sql)",
    "services.iot._rule_where_clause": "(sql)",
    "services.iot._run_rule_actions": "(account_id, region, rule, payload, topic, client_id)",
    "services.iot._split_select_alias": "(item)",
    "services.iot._split_select_items": "(clause)",
    "services.iot._sql_as_string": "(value)",
    "services.kinesis._ensure_base64": "(value)",
    "services.kinesis._expire_records": "(stream)",
    "services.kinesis.put_record_internal": "(stream_arn, partition_key, data)",
    "services.kms._alias_arn": "(alias_name)",
    "services.kms.key_policy_for_arn": "(resource_arn)",
    "services.lambda_svc._apply_filter_criteria": "(records, esm)",
    "services.lambda_svc._emit_lambda_logs": "(func, request_id, log_text, error, duration_ms, log_source)",
    "services.lambda_svc._execute_function_with_config_scope": "(func, event)",
    "services.lambda_svc._execution_record_for_config": "(func, config)",
    "services.lambda_svc._externalize_code_zip": "(func, referenced)",
    "services.lambda_svc._get_func_record_for_ref": "(function_ref)",
    "services.lambda_svc._resolve_layer_zip": "(attachment)",
    "services.lambda_svc._route_async_failure": "(target_arn, func_name, event, result)",
    "services.lambda_svc.function_policy_for_arn": "(resource_arn)",
    "services.lambda_svc.invoke_async_with_retry": "(func, event)",
    "services.lambda_svc._execute_function": "(func, event)",
    "services.lambda_svc._execute_function_warm": "(func, event, request_id)",
    "services.lambda_svc._get_func_record_for_qualifier": "(name, qualifier)",
    "services.lambda_svc._internalize_code_zip": "(func, blobs)",
    "services.lambda_svc._iter_all_esms": "()",
    "services.lambda_svc._layer_arn": "(name)",
    "services.lambda_svc._poll_kinesis": "()",
    "services.lambda_svc.get_state": "()",
    "services.lambda_svc.load_persisted_state": "(data)",
    "services.lambda_svc._vpc_config_with_id": "(request_config)",
    "services.s3._delete_bucket_lifecycle": "(name)",
    "services.s3._dispatch": "(method, bucket, key, headers, body, query_params)",
    "services.s3._put_bucket_lifecycle": "(name, body)",
    "services.s3._restore_expiry_iso": "(expires_at)",
    "services.s3._sync_restore": "(bucket_name, key, obj)",
    "services.s3.fromstring": "(text, forbid_dtd, forbid_entities, forbid_external)",
    "services.secretsmanager._find_stage_version": "(secret, stage)",
    "services.secretsmanager._get_random_password": "(data)",
    "services.secretsmanager._get_secret_value": "(data)",
    "services.secretsmanager._put_secret_value": "(data)",
    "services.secretsmanager._remove_stage_everywhere": "(secret, stage, except_version_id)",
    "services.secretsmanager._resolve": "(secret_id, use_arn_scope)",
    "services.secretsmanager._rotate_secret": "(data)",
    "services.sns._deliver_to_lambda": "(endpoint, envelope, topic_arn, sub_arn, msg_id, raw_message, "
    "message_attributes)",
    "services.sns._deliver_to_sqs": "(endpoint, envelope, raw, raw_message, message_group_id, message_dedup_id, "
    "message_attributes, topic_arn)",
    "services.sns._find_subscription": "(topic_arn, sub_arn)",
    "services.sqs._queue_by_arn": "(arn)",
    "services.s3._bucket_has_versions": "(name)",
    "services.s3.bucket_policy_for_arn": "(resource_arn)",
    "services.s3.handle_request": "(method, path, headers, body, query_params, signed_path, enforce_bucket_region, "
    "internal, access_point_region, access_point)",
    "services.scheduler._at_time_epoch": "(expr)",
    "services.stepfunctions._ExecutionError": "(error, cause)",
    "services.stepfunctions._call_lambda": "(func_ref, event)",
    "services.stepfunctions._invoke_nested_start_execution": "(resource, input_data)",
    "services.stepfunctions._read_map_items": "(reader, effective, ctx)",
    "services.stepfunctions._resolve_params_obj": "(template, data, ctx)",
    "services.stepfunctions._run_distributed_map": "(state_def, raw_input, effective, iterator, execution, ctx)",
    "services.stepfunctions._run_execution": "(exec_arn)",
}

STORES = {
    "services.athena._DUCKDB_TYPE_MAP": "get",
    "services.athena._executions": "items",
    "services.athena._named_queries": "items",
    "services.athena._workgroups": "get",
    "services.cloudformation._ACTION_HANDLERS": "update",
    "services.cloudformation._change_sets": "__setitem__",
    "services.cloudformation._stacks": "get",
    "services.cloudformation.provisioners._REPLACING_PROPERTIES": "__setitem__",
    "services.cloudformation.provisioners._RESOURCE_HANDLERS": "__setitem__",
    "services.cloudformation.provisioners._STACK_TAG_PROPERTY": "__setitem__",
    "services.cloudformation.provisioners._S3_BUCKET_CONFIGURATIONS": "__iter__",
    "services.cloudtrail._DISPATCH": "__setitem__",
    "services.cloudtrail._trail_tags": "pop",
    "services.cloudwatch._alarms": "values",
    "services.cloudwatch._composite_alarms": "__getitem__",
    "services.cloudwatch._metrics": "get",
    "services.cloudwatch._dashboards": "values",
    "services.cloudwatch._resource_tags": "setdefault",
    "services.ec2._security_groups": "get",
    "services.cloudwatch_logs._log_groups": "__contains__",
    "services.dynamodb._tables": "get",
    "services.firehose._streams": "all_items",
    "services.glue._tables": "get",
    "services.iam._roles": "get_scoped",
    "services.iot._MISSING": "__class__",
    "services.iot._RULE_ACTION_RESOURCE_KEYS": "__ior__",
    "services.kinesis._streams": "get_scoped",
    "services.lambda_svc._esms": "get",
    "services.lambda_svc._functions": "get",
    "services.lambda_svc._layers": "get",
    "services.kms._aliases": "__contains__",
    "services.lambda_svc._kinesis_positions": "set_scoped",
    "services.s3._bucket_tags": "setdefault",
    "services.secretsmanager._secrets": "__contains__",
    "services.s3._buckets": "get",
    "services.scheduler._SCHEDULE_TICK_INTERVAL": "__int__",
    "services.stepfunctions._executions": "get",
    "services.stepfunctions._map_runs": "items",
    "services.stepfunctions._state_machines": "get",
}


def attribute(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"ministack.{module}"), name)


def test_the_version_is_the_one_that_the_additions_were_written_for() -> None:
    assert version("ministack") == "1.5.33"


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_is_there_with_its_parameters(path: str) -> None:
    parameters = ", ".join(inspect.signature(attribute(path)).parameters)  # type: ignore[arg-type]

    assert f"({parameters})" == FUNCTIONS[path]


@pytest.mark.parametrize("path", STORES)
def test_a_store_is_there(path: str) -> None:
    assert hasattr(attribute(path), STORES[path])


def test_a_request_to_the_policy_evaluator_has_the_fields_that_we_give() -> None:
    from ministack.core.iam_evaluator import EvalContext

    caller = {"principal_arn", "principal_type", "principal_account"}
    needed = caller | {"action", "resource_arn", "region", "secure_transport", "service_context"}
    assert needed <= set(inspect.signature(EvalContext).parameters)


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::Athena::NamedQuery",
        "AWS::CloudTrail::Trail",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::EC2::FlowLog",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::IoT::Logging",
        "AWS::SecretsManager::RotationSchedule",
    ],
)
def test_cloudformation_does_not_know_a_resource_type_that_we_add(kind: str) -> None:
    from ministack.services.cloudformation import provisioners

    assert kind not in provisioners._RESOURCE_HANDLERS


def test_cloudformation_hands_no_tags_to_the_types_that_we_tag() -> None:
    from ministack.services.cloudformation import provisioners

    ours = {*tags.STORES, *tags.TAGGED_ON_THEIR_OWN}
    assert ours <= set(provisioners._RESOURCE_HANDLERS)
    assert not ours & set(provisioners._STACK_TAG_PROPERTY)


def test_a_resource_type_has_the_handlers_that_we_give() -> None:
    from ministack.services.cloudformation import provisioners

    for kind in (
        "AWS::Athena::WorkGroup",
        "AWS::CloudFormation::Stack",
        "AWS::DynamoDB::Table",
        "AWS::Kinesis::Stream",
        "AWS::S3::Bucket",
    ):
        assert {"create", "update", "delete"} <= set(provisioners._RESOURCE_HANDLERS[kind])


def test_a_version_of_a_layer_is_made_and_deleted_and_never_changed() -> None:
    from ministack.services.cloudformation import provisioners

    assert set(provisioners._RESOURCE_HANDLERS[layer_versions.TYPE]) == {"create", "delete"}


@pytest.mark.parametrize(
    "action",
    ["AddTags", "CreateTrail", "PutEventSelectors", "RemoveTags", "StartLogging", "StopLogging", "UpdateTrail"],
)
def test_cloudtrail_knows_the_actions_that_we_call(action: str) -> None:
    from ministack.services import cloudtrail

    assert action in cloudtrail._DISPATCH


@pytest.mark.parametrize("kind", nested_change_sets.REPLACING)
def test_cloudformation_does_not_know_which_properties_replace_the_resources_that_we_tell(kind: str) -> None:
    from ministack.services.cloudformation import provisioners

    assert kind not in provisioners._REPLACING_PROPERTIES


def test_a_python_worker_that_raised_answers_what_we_replace_and_goes_on() -> None:
    from ministack.core import lambda_runtime

    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    assert script.count(warm_workers.RAISED) == 1
    assert "while True" in script[: script.index(warm_workers.RAISED)]
    assert "event, request_id" in ", ".join(inspect.signature(lambda_runtime.Worker.invoke).parameters)


def test_a_worker_is_started_with_its_own_configuration() -> None:
    from ministack.core import lambda_runtime

    worker = lambda_runtime.Worker("any", {"Layers": []}, b"")

    assert worker.config == {"Layers": []}
    assert str(inspect.signature(worker._spawn)) == "()"


def test_a_stream_record_has_the_fields_that_we_read() -> None:
    from ministack.core.responses import request_scope
    from ministack.services import kinesis

    with request_scope("000000000001", "eu-central-1"):
        kinesis._create_stream({"StreamName": "hooks", "ShardCount": 1})
        stream = kinesis._streams.get("hooks")
        stream["StreamStatus"] = "ACTIVE"
        kinesis.put_record_internal(stream["StreamARN"], "key", b"data")
        (shard,) = stream["shards"].values()

    assert set(shard["records"][0]) == {"SequenceNumber", "ApproximateArrivalTimestamp", "Data", "PartitionKey"}
    assert stream["RetentionPeriodHours"] == 24
