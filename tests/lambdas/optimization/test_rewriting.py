"""Rewriting files: every row and value is kept, once."""

from tests.lake import AT, Lake, reading
from tests.lambdas.optimization import by_hand


def test_rows_of_several_files_become_one_sorted_file(memory_lake: Lake) -> None:
    lake = memory_lake
    for number, device in enumerate(["pump-2", "pump-1", "pump-3"]):
        lake.put(str(number), [reading(device), reading(device, at=AT + 1)])
        lake.run(str(number))
    before = lake.rows()

    rewritten = by_hand.optimize(lake, "run")

    assert lake.rows() == before
    assert (rewritten.files_before, rewritten.files_after, rewritten.duplicates) == (3, 1, 0)
