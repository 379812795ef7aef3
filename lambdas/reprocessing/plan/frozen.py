"""Objects that S3 reads out only after it was asked to restore them, and what it says of the copies that it makes."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from reprocessing.request import Tier

FROZEN: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects have to be restored; `GLACIER_IR` is read at once.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

WAIT_S: Final[dict[Tier, int]] = {"Expedited": 30, "Standard": 900, "Bulk": 3600}
"""Until the next look. AWS says of the slowest class: 5 minutes, 12 hours, 48 hours ("typically").

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
"""
MOST_LOOKS: Final = 100
"""At a tier's pace: 50 minutes, 25 hours, 100 hours. What is not there then, S3 has forgotten."""

_UNTIL: Final = re.compile(r'ongoing-request="false", expiry-date="([^"]+)"')


class Copy(NamedTuple):
    """An object as S3 shows it: its class, until when there is a copy, and, of HeadObject, whether one is made."""

    storage_class: str
    until: datetime | None
    in_progress: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether S3 reads the object out."""
        return self.storage_class not in FROZEN or self.until is not None

    def lasts(self, now: datetime, tier: Tier) -> bool:
        """Whether S3 still reads the object out when the run has waited for others as long as it does."""
        return self.is_readable and (self.until is None or self.until - now > patience(tier))


def patience(tier: Tier) -> timedelta:
    """How long a run waits for copies that it has asked for."""
    return timedelta(seconds=WAIT_S[tier] * MOST_LOOKS)


def copy_of(head: dict[str, Any]) -> Copy:
    """What HeadObject answers, read.

    The header is https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html on `x-amz-restore`.
    """
    restore = head.get("Restore", "")
    ready = _UNTIL.search(restore)
    return Copy(
        storage_class=head.get("StorageClass", "STANDARD"),
        in_progress='ongoing-request="true"' in restore,
        until=parsedate_to_datetime(ready[1]).replace(tzinfo=UTC) if ready else None,
    )
