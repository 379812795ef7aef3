"""Which retention and which moves of objects the settings accept: S3's rules, and nothing that loses data unseen."""

import pytest
from pydantic import ValidationError

from config.storage import ProcessedBucket, RawBucket

Moves = list[tuple[int, str]]


def raw(*moves: tuple[int, str], **more: object) -> RawBucket:
    return RawBucket(name="raw", transitions=transitions(moves), **more)


def transitions(moves):
    return [{"after_days": days, "storage_class": name} for days, name in moves]


@pytest.mark.parametrize(
    "moves",
    [
        [(1, "GLACIER")],
        [(90, "GLACIER"), (180, "DEEP_ARCHIVE")],
        [(30, "STANDARD_IA"), (60, "INTELLIGENT_TIERING"), (61, "GLACIER_IR"), (90, "GLACIER")],
        [(1, "INTELLIGENT_TIERING"), (30, "ONEZONE_IA"), (60, "GLACIER")],
        [(30, "STANDARD_IA"), (60, "ONEZONE_IA"), (90, "DEEP_ARCHIVE")],
    ],
)
def test_moves_that_s3_makes_are_accepted(moves):
    assert [(move.after_days, move.storage_class) for move in raw(*moves).transitions] == moves


@pytest.mark.parametrize(
    ("moves", "reason"),
    [
        ([(29, "STANDARD_IA")], "STANDARD_IA takes objects after 30 days at the earliest"),
        ([(29, "ONEZONE_IA")], "ONEZONE_IA takes objects after 30 days at the earliest"),
        ([(90, "GLACIER"), (30, "DEEP_ARCHIVE")], "in the order of their days"),
        ([(90, "GLACIER"), (90, "DEEP_ARCHIVE")], "in the order of their days"),
        ([(30, "GLACIER"), (90, "STANDARD_IA")], "does not move objects from GLACIER to STANDARD_IA"),
        ([(30, "GLACIER"), (90, "GLACIER")], "does not move objects from GLACIER to GLACIER"),
        ([(1, "INTELLIGENT_TIERING"), (30, "STANDARD_IA")], "from INTELLIGENT_TIERING to STANDARD_IA"),
        ([(30, "ONEZONE_IA"), (90, "INTELLIGENT_TIERING")], "from ONEZONE_IA to INTELLIGENT_TIERING"),
        ([(30, "ONEZONE_IA"), (90, "GLACIER_IR")], "from ONEZONE_IA to GLACIER_IR"),
        ([(30, "STANDARD_IA"), (59, "GLACIER")], "objects stay in STANDARD_IA for 30 days at least"),
        ([(0, "GLACIER")], "greater than or equal to 1"),
        ([(30, "STANDARD")], "storage_class"),
    ],
)
def test_moves_that_s3_refuses_are_refused_with_the_reason(moves, reason):
    with pytest.raises(ValidationError, match=reason):
        raw(*moves)


@pytest.mark.parametrize(
    ("moves", "days"), [([], 30), ([(90, "GLACIER")], 91), ([(30, "STANDARD_IA"), (90, "GLACIER")], 365)]
)
def test_the_archive_may_expire_after_its_last_move(moves, days):
    assert raw(*moves, expire_after_days=days).expire_after_days == days


@pytest.mark.parametrize(
    ("moves", "days", "reason"),
    [
        ([(90, "GLACIER")], 90, "later than the last transition, after 90 days"),
        ([(90, "GLACIER"), (180, "DEEP_ARCHIVE")], 120, "later than the last transition, after 180 days"),
        ([], 29, "greater than or equal to 30"),
    ],
)
def test_the_archive_does_not_expire_before_its_last_move_nor_before_anybody_could_notice(moves, days, reason):
    with pytest.raises(ValidationError, match=reason):
        raw(*moves, expire_after_days=days)


@pytest.mark.parametrize("name", ["ONEZONE_IA", "GLACIER", "DEEP_ARCHIVE"])
def test_the_table_never_moves_to_where_a_query_could_not_read_it(name):
    with pytest.raises(ValidationError, match="storage_class"):
        ProcessedBucket(name="processed", transitions=transitions([(90, name)]))


def test_the_moves_of_the_table_follow_the_same_rules():
    with pytest.raises(ValidationError, match="STANDARD_IA takes objects after 30 days"):
        ProcessedBucket(name="processed", transitions=transitions([(1, "STANDARD_IA")]))


def test_the_table_as_a_whole_has_no_expiry():
    with pytest.raises(ValidationError, match="expire_after_days"):
        ProcessedBucket(name="processed", expire_after_days=3650)
