"""Who may do what: nothing wider than it has to be, and every service can do its work."""

import json

import pytest

from templates.shared.state_machines import DEFINITIONS
from tests.templates.exemptions import ANY_RESOURCE
from tests.templates.walking import Statement, all_stacks, role_statements, stacks_named, statements

CONDITIONS_OF_TRUST = {
    "cloudtrail.amazonaws.com": set(),  # CloudTrail passes none when it takes the role of its log group
    "iot.amazonaws.com": {"aws:SourceAccount", "aws:SourceArn"},
    "firehose.amazonaws.com": {"sts:ExternalId"},
    "lambda.amazonaws.com": set(),  # Lambda passes no source when it takes a function's role
    "scheduler.amazonaws.com": {"aws:SourceAccount", "aws:SourceArn"},
    "states.amazonaws.com": {"aws:SourceAccount", "aws:SourceArn"},
    "vpc-flow-logs.amazonaws.com": {"aws:SourceAccount", "aws:SourceArn"},
}


def in_role(stack: str, role: str) -> list[Statement]:
    found = [item for item in role_statements() if (item.stack.name, item.resource) == (stack, role)]
    assert found, f"{stack} has no role {role}"
    return found


def resources_by_action(stack: str, role: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for statement in in_role(stack, role):
        for action in statement.actions:
            found.setdefault(action, []).extend(statement.body["Resource"])
    return found


def test_the_walk_sees_policies_of_every_kind():
    kinds = {found.kind for found in statements()}

    assert kinds == {
        "AWS::EC2::VPCEndpoint",
        "AWS::IAM::Role",
        "AWS::IoT::Policy",
        "AWS::KMS::Key",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
    }
    assert len(role_statements()) > 100


def test_a_resource_is_never_everything_without_a_reason():
    met = set()
    for found in statements():
        if found.body["Effect"] == "Allow" and "*" in found.body.get("Resource", []):
            met |= {(found.stack.name, found.resource, action.split(":")[0]) for action in found.actions}

    assert met == set(ANY_RESOURCE)


def test_no_allowed_action_has_a_wildcard():
    wide = [(found.resource, found.actions) for found in statements() if found.body["Effect"] == "Allow"]

    assert [item for item in wide if any("*" in action for action in item[1])] == []


def test_everybody_is_named_in_denials_and_by_endpoints_for_the_account():
    everybody = [found for found in statements() if found.body.get("Principal") == "*"]
    allowed = [found for found in everybody if found.body["Effect"] == "Allow"]

    assert len(everybody) > len(allowed)
    assert {found.kind for found in allowed} == {"AWS::EC2::VPCEndpoint"}
    for found in allowed:
        assert found.conditions["aws:PrincipalAccount"] == {"Ref": "AWS::AccountId"}


def test_policies_are_inline_so_that_nothing_uses_a_role_before_its_policy():
    for stack in all_stacks():
        assert stack.resources("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy") == {}
        for properties in stack.properties("AWS::IAM::Role").values():
            assert len(properties["Policies"]) == 1
            assert "RoleName" not in properties, "names of roles are global, and two regions would collide"


def test_a_role_is_taken_only_by_its_service_for_us():
    trusts = [found for found in statements() if found.actions == ["sts:AssumeRole"]]

    assert {found.body["Principal"]["Service"] for found in trusts} == set(CONDITIONS_OF_TRUST)
    for found in trusts:
        assert set(found.conditions) == CONDITIONS_OF_TRUST[found.body["Principal"]["Service"]]


def test_no_role_may_create_a_log_group():
    creators = {
        (found.stack.name, found.resource) for found in role_statements() if "logs:CreateLogGroup" in found.actions
    }

    assert creators == set()


def test_a_role_uses_the_key_only_through_a_service():
    uses = [found for found in role_statements() if any(action.startswith("kms:") for action in found.actions)]

    assert uses
    for found in uses:
        assert set(found.conditions) == {"kms:ViaService"}
        assert all(action.startswith("kms:") for action in found.actions)


@pytest.mark.parametrize("stack", stacks_named("security"), ids=lambda stack: stack.environment)
def test_the_key_admits_logs_and_alarms_and_the_account_with_conditions(stack):
    by_id = {found.body["Sid"]: found for found in statements() if found.stack == stack}

    assert set(by_id["EncryptLogs"].conditions) == {"kms:EncryptionContext:aws:logs:arn"}
    assert by_id["EncryptLogs"].body["Principal"]["Service"]["Fn::Sub"].startswith("logs.${AWS::Region}.")
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(by_id["DeliverAlarms"].actions)
    assert by_id["DeliverAlarms"].body["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert set(by_id["DeliverAlarms"].conditions) == {"aws:SourceAccount", "aws:SourceArn"}
    assert "kms:PutKeyPolicy" in by_id["AdministerByIam"].actions
    assert "kms:CreateGrant" in by_id["AdministerByIam"].actions, "DynamoDB works by grants"
    assert "kms:Decrypt" not in by_id["AdministerByIam"].actions
    assert set(by_id["UseThroughServices"].conditions) == {"kms:ViaService"}


def test_the_key_admits_exactly_the_services_through_which_roles_use_it():
    admitted = {
        str(service)
        for found in statements()
        if found.body.get("Sid") == "UseThroughServices"
        for service in found.conditions["kms:ViaService"]
    }

    assert admitted == {
        str(found.conditions["kms:ViaService"]) for found in role_statements() if "kms:ViaService" in found.conditions
    }


@pytest.mark.parametrize("stack", stacks_named("realtime"), ids=lambda stack: stack.environment)
def test_alarms_may_publish_to_the_alerts_topic(stack):
    allowed = [found for found in statements() if found.stack == stack and found.kind == "AWS::SNS::TopicPolicy"]

    assert any(
        found.body["Effect"] == "Allow"
        and found.body["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        and found.actions == ["sns:Publish"]
        and set(found.conditions) == {"aws:SourceAccount", "aws:SourceArn"}
        for found in allowed
    )


@pytest.mark.parametrize(
    ("stack", "role", "action", "service"),
    [
        ("ingest", "TopicRuleRole", "kms:GenerateDataKey", "kinesis"),
        ("ingest", "TopicRuleRole", "kms:GenerateDataKey", "s3"),
        ("ingest", "ArchiveDeliveryRole", "kms:Decrypt", "kinesis"),
        ("ingest", "ArchiveDeliveryRole", "kms:GenerateDataKey", "s3"),
        ("realtime", "ProcessReadingsRole", "kms:Decrypt", "dynamodb"),
        ("realtime", "ProcessReadingsRole", "kms:Decrypt", "kinesis"),
        ("realtime", "ProcessReadingsRole", "kms:GenerateDataKey", "s3"),
        ("realtime", "ProcessReadingsRole", "kms:GenerateDataKey", "sns"),
        ("realtime", "ProcessReadingsRole", "kms:Decrypt", "sns"),
        ("batch", "CompactRole", "kms:Decrypt", "s3"),
        ("batch", "CompactRole", "kms:GenerateDataKey", "s3"),
    ],
)
def test_producers_and_consumers_of_encrypted_data_may_use_the_key(stack, role, action, service):
    through = [found.conditions["kms:ViaService"] for found in in_role(stack, role) if action in found.actions]

    assert any(value["Fn::Sub"].startswith(f"{service}.") for value in through)


def test_the_event_source_may_read_the_stream_and_set_batches_aside():
    allowed = resources_by_action("realtime", "ProcessReadingsRole")

    assert {"kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:ListShards"} <= set(allowed)
    assert any("/aws/lambda/*" in str(arn) for arn in allowed["s3:PutObject"])
    assert "s3:ListBucket" in allowed


def test_firehose_may_read_the_stream_and_write_below_its_prefixes():
    allowed = resources_by_action("ingest", "ArchiveDeliveryRole")

    assert {"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"} <= set(allowed)
    assert {"s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"} <= set(allowed)
    keys = {arn["Fn::Sub"][0].split("}/")[1] for arn in allowed["s3:PutObject"]}
    assert keys == {"raw-data/*", "errors/firehose/*"}


def test_a_distributed_map_may_start_follow_and_redrive_its_children():
    allowed = resources_by_action("batch", "CompactRole")
    states = json.loads((DEFINITIONS / "compact.asl.json").read_text())["States"]
    label = states["Write Parquet Files"]["Label"]

    assert all(":stateMachine:" in str(arn) for arn in allowed["states:StartExecution"])
    for action in ("states:DescribeExecution", "states:StopExecution"):
        assert not any("/" in str(arn).split(":execution:")[1] for arn in allowed[action])
    assert all(f"/{label}:*" in str(arn) for arn in allowed["states:RedriveExecution"])


def test_step_functions_may_deliver_its_logs():
    allowed = resources_by_action("batch", "CompactRole")

    assert {"logs:CreateLogDelivery", "logs:PutResourcePolicy", "logs:DescribeLogGroups"} <= set(allowed)


@pytest.mark.parametrize("stack", stacks_named("batch"), ids=lambda stack: stack.environment)
def test_the_machine_and_the_children_of_its_map_may_take_its_role(stack):
    """A child's machine is `stateMachine:<name>/<label>`, as in the API's DescribeStateMachine."""
    (trust,) = [
        found
        for found in statements()
        if found.stack == stack and found.resource == "CompactRole" and "Principal" in found.body
    ]
    sources = [arn["Fn::Sub"].split(":stateMachine:")[1] for arn in trust.conditions["aws:SourceArn"]]
    name = stack.only("AWS::StepFunctions::StateMachine")["StateMachineName"]

    assert sources == [name, f"{name}/*"]


def test_the_schedule_names_its_group_as_the_source():
    trusts = [found for found in statements() if found.resource == "ScheduleRole" and "Principal" in found.body]

    assert trusts
    for found in trusts:
        assert found.conditions["aws:SourceArn"] == [{"Fn::GetAtt": ["Schedules", "Arn"]}]


@pytest.mark.parametrize("role", ["PlanCompactionRole", "CommitTableRole"])
def test_functions_that_look_for_objects_are_told_when_there_is_none(role):
    """Without s3:ListBucket S3 answers AccessDenied for a missing object; a limit to prefixes does not match there."""
    lists = [found for found in in_role("batch", role) if "s3:ListBucket" in found.actions]

    assert any(found.conditions == {} and "ProcessedBucketName" in str(found.body["Resource"]) for found in lists)


def test_no_function_may_delete_anything():
    """Deliveries of logs are Step Functions' own, network interfaces Lambda's: it asks with the function's role."""
    functions = [found for found in role_statements() if found.stack.name in ("realtime", "batch")]
    deletions = {action for found in functions for action in found.actions if action.split(":")[1].startswith("Delete")}

    assert deletions == {"logs:DeleteLogDelivery", "ec2:DeleteNetworkInterface"}
