"""Who may do what: nothing wider than it has to be, and every service can do its work."""

import json
import re

import pytest

from tests.templates.exemptions import ANY_RESOURCE, MORE_THAN_ONE, REPROCESSING_FUNCTIONS
from tests.templates.traps.systems import Grant, Resource, grants, systems, text
from tests.templates.walking import Statement, all_stacks, role_statements, stacks_named, statements

KEYS = re.compile(r"arn:\$\{AWS::Partition\}:s3:::\$\{Bucket\}/[\w/-]+/\*")
"""Keys below a prefix of a bucket."""

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
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::IoT::Policy",
        "AWS::KMS::Key",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
    }
    assert len(role_statements()) > 100


def allowed() -> list[tuple[Resource, Grant]]:
    """Whatever any policy of any system allows, that with everything switched on among them."""
    return [(item, grant) for system in systems().values() for item in system.all_resources() for grant in grants(item)]


def test_a_resource_is_never_everything_without_a_reason():
    met = {(item.stack, item.title, grant.action.split(":")[0]) for item, grant in allowed() if grant.resource == "*"}

    assert met == set(ANY_RESOURCE)


def test_a_role_is_for_things_with_a_name_or_there_is_a_reason():
    met = set()
    for system in systems().values():
        for role in system.resources("AWS::IAM::Role"):
            sources = [arn for trust in grants(role, trust=True) for arn in trust.conditions.get("aws:SourceArn", [])]
            for pattern in map(text, [*(grant.resource for grant in grants(role)), *sources]):
                if "*" in pattern.removesuffix("*") or (pattern.endswith("*") and not KEYS.fullmatch(pattern)):
                    met |= {(role.stack, role.title, kind_of(pattern))} if pattern != "*" else set()

    assert met == set(MORE_THAN_ONE)


def kind_of(pattern: str) -> str:
    """The kind of resource that an ARN of ours names: what follows the account, up to the name."""
    return re.split("[:/]", pattern.partition("${AWS::AccountId}:")[2])[0]


def test_no_allowed_action_has_a_wildcard():
    assert [(str(item), grant.action) for item, grant in allowed() if "*" in grant.action] == []


def test_everybody_is_named_in_denials_and_by_endpoints_for_the_account():
    everybody = [found for found in statements() if found.body.get("Principal") == "*"]
    allowed = [found for found in everybody if found.body["Effect"] == "Allow"]

    assert len(everybody) > len(allowed)
    assert {found.kind for found in allowed} == {"AWS::EC2::VPCEndpoint"}
    for found in allowed:
        assert found.conditions["aws:PrincipalAccount"] == {"Ref": "AWS::AccountId"}


def test_a_role_has_one_policy_and_no_name_that_another_region_would_collide_with():
    for stack in all_stacks():
        for properties in stack.properties("AWS::IAM::Role").values():
            assert len(properties["Policies"]) == 1
            assert "RoleName" not in properties


def test_a_role_is_taken_only_by_its_service_for_us():
    trusts = [found for found in statements() if found.actions == ["sts:AssumeRole"]]

    assert {found.body["Principal"]["Service"] for found in trusts} == set(CONDITIONS_OF_TRUST)
    for found in trusts:
        assert set(found.conditions) == CONDITIONS_OF_TRUST[found.body["Principal"]["Service"]]


@pytest.mark.parametrize("stack", stacks_named("security"), ids=lambda stack: stack.environment)
def test_the_key_is_administered_by_iam_and_used_through_services_only(stack):
    by_id = {found.body["Sid"]: found for found in statements() if found.stack == stack}

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


def test_a_pattern_in_a_condition_is_compared_as_a_pattern():
    """`StringEquals` takes `*` for the character
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html)."""
    patterns = [
        (str(found.resource), operator)
        for found in statements()
        for operator, keys in found.body.get("Condition", {}).items()
        if any("*" in json.dumps(value) for value in keys.values())
    ]

    assert patterns
    assert [found for found in patterns if not found[1].startswith(("ArnLike", "ArnEquals", "StringLike"))] == []


def test_firehose_may_write_below_its_prefixes():
    allowed = resources_by_action("ingest", "ArchiveDeliveryRole")

    assert {"s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads", "s3:GetBucketLocation"} <= set(allowed)
    keys = {arn["Fn::Sub"][0].split("}/")[1] for arn in allowed["s3:PutObject"]}
    assert keys == {"raw-data/*", "errors/firehose/*"}


MACHINES = [("batch", "Compact"), ("batch", "Optimize"), ("reprocessing", "Reprocess")]


@pytest.mark.parametrize(
    ("stack", "title"),
    [(stack, title) for name, title in MACHINES for stack in stacks_named(name)],
    ids=lambda value: getattr(value, "environment", value),
)
def test_a_machine_and_the_children_of_its_map_may_take_its_role(stack, title):
    """A child's machine is `stateMachine:<name>/<label>`, as in the API's DescribeStateMachine."""
    (trust,) = [
        found
        for found in statements()
        if found.stack == stack and found.resource == f"{title}Role" and "Principal" in found.body
    ]
    sources = [arn["Fn::Sub"].split(":stateMachine:")[1] for arn in trust.conditions["aws:SourceArn"]]
    name = stack.properties("AWS::StepFunctions::StateMachine")[title]["StateMachineName"]

    assert sources == [name, f"{name}/*"]


