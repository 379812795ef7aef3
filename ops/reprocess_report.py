"""What a reprocessing has found and changed, told to people."""

from rich.console import Group, RenderableType

from ops.figures import count, facts
from ops.running import Answer


def did(answer: Answer) -> str:
    """What a run did, in a line."""
    if "undone" in answer:
        return f"undone: {_undone(answer['undone'])}"
    raise NotImplementedError


def show_report(answer: Answer) -> RenderableType:
    """The run's report in short."""
    if "undone" in answer:
        return facts(f"undone in {answer['seconds']} s", {"run": answer["run_id"], "table": _undone(answer["undone"])})
    return Group()


def _undone(undone: Answer) -> str:
    out, back = (
        f"{count(undone[f'rows_{what}'], 'row')} in {count(undone[f'files_{what}'], 'file')}"
        for what in ("removed", "restored")
    )
    return f"{out} taken out, {back} put back"
