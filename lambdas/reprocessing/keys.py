"""Where a run has what: keys in the processed bucket, and what they begin with."""

RUNS_PREFIX = "runs/reprocess/"
STAGING_PREFIX = "staging/reprocess/"
LEDGER_PREFIX = "ledger/reprocess/"
CLAIMS_PREFIX = f"{LEDGER_PREFIX}claims/"
RESOLVED_PREFIX = "ledger/quarantine/"


def plan_key(run_id: str) -> str:
    """Key of what the later steps of a run go by."""
    return f"{RUNS_PREFIX}{run_id}/plan.json"


def executions_prefix(run_id: str) -> str:
    """What the keys of a run's executions begin with."""
    return f"{RUNS_PREFIX}{run_id}/executions/"


def execution_key(run_id: str, name: str) -> str:
    """Key of one execution of a run."""
    return f"{executions_prefix(run_id)}{name}.json"


def tasks_key(run_id: str) -> str:
    """Key of the lines that `decode_objects` takes up."""
    return f"{RUNS_PREFIX}{run_id}/plan.jsonl"


def missing_key(run_id: str) -> str:
    """Key of the missing objects, a JSON string a line."""
    return f"{RUNS_PREFIX}{run_id}/missing.jsonl"


def frozen_key(run_id: str) -> str:
    """Key of the frozen objects as they were planned: a PlannedObject a line."""
    return f"{RUNS_PREFIX}{run_id}/frozen.jsonl"


def decoded_key(run_id: str, task_id: str) -> str:
    """Key of the result of one decoding task."""
    return f"{RUNS_PREFIX}{run_id}/decoded/{task_id}.json"


def restoring_key(run_id: str) -> str:
    """Key of how far a run is with its frozen objects."""
    return f"{RUNS_PREFIX}{run_id}/restoring.json"


def decoded_prefix(run_id: str) -> str:
    """What the keys of a run's files of decoded readings begin with; partition and task follow."""
    return f"{STAGING_PREFIX}{run_id}/readings/"


def rejects_key(run_id: str, task_id: str) -> str:
    """Key of all that one decoding task has rejected."""
    return f"{STAGING_PREFIX}{run_id}/quarantine/{task_id}.jsonl.gz"


def new_rejects_key(run_id: str, task_id: str) -> str:
    """Key of what of it the compaction has not set aside."""
    return f"{STAGING_PREFIX}{run_id}/quarantine/{task_id}-new.jsonl.gz"


def resolved_key(run_id: str, task_id: str) -> str:
    """Key of the lines of the quarantine that one decoding task has decoded."""
    return f"{STAGING_PREFIX}{run_id}/resolved/{task_id}.jsonl"


def merge_prefix(run_id: str, merge_id: str) -> str:
    """What the keys of one merge begin with; another is planned when the table changed in between."""
    return f"{RUNS_PREFIX}{run_id}/merges/{merge_id}/"


def merge_plan_key(run_id: str, merge_id: str) -> str:
    """Key of the lines that `merge_readings` and `write_hot_table` take up."""
    return f"{merge_prefix(run_id, merge_id)}plan.jsonl"


def group_key(run_id: str, merge_id: str, number: int) -> str:
    """Key of one group of a merge."""
    return f"{merge_prefix(run_id, merge_id)}groups/{number:05}.json"


def merged_key(run_id: str, merge_id: str, task_id: str) -> str:
    """Key of the result of one merging task."""
    return f"{merge_prefix(run_id, merge_id)}results/{task_id}.json"


def hot_key(run_id: str, merge_id: str, task_id: str) -> str:
    """Key of how far one task is with the hot table."""
    return f"{merge_prefix(run_id, merge_id)}hot/{task_id}.json"


def committed_key(run_id: str) -> str:
    """Key of what a run has published."""
    return f"{RUNS_PREFIX}{run_id}/committed.json"


def undone_key(run_id: str) -> str:
    """Key of what the undo of a run has put back."""
    return f"{RUNS_PREFIX}{run_id}/undone.json"


def report_key(run_id: str) -> str:
    """Key of a run's report for programs."""
    return f"{RUNS_PREFIX}{run_id}/report.json"


def page_key(run_id: str) -> str:
    """Key of a run's report for people."""
    return f"{RUNS_PREFIX}{run_id}/report.html"


def claim_key(execution: str) -> str:
    """Key of an execution's claim to the range of its run."""
    return f"{CLAIMS_PREFIX}{execution}.json"


def request_key(digest: str) -> str:
    """Key of the name of the last run that has begun with a request."""
    return f"{RUNS_PREFIX}requests/{digest}.json"


def draft_key(run_id: str, draft: str, part: str) -> str:
    """Key of lines of a plan before it is known to be the first: of two that plan a run at once, each has its own."""
    return f"{RUNS_PREFIX}{run_id}/drafts/{draft}/{part}.jsonl"


def ledger_key(run_id: str) -> str:
    """Key of a run's line in the ledger."""
    return f"{LEDGER_PREFIX}{run_id}.json"


def resolved_prefix(quarantine_key: str) -> str:
    """What the keys begin with that say which lines of a quarantine object are resolved; the run's name follows."""
    return f"{RESOLVED_PREFIX}{quarantine_key.removeprefix('quarantine/').removesuffix('.jsonl.gz')}/"


def mark_key(quarantine_key: str, run_id: str) -> str:
    """Key of the positions that a run has resolved: JSON strings, a line each, in the order of the object's lines."""
    return f"{resolved_prefix(quarantine_key)}{run_id}.jsonl"
