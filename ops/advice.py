"""What to do about each error that the state machines and their functions name."""

from collections.abc import Iterable

NEW_RUN = "Start a new run"
ANEW = f"{NEW_RUN}, of reprocess with --fresh"  # which otherwise carries on the one that cannot end well
REDRIVE = "redrive this one"
REPORT = "its report"

ADVICE = {
    "InvalidInput": "Correct the input as the message says.",
    "ObjectMissing": f"Find out what deleted from the archive. {ANEW}: it plans the objects that are there now.",
    "ObjectChanged": f"Find out what wrote to the archive. {ANEW}: it plans the objects as they are now.",
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
    f"{ANEW}.",
    "ResultMissing": f"Nothing was published. {ANEW}.",
    "ResultMismatch": f"Nothing was published. {ANEW}.",
    "FileMismatch": f"Nothing was published. {ANEW}.",
    "LedgerIncomplete": f"Bring back the plan that the message names, then {REDRIVE}.",
    "CommitConflict": f"Others write to the table. When they are done, {REDRIVE}.",
    "RangeHeld": f"When the run that the message names has ended, or you have stopped it, {REDRIVE}. {NEW_RUN} of the "
    "same input instead where redrives are not offered, as on the embedded AWS.",
    "RestoreRefused": f"Where permissions are missing, give them and {REDRIVE}. Where the tier does not suit the "
    "storage class, choose another: DEEP_ARCHIVE has no Expedited.",
    "RestoredTooSlowly": f"{NEW_RUN} of the same input: it waits for the restores that are under way.",
    "TableBusy": f"Give the hot table more write capacity, or the run a lower rate. Then {REDRIVE}.",
    "RulesChanged": f"Nothing was published. {NEW_RUN}: it decodes everything by the rules of now.",
    "FewerReadings": f"Nothing was published: {REPORT} says which readings would be gone and why. Mend what the causes "
    f"show, or, if they are to go, allow it with --allow-fewer. {NEW_RUN}.",
    "WrittenTooSlowly": f"{NEW_RUN} of the same input: it goes on where this one stopped. A higher rate is faster.",
    "CannotUndo": "Nothing was changed. Do what the message says.",
}
"""By the name of the error; with REDRIVE in it where the same execution can go on, with REPORT where there is one."""

STOPPED = (
    f"What it has published stays. {NEW_RUN} (of reprocess, the same command goes on where this one stopped), or "
    f"{REDRIVE}: both are safe."
)
"""What to do about a run that somebody has stopped."""


def advice(errors: Iterable[str]) -> str | None:
    """What to do about the first of the errors that is one of ours; None when none is."""
    return next((ADVICE[error] for error in errors if error in ADVICE), None)
