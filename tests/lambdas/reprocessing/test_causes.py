"""Why readings vanish."""

from reprocessing.causes import causes
from reprocessing.manifests import DecodedObject


def decoded(key: str, duplicate: int = 0, **by_reason: int) -> DecodedObject:
    quarantined = sum(by_reason.values())
    return DecodedObject(key, "tag", quarantined + duplicate, 0, duplicate, quarantined, 0, by_reason)


def test_readings_of_an_object_that_is_missing_are_not_found() -> None:
    assert causes({"a": 3}, ["a", "b"], []) == {"not found": 3}


def test_what_the_object_has_set_aside_explains_as_many_readings_as_it_is() -> None:
    objects = [decoded("a", bad_metric=2, not_json=1), decoded("b", bad_metric=9), decoded("c", bad_metric=5)]

    assert causes({"a": 3, "b": 4}, [], objects) == {"quarantined: bad_metric": 6, "quarantined: not_json": 1}


def test_duplicates_explain_what_is_left_and_the_rest_has_moved() -> None:
    assert causes({"a": 6}, [], [decoded("a", duplicate=2, bad_metric=1)]) == {
        "duplicate": 2,
        "moved": 3,
        "quarantined: bad_metric": 1,
    }


def test_every_vanished_reading_is_explained_once() -> None:
    vanished = {"a": 6, "b": 2, "c": 1, "d": 5}
    objects = [decoded("a", duplicate=9, bad_metric=4), decoded("d"), decoded("e", bad_metric=7)]

    assert sum(causes(vanished, ["b"], objects).values()) == sum(vanished.values())
