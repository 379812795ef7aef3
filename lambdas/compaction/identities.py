"""Which device each row is of, where the names that a row gives for it agree."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from sensors.decode import is_device_id

_MOST_KNOWN: Final = 100_000  # names whose spelling need not be checked again


class Identities:
    """Remembers names that are well formed."""

    def __init__(self) -> None:
        self._known: set[str | None] = set()

    def resolve(self, named: Sequence[Sequence[str | None]], checks: list[pa.BooleanArray]) -> pa.StringArray:
        """The device of each row, of one or more columns of names.

        A check is added when for some row the names differ, break the rule or are absent.
        """
        first = named[0]
        if all(names == first for names in named[1:]) and self._all_well_formed(first):
            return pa.array(first, pa.string())
        devices = [self._agreed(names) for names in zip(*named, strict=True)]
        checks.append(pa.array([device is not None for device in devices], pa.bool_()))
        return pa.array(devices, pa.string())

    def _all_well_formed(self, devices: Sequence[str | None]) -> bool:
        if self._known.issuperset(devices):
            return True
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(device for device in {*devices} - self._known if device is not None and is_device_id(device))
        return self._known.issuperset(devices)

    def _agreed(self, names: Sequence[str | None]) -> str | None:
        given = {name for name in names if name is not None}
        if len(given) != 1:
            return None
        device = given.pop()
        return device if self._all_well_formed([device]) else None
