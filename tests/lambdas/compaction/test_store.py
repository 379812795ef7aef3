"""Objects that are written only where nobody else has written meanwhile."""

import pytest

from tests.lake import Lake


@pytest.mark.parametrize("kind", ["memory_lake", "lake"])
def test_of_two_that_go_on_from_the_same_version_the_first_has_written(
    kind: str, request: pytest.FixtureRequest
) -> None:
    lake: Lake = request.getfixturevalue(kind)
    store = lake.store

    assert store.version("key") is None
    assert store.write_after(None, "key", b"1")
    assert not store.write_after(None, "key", b"2")
    one = store.version("key")
    assert one is not None
    assert store.write_after(one, "key", b"3")
    assert not store.write_after(one, "key", b"4")
    assert store.read("key") == b"3"

    three = store.version("key")
    store.delete("key")
    assert not store.write_after(three, "key", b"5")
    assert store.read("key") is None
