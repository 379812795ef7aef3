"""What becomes of objects as they grow old, and that nothing is lost by it."""

import copy
import itertools
from typing import Any

import pytest

from config.settings import load
from tests.changed import changed
from tests.templates.walking import Stack, stacks_of, stacks_with

Rules = list[dict[str, Any]]

KEPT = ("runs/", "warehouse/")
"""What says what is committed, and the committed files."""
EXPIRES = ("ExpirationInDays", "ExpiredObjectDeleteMarker")

buckets = pytest.mark.parametrize(
    "stack", stacks_with("AWS::S3::Bucket"), ids=lambda stack: f"{stack.environment}-{stack.name}"
)


def lifecycles(stack: Stack) -> dict[str, dict[str, Any]]:
    """The lifecycle of each bucket."""
    return {title: bucket["LifecycleConfiguration"] for title, bucket in stack.properties("AWS::S3::Bucket").items()}


def rules_of(title: str, **sections: object) -> Rules:
    """The rules of one bucket in a system with changed settings."""
    (storage,) = [stack for stack in stacks_of(changed(load("dev", {}), **sections), "dev") if stack.name == "storage"]
    rules: Rules = lifecycles(storage)[title]["Rules"]
    return rules


def moves(rules: Rules) -> list[tuple[int, str]]:
    return [(move["TransitionInDays"], move["StorageClass"]) for rule in rules for move in rule.get("Transitions", [])]


def expiry(rules: Rules) -> dict[str, int]:
    """Days after which objects are deleted, by prefix."""
    return {rule.get("Prefix", ""): rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}


def overlapping(rules: Rules) -> list[tuple[str, str]]:
    """Prefixes of rules that expire the same objects: to expire objects and delete markers is one action to S3."""
    prefixes = [rule.get("Prefix", "") for rule in rules if any(key in rule for key in EXPIRES)]
    return [pair for pair in itertools.permutations(prefixes, 2) if pair[0].startswith(pair[1])]


def lost(rules: Rules) -> list[str]:
    """What of the record of the commits the rules would delete."""
    return [place for place in KEPT for prefix in expiry(rules) if place.startswith(prefix) or prefix.startswith(place)]


@buckets
def test_what_nobody_sees_is_tidied_in_every_bucket(stack):
    for lifecycle in lifecycles(stack).values():
        (tidy,) = [rule for rule in lifecycle["Rules"] if rule["Id"] == "Tidy"]
        assert tidy["NoncurrentVersionExpiration"]["NoncurrentDays"] >= 1
        assert tidy["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] >= 1
        assert "Prefix" not in tidy


@buckets
def test_trap_24_objects_under_128_kb_stay_where_they_are_cheaper(stack):
    for lifecycle in lifecycles(stack).values():
        assert lifecycle["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"


@buckets
def test_no_two_rules_of_a_bucket_expire_the_same_objects(stack):
    for lifecycle in lifecycles(stack).values():
        assert overlapping(lifecycle["Rules"]) == []
        assert any(key in rule for rule in lifecycle["Rules"] for key in EXPIRES)
        assert not any(all(key in rule for key in EXPIRES) for rule in lifecycle["Rules"])


def test_rules_that_expire_the_same_objects_are_found():
    rules = rules_of("ProcessedBucket")
    everything = {"Id": "Expire", "ExpiredObjectDeleteMarker": True}

    assert ("runs/", "") in overlapping([*rules, everything])


def test_every_place_of_the_processed_bucket_has_its_delete_markers_cleared():
    prefixes = {rule["Prefix"] for rule in rules_of("ProcessedBucket") if any(key in rule for key in EXPIRES)}

    assert prefixes == {"athena/", "aws/lambda/", "quarantine/", "staging/", *KEPT}


def test_nothing_of_the_archive_expires_unless_the_settings_say_so():
    assert expiry(rules_of("RawBucket")) == {}
    assert expiry(rules_of("RawBucket", raw_bucket={"expire_after_days": 3650})) == {"": 3650}


def test_rejected_records_and_set_aside_batches_expire_when_the_settings_say_so():
    dev = load("dev", {})
    anyway = {"athena/": dev.athena.results_days, "staging/": dev.processed_bucket.staging_days}
    assert expiry(rules_of("ProcessedBucket")) == anyway
    days = {"quarantine_days": 90, "set_aside_days": 14}
    expected = {"quarantine/": 90, "aws/lambda/": 14, **anyway}
    assert expiry(rules_of("ProcessedBucket", processed_bucket=days)) == expected


@buckets
def test_trap_26_the_record_of_what_is_committed_never_expires(stack):
    for title in {"ProcessedBucket"} & set(lifecycles(stack)):
        assert lost(lifecycles(stack)[title]["Rules"]) == []


@pytest.mark.parametrize("prefix", ["", "warehouse/", "runs/compact/"])
def test_a_rule_that_would_delete_the_record_is_found(prefix):
    rules = copy.deepcopy(rules_of("ProcessedBucket"))
    rules.append({"Id": "Expire", "Prefix": prefix, "ExpirationInDays": 3650})

    assert lost(rules)


@pytest.mark.parametrize("title", ["RawBucket", "ProcessedBucket"])
def test_objects_move_as_the_settings_say(title):
    section = {"RawBucket": "raw_bucket", "ProcessedBucket": "processed_bucket"}[title]
    transitions = [
        {"after_days": 30, "storage_class": "STANDARD_IA"},
        {"after_days": 60, "storage_class": "GLACIER_IR"},
    ]

    assert moves(rules_of(title)) == []
    assert moves(rules_of(title, **{section: {"transitions": transitions}})) == [
        (30, "STANDARD_IA"),
        (60, "GLACIER_IR"),
    ]


@pytest.mark.parametrize("section", ["raw_bucket", "processed_bucket"])
def test_old_versions_and_incomplete_uploads_are_kept_as_long_as_the_settings_say(section):
    title = {"raw_bucket": "RawBucket", "processed_bucket": "ProcessedBucket"}[section]
    (tidy,) = [
        rule
        for rule in rules_of(title, **{section: {"noncurrent_days": 5, "incomplete_upload_days": 3}})
        if rule["Id"] == "Tidy"
    ]

    assert tidy["NoncurrentVersionExpiration"] == {"NoncurrentDays": 5}
    assert tidy["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}


@buckets
def test_logs_are_deleted_when_the_settings_say(stack):
    days = {
        "AccessLogsBucket": stack.settings.access_logs.retention_days,
        "TrailBucket": stack.settings.audit.retention_days,
    }

    for title in set(days) & set(lifecycles(stack)):
        assert expiry(lifecycles(stack)[title]["Rules"]) == {"": days[title]}


def test_manufacturing_moves_its_archive_to_glacier_after_90_days():
    rules = {
        title: lifecycle["Rules"]
        for stack in stacks_of(load("manufacturing", {}), "manufacturing")
        for title, lifecycle in lifecycles(stack).items()
    }

    assert moves(rules["RawBucket"]) == [(90, "GLACIER")]
    assert all("Prefix" not in rule for rule in rules["RawBucket"])
    assert moves(rules["ProcessedBucket"]) == []
