"""What to do about each error that the functions of the state machines `compact` and `optimize` name."""

from collections.abc import Iterable

NEW_RUN = "Start a new run"
REDRIVE = "redrive this one"

ADVICE = {
    "InvalidInput": "Correct --from and --to.",
    "ObjectMissing": f"Find out what deleted from the archive. {NEW_RUN}: it plans the objects that are there now.",
    "ObjectChanged": f"Find out what wrote to the archive. {NEW_RUN}: it plans the objects as they are now.",
    "ObjectArchived": f"Restore the object from Glacier (aws s3api restore-object), then {REDRIVE}.",
    "ObjectsAlreadyCommitted": f"Nothing to repair. {NEW_RUN}: it takes what is left.",
    "RunTooOld": f"Nothing was published, and files of this run may be deleted as orphans. {NEW_RUN}.",
    "FileNotRewritable": "Another program wrote the file that the message names. Take it out of the table, or "
    f"write its rows again as the message asks. {NEW_RUN}.",
    "FilesReplaced": f"Nothing was published: others were faster. {NEW_RUN}: it plans the files that are there now.",
    "RowsDeleted": f"Nothing was published, so that the rows stay deleted. {NEW_RUN}: it leaves that partition alone.",
    "ForeignFiles": f"Nothing was deleted. Do what the message says, then {REDRIVE}.",
    "FilesNotDeleted": f"Look for a bucket policy or a lock that forbids it, then {REDRIVE}.",
    "DiskFull": "Raise compaction.worker_disk_mb or lower compaction.task_mb, and deploy. "
    f"With a larger disk {REDRIVE}; smaller tasks are planned by a new run.",
    "UnbalancedError": "Nothing was published. Keep the archive objects of the task: they show a fault of the worker.",
    "CountsDoNotBalance": "Nothing was published. Keep the run's folder below runs/: it shows what does not add up. "
    f"{NEW_RUN}.",
    "ResultMissing": f"Nothing was published. {NEW_RUN}.",
    "ResultMismatch": f"Nothing was published. {NEW_RUN}.",
    "FileMismatch": f"Nothing was published. {NEW_RUN}.",
    "LedgerIncomplete": f"Bring back the plan that the message names, then {REDRIVE}.",
    "CommitConflict": f"Others write to the table. When they are done, {REDRIVE}.",
}
"""By the name of the error; with REDRIVE in it where the same execution can go on."""


def advice(errors: Iterable[str]) -> str | None:
    """What to do about the first of the errors that is one of ours; None when none is."""
    return next((ADVICE[error] for error in errors if error in ADVICE), None)
