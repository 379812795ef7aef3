"""The named failures of a reprocessing; the class name is the error an operator sees in the state machine.

`compaction.errors` has those that both have.
"""

from compaction.errors import CompactionError


class RangeHeld(CompactionError):  # noqa: N818 - the names are what Step Functions shows
    """Another run that applies its changes holds a part of the range."""


class RestoreRefused(CompactionError):  # noqa: N818
    """S3 does not restore an object that the run needs."""


class TableBusy(CompactionError):  # noqa: N818
    """The hot table took nothing of a task for as long as an invocation lasts; later it may."""


class RulesChanged(CompactionError):  # noqa: N818
    """Tasks of one run were done by different settings or code: a deployment came in between."""


class FewerReadings(CompactionError):  # noqa: N818
    """Readings of the range would be lost, and nobody has allowed that."""


class CannotUndo(CompactionError):  # noqa: N818
    """The table has changed since in the range of the run, or no longer has the files from before it."""