@pytest.mark.parametrize(("stack", "title"), MACHINES)
def test_a_machine_may_write_the_results_of_its_map_in_parts(stack, title):
    """https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html#resultwriter-iam-policies"""
    allowed = [found for found in in_role(stack, f"{title}Role") if "s3:PutObject" in found.actions]

    assert allowed
    for found in allowed:
        assert {"s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts"} < set(found.actions)
        assert [arn["Fn::Sub"][0].split("}/")[1] for arn in found.body["Resource"]] == [f"runs/{title.lower()}/*"]


@pytest.mark.parametrize(
    ("stack", "role", "bucket"),
    [
        ("batch", "PlanCompactionRole", "ProcessedBucketName"),
        ("batch", "WriteParquetRole", "RawBucketName"),
        ("batch", "CommitTableRole", "ProcessedBucketName"),
        ("batch", "PlanOptimizationRole", "ProcessedBucketName"),
        ("batch", "RewriteParquetRole", "ProcessedBucketName"),
        ("batch", "CommitRewriteRole", "ProcessedBucketName"),
        ("batch", "ExpireSnapshotsRole", "ProcessedBucketName"),
        ("batch", "SweepOrphansRole", "ProcessedBucketName"),
        ("reprocessing", "PlanReprocessRole", "RawBucketName"),
        ("reprocessing", "RestoreObjectsRole", "RawBucketName"),
        ("reprocessing", "DecodeObjectsRole", "RawBucketName"),
        *(("reprocessing", role, "ProcessedBucketName") for role in REPROCESSING_FUNCTIONS),
    ],
)
def test_functions_that_look_for_objects_are_told_when_there_is_none(stack, role, bucket):
    """Without s3:ListBucket S3 answers AccessDenied for a missing object; a limit to prefixes does not match there."""
    lists = [found for found in in_role(stack, role) if "s3:ListBucket" in found.actions]

    assert any(found.conditions == {} and bucket in str(found.body["Resource"]) for found in lists)


def test_an_action_of_glue_is_allowed_on_catalog_database_and_table():
    """https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html"""
    batch = ("PlanCompaction", "CommitTable", "PlanOptimization", "CommitRewrite", "ExpireSnapshots", "SweepOrphans")
    reprocessing = ("PlanReprocess", "PlanMerge", "CommitReprocess", "UndoReprocess")
    for stack, function in (*(("batch", name) for name in batch), *(("reprocessing", name) for name in reprocessing)):
        for action, resources in resources_by_action(stack, f"{function}Role").items():
            if action.startswith("glue:"):
                kinds = {text(resource).rpartition("${AWS::AccountId}:")[2] for resource in resources}
                table = set() if action == "glue:GetDatabase" else {"table/${Database}/readings"}
                assert kinds == {"catalog", "database/${Database}"} | table


def test_nothing_is_deleted_but_orphans_claims_and_what_an_undone_run_has_set_aside():
    """Deliveries of logs are Step Functions' own, network interfaces Lambda's: it asks with the function's role."""
    with_functions = ("realtime", "notifications", "batch", "reprocessing")
    functions = [found for found in role_statements() if found.stack.name in with_functions]
    deletions = {action for found in functions for action in found.actions if action.split(":")[1].startswith("Delete")}

    assert deletions == {"logs:DeleteLogDelivery", "ec2:DeleteNetworkInterface", "s3:DeleteObject"}
    deleting = [found for found in functions if "s3:DeleteObject" in found.actions]
    assert {(found.resource, found.body["Resource"][0]["Fn::Sub"][0].split("}/")[1]) for found in deleting} == {
        ("SweepOrphansRole", "warehouse/readings/*"),
        *((f"{step}ReprocessRole", "ledger/reprocess/claims/*") for step in ("Plan", "Commit", "Report", "Undo")),
        ("UndoReprocessRole", "ledger/quarantine/*"),
        ("UndoReprocessRole", "quarantine/*"),
    }


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("PlanOptimizationRole", {"s3:PutObject": {"runs/optimize/*"}}),
        ("RewriteParquetRole", {"s3:PutObject": {"runs/optimize/*", "warehouse/readings/*"}}),
        ("CommitRewriteRole", {"s3:PutObject": {"warehouse/readings/*"}, "glue:UpdateTable": set()}),
        (
            "ExpireSnapshotsRole",
            {"s3:PutObject": {"ledger/*", "runs/optimize/*", "warehouse/readings/*"}, "glue:UpdateTable": set()},
        ),
        (
            "SweepOrphansRole",
            {"s3:DeleteObject": {"warehouse/readings/*"}, "s3:PutObject": {"ledger/optimize/*", "runs/optimize/*"}},
        ),
    ],
)
def test_a_step_of_the_upkeep_may_change_nothing_but_what_is_its_own(role, changes):
    """Objects by the keys that it may write or delete; the table's pointer is one, so that it has none."""
    found = {
        action: {arn["Fn::Sub"][0].split("}/")[1] for arn in resources if action.startswith("s3:")}
        for action, resources in resources_by_action("batch", role).items()
        if action.startswith(("s3:Put", "s3:Delete", "glue:Update", "glue:Create", "glue:Delete"))
    }

    assert found == changes


def test_lambda_may_give_back_interfaces_that_it_cannot_name_yet():
    """It asks for all kinds of resources before there is an interface, and refuses the function otherwise
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html)."""
    allowed = [
        found
        for found in role_statements()
        if found.body["Effect"] == "Allow" and "ec2:DeleteNetworkInterface" in found.actions
    ]

    assert len(allowed) > 3
    for found in allowed:
        assert {text(resource).rpartition("${AWS::AccountId}:")[2] for resource in found.body["Resource"]} == {"*/*"}
