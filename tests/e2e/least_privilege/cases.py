"""Every action that a role allows: taken away alone in test_least_privilege.py, or listed here with the reason."""

import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from config.settings import Settings, load
from templates.shared.catalogue import FUNCTIONS
from templates.shared.naming import logical_id
from tests.e2e.conftest import SUFFIX
from tests.templates.traps.systems import System, system_of

PERMISSIONS = "tests/templates/test_permissions.py"
TRAPS = "tests/templates/test_traps.py"

WITH_MAP = ("CompactRole", "OptimizeRole", "ReprocessRole")
"""Roles of the machines that have a Distributed Map."""

FUNCTION_ROLES = tuple(f"{logical_id(folder)}Role" for folder in FUNCTIONS)


REPROCESSING = "tests/templates/test_reprocessing.py::test_a_step_reads_writes_and_deletes_nothing_but_what_is_its_own"
REPROCESSING_SELDOM = {
    "the run of a test is not about what another run left undone": (
        ("PlanReprocessRole", "s3:GetObject", "/runs/compact/"),
    ),
    "the run of a test drains no quarantine": (
        ("DecodeObjectsRole", "s3:GetObject", "/ledger/quarantine/"),
        ("DecodeObjectsRole", "s3:GetObject", "}/quarantine/"),
        ("CommitReprocessRole", "s3:PutObject", "/ledger/quarantine/"),
        ("ReportReprocessRole", "s3:PutObject", "/ledger/quarantine/"),
        ("UndoReprocessRole", "s3:DeleteObject", "/ledger/quarantine/"),
    ),
    "the table of a test is there, since rows of it are replaced": (("CommitReprocessRole", "glue:CreateTable", ""),),
    "no alarm of a test is another after it": (("ReportReprocessRole", "sns:Publish", ""),),
}
"""By the reason: what a run of these tests has no use for."""


class Privilege(NamedTuple):
    """One action of one statement of a role; `number` tells it from the same action of the role's other statements."""

    stack: str
    role: str
    action: str
    number: int
    place: int
    resource: str

    def __str__(self) -> str:
        return f"{self.role}-{self.action}-{self.number}"

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same in every system: names and places of statements differ."""
        return self.stack, self.role, self.action, str(self.number)


class Exemption(NamedTuple):
    """Actions that the embedded AWS does not ask for (patterns), why, and the test that holds the template to them."""

    role: str
    action: str
    why: str
    covered_by: str
    resource: str = ""
    """Part of the statement's resource; empty means any."""

    def covers(self, privilege: Privilege) -> bool:
        return (
            fnmatchcase(privilege.role, self.role)
            and fnmatchcase(privilege.action, self.action)
            and self.resource in privilege.resource
        )


