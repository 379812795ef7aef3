"""A deployment's progress on the terminal: a line for each stack, with what it is at."""

from collections import Counter
from types import TracebackType

from rich import progress
from rich.console import Console

from local.deploy import NESTED, Event

DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")


class Progress:
    """Shows the events of a deployment as they come."""

    def __init__(self, console: Console) -> None:
        columns = progress.SpinnerColumn(), progress.TextColumn("{task.description}"), progress.TimeElapsedColumn()
        self._progress = progress.Progress(*columns, console=console)
        self._stacks: dict[str, progress.TaskID] = {}
        self._done: Counter[str] = Counter()
        self._ended: dict[str, str] = {}

    def __enter__(self) -> "Progress":
        self._progress.start()
        self._build = self._progress.add_task("building")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def report(self, event: Event) -> None:
        """Show one event; the events of a nested stack may come after the one that ends it."""
        self._progress.update(self._build, visible=False)
        is_stack = event.type == NESTED
        stack = event.logical_id if is_stack else event.stack
        if stack not in self._stacks:
            self._stacks[stack] = self._progress.add_task(stack, total=1)
        if is_stack:
            in_progress = event.status.endswith("_IN_PROGRESS")
            self._ended[stack] = "" if in_progress else event.status.replace("_", " ").lower()
        else:
            self._done[stack] += event.status in DONE
        count = f"{self._done[stack]} resource{'' if self._done[stack] == 1 else 's'}"
        ended = self._ended.get(stack, "")
        description = f"{stack:<12} {count:<13} {ended or event.logical_id}"
        self._progress.update(self._stacks[stack], description=description, completed=int(bool(ended)))
