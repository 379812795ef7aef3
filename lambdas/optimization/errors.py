"""The named failures of the table's upkeep, beside those that it shares with the compaction (`compaction.errors`)."""


class OptimizationError(Exception):
    """A run that cannot go on; the message says what, where and what to do."""


class ForeignFiles(OptimizationError):  # noqa: N818 - the name is what Step Functions shows
    """Another table's files lie where this one's are, so that orphans cannot be told from them."""


class FilesNotDeleted(OptimizationError):  # noqa: N818
    """S3 refused to delete some files; trying again may succeed."""


class FileNotRewritable(OptimizationError):  # noqa: N818
    """A data file has what the table's columns, or times in milliseconds, would not keep."""


class FilesReplaced(OptimizationError):  # noqa: N818
    """A file that the run has rewritten is not, or no longer, a file of the table."""


class RowsDeleted(OptimizationError):  # noqa: N818
    """Rows of a partition that the run has rewritten were deleted since it was planned."""