NOT_ENFORCED = (
    Exemption(
        "*",
        "kms:*",
        "the embedded AWS encrypts nothing",
        f"{TRAPS}::test_trap_04_who_produces_makes_data_keys_and_who_consumes_decrypts_in_the_region",
    ),
    Exemption(
        "*Role",
        "xray:*",
        "the embedded AWS has no X-Ray",
        "tests/templates/test_functions.py::test_functions_are_traced_when_the_settings_ask_for_it",
    ),
    *(
        Exemption(
            role,
            "logs:*",
            "the embedded AWS writes a function's logs itself",
            "tests/templates/test_functions.py::test_every_function_may_write_to_its_own_log_group",
        )
        for role in FUNCTION_ROLES
    ),
    *(
        Exemption(
            role,
            "s3:ListBucket",
            "the embedded AWS answers NoSuchKey to whoever asks, not only to who may list",
            f"{PERMISSIONS}::test_functions_that_look_for_objects_are_told_when_there_is_none",
            resource=part,
        )
        for role, part in (
            ("WriteParquetRole", ""),
            ("PlanOptimizationRole", ""),
            ("RewriteParquetRole", ""),
            ("ExpireSnapshotsRole", ""),
            ("RestoreObjectsRole", ""),
            ("DecodeObjectsRole", "RawBucketName"),
            ("PlanMergeRole", ""),
            ("MergeReadingsRole", ""),
            ("WriteHotTableRole", ""),
        )
    ),
    *(
        Exemption(role, action, why, REPROCESSING, resource=part)
        for why, privileges_of in REPROCESSING_SELDOM.items()
        for role, action, part in privileges_of
    ),
    *(
        Exemption(
            role,
            action,
            "nothing of a test is old enough to be expired or swept",
            f"{PERMISSIONS}::test_a_step_of_the_upkeep_may_change_nothing_but_what_is_its_own",
            resource=part,
        )
        for role, action, part in (
            ("ExpireSnapshotsRole", "s3:PutObject", "/runs/optimize/"),
            ("ExpireSnapshotsRole", "s3:PutObject", "/warehouse/"),
            ("ExpireSnapshotsRole", "glue:UpdateTable", ""),
            ("ExpireSnapshotsRole", "glue:GetDatabase", ""),
            ("SweepOrphansRole", "s3:DeleteObject", ""),
        )
    ),
    *(
        Exemption(
            "*",
            "glue:*",
            "of catalog, database and table the embedded AWS asks for the database alone",
            f"{PERMISSIONS}::test_an_action_of_glue_is_allowed_on_catalog_database_and_table",
            resource=part,
        )
        for part in (":catalog", ":table/")
    ),
    Exemption(
        "*Role",
        "ec2:*",
        "the embedded AWS has no network interfaces of functions",
        "tests/templates/test_network.py::test_trap_37_functions_reach_what_they_call_and_nothing_else",
    ),
    Exemption(
        "FlowLogsRole",
        "logs:*",
        "the embedded AWS records flow logs and logs nothing",
        "tests/templates/test_network.py::test_all_traffic_is_logged_to_an_encrypted_group_by_a_role_for_it",
    ),
    *(
        Exemption(
            role,
            "logs:*",
            "the embedded AWS delivers no logs of state machines",
            f"{TRAPS}::test_trap_14_step_functions_may_deliver_its_logs",
        )
        for role in (*WITH_MAP, "StartRunRole")
    ),
    *(
        Exemption(
            role,
            "s3:*MultipartUpload*",
            "the embedded AWS writes the results of a map with one request",
            f"{PERMISSIONS}::test_a_machine_may_write_the_results_of_its_map_in_parts",
        )
        for role in WITH_MAP
    ),
    *(
        Exemption(
            role,
            f"states:{action}",
            "the embedded AWS runs the children of a map inside of the machine's own execution and redrives nothing",
            f"{TRAPS}::test_trap_15_a_distributed_map_may_start_follow_and_redrive_its_children",
        )
        for role in WITH_MAP
        for action in ("DescribeExecution", "StopExecution", "RedriveExecution")
    ),
    *(
        Exemption(
            "ArchiveDeliveryRole",
            action,
            "the embedded AWS's Firehose writes an object with one request, and none of what it could not deliver",
            f"{PERMISSIONS}::test_firehose_may_write_below_its_prefixes",
            resource=part,
        )
        for action, part in (
            ("s3:AbortMultipartUpload", ""),
            ("s3:GetBucketLocation", ""),
            ("s3:List*", ""),
            ("s3:PutObject", "errors/firehose/"),
        )
    ),
    Exemption(
        "ArchiveDeliveryRole",
        "logs:PutLogEvents",
        "the embedded AWS's Firehose logs to the emulator's log",
        "tests/templates/test_stream.py::test_the_archive_is_encrypted_and_its_delivery_logged",
    ),
    *(
        Exemption(
            "ProvisioningRole",
            f"iot:{action}",
            "the embedded AWS asks for what provisioning writes, each on one resource, and for nothing that it reads",
            "tests/templates/test_devices.py::test_the_provisioning_role_may_do_what_our_template_uses_and_no_more",
        )
        for action in ("AttachPrincipalPolicy", "Describe*", "Get*", "List*", "RegisterThing")
    ),
    Exemption(
        "RuleLogsRole",
        "logs:*",
        "the embedded AWS records the logging of IoT and logs nothing",
        "tests/templates/test_devices.py::test_rules_log_to_our_group_when_asked_and_nothing_else_to_one_that_iot_makes",
    ),
    Exemption(
        "RotateSecretRole",
        "secretsmanager:*",
        "enforced where a receiver hears of rotations",
        "tests/e2e/test_webhook.py::test_without_any_one_of_its_permissions_the_rotation_is_refused",
    ),
    *(
        Exemption(
            "DeliverWebhookRole",
            action,
            "the system of these tests has no receiver: enforced in the one that has",
            "tests/e2e/test_webhook.py::test_the_webhook_is_refused_without",
        )
        for action in ("secretsmanager:GetSecretValue", "sqs:SendMessage")
    ),
    Exemption(
        "TrailLogsRole",
        "logs:*",
        "enforced when the trail is created, and so without a deployed stack",
        "tests/local/test_trails.py::test_a_role_that_may_not_write_the_log_group_is_refused",
    ),
)


def settings() -> Settings:
    """Those of the system that the tests of the embedded AWS use."""
    return load("local", {"ENVIRONMENT_SUFFIX": SUFFIX})


def privileges(system: System) -> list[Privilege]:
    """Every action of every statement of every role of a system."""
    found = []
    for role in system.resources("AWS::IAM::Role"):
        numbers: dict[str, int] = {}
        (policy,) = role.properties["Policies"]
        for place, statement in enumerate(policy["PolicyDocument"]["Statement"]):
            for action in statement["Action"] if statement["Effect"] == "Allow" else ():
                number = numbers[action] = numbers.get(action, -1) + 1
                resource = json.dumps(statement["Resource"])
                found.append(Privilege(role.stack, role.title, action, number, place, resource))
    return found


def exemption(privilege: Privilege) -> Exemption | None:
    """The first that covers a privilege."""
    return next((item for item in NOT_ENFORCED if item.covers(privilege)), None)


def enforced() -> list[Privilege]:
    """What the embedded AWS can refuse in the system that is deployed there."""
    return [privilege for privilege in privileges(system_of(settings())) if exemption(privilege) is None]


def exempt(role: str) -> Iterator[Privilege]:
    """What the embedded AWS does not ask of a role that is deployed there."""
    deployed = privileges(system_of(settings()))
    return (privilege for privilege in deployed if privilege.role == role and exemption(privilege))


def roles(found: Iterable[Privilege]) -> list[str]:
    """The roles among privileges, each once."""
    return list(dict.fromkeys(privilege.role for privilege in found))
