"""Waits until every message that was sent is somewhere it can be counted."""

import time
from collections.abc import Callable

from rich.console import Console

from local.demo.audit import Archive, HotTable, Quarantine
from local.fleet.message import Tally
from local.fleet.summary import counting

QUIET_S = 45.0
"""Seconds without any change after which nothing more is expected; the longest buffer holds for a few."""
POLL_S = 0.5


class UnsettledError(Exception):
    """Messages did not arrive; the message says where how many are missing."""


def settle(tally: Tally, archive: Archive, hot: HotTable, quarantine: Quarantine, console: Console) -> None:
    """Wait, with progress, until each store holds at least what was sent to it. Raises UnsettledError.

    The hot table's own estimate is enough to wait for: a scan every moment would be half of the work there is, and the
    books count the items themselves.
    """
    stores: dict[str, tuple[Callable[[], int], int]] = {
        "archived": (archive.count, tally.published),
        "hot table": (hot.estimate, tally.stored),
        "quarantined": (quarantine.count, tally.quarantined),
    }
    with counting(console) as progress:
        tasks = {name: progress.add_task(name, total=expected) for name, (_, expected) in stores.items()}
        found = dict.fromkeys(stores, 0)
        changed_at = time.monotonic()
        while True:
            missing = {name for name, (_, expected) in stores.items() if found[name] < expected}
            if not missing:
                return
            if time.monotonic() - changed_at > QUIET_S:
                raise UnsettledError(_explain({name: (found[name], stores[name][1]) for name in sorted(missing)}))
            for name in missing:
                count = stores[name][0]()
                changed_at = time.monotonic() if count != found[name] else changed_at
                found[name] = count
                progress.update(tasks[name], completed=count)
            time.sleep(POLL_S)


def _explain(missing: dict[str, tuple[int, int]]) -> str:
    """`archived: 12 of 18,620 are missing; …`."""
    parts = [f"{name}: {expected - found:,} of {expected:,} are missing" for name, (found, expected) in missing.items()]
    return f"{'; '.join(parts)}; nothing has changed for {QUIET_S:.0f} s. The emulator's log is .local/emulator.log."
