"""The named failures of a compaction run; the class name is the error an operator sees in the state machine."""


class CompactionError(Exception):
    """A run that cannot go on; the message says what, where and what to do."""


class InvalidInput(CompactionError):  # noqa: N818 - the name is what Step Functions shows
    """The execution's input cannot be used; the same input can never succeed."""


class ObjectMissing(CompactionError):  # noqa: N818
    """A planned archive object is no longer there."""


class ObjectChanged(CompactionError):  # noqa: N818
    """A planned archive object is not the one that was planned."""


class ObjectArchived(CompactionError):  # noqa: N818
    """A planned archive object is in a storage class that must be restored before it can be read."""


class DiskFull(CompactionError):  # noqa: N818
    """A task's rows do not fit the function's disk."""


class ResultMissing(CompactionError):  # noqa: N818
    """A planned task has left no result, or the run has no plan."""


class ResultMismatch(CompactionError):  # noqa: N818
    """A result is not about the objects that were planned."""


class CountsDoNotBalance(CompactionError):  # noqa: N818
    """Records in are not records stored, duplicate and quarantined."""


class FileMismatch(CompactionError):  # noqa: N818
    """A Parquet file is missing, does not hold the rows its result says, or does not fit the table."""


class LedgerIncomplete(CompactionError):  # noqa: N818
    """A run is in the table, and nothing is left that says which objects it holds."""


class ObjectsAlreadyCommitted(CompactionError):  # noqa: N818
    """Another run has committed objects of this run's plan."""


class RunTooOld(CompactionError):  # noqa: N818
    """A run was planned so long ago that files which no snapshot names, its own among them, may have been deleted."""


class CommitConflict(CompactionError):  # noqa: N818
    """Other commits, or a catalog that does not answer, came in the way of every attempt; trying again may succeed."""


def shown(value: object) -> str:
    """What somebody has given, in a few words, for a sentence about it."""
    if value is None:
        return "nothing"
    said = "a huge number" if isinstance(value, int) and value.bit_length() > 64 else repr(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
