"""The named failures of the table's upkeep, beside those that it shares with the compaction (`compaction.errors`)."""


class OptimizationError(Exception):
    """A run that cannot go on; the message says what, where and what to do."""


class ForeignFiles(OptimizationError):  # noqa: N818 - the name is what Step Functions shows
    """Another table's files lie where this one's are, so that orphans cannot be told from them."""


class FilesNotDeleted(OptimizationError):  # noqa: N818
    """S3 refused to delete some files; trying again may succeed."""
