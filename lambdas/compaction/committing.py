"""A commit to the table that others commit to as well: tried again, on the table as it then is, while that may help."""

import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnectedError
from pyiceberg.exceptions import CommitFailedException

from compaction.errors import CommitConflict
from compaction.store import error_code

ATTEMPTS = 5
_FIRST_WAIT_S = 0.5
_PASSING = frozenset(
    {
        "ConcurrentModificationException",
        "InternalServiceException",
        "OperationTimeoutException",
        "ResourceNotReadyException",
        "ThrottlingException",
    }
)

Answer = TypeVar("Answer")


def commit(what: str, attempt: Callable[[], Answer], sleep: Callable[[float], None] = time.sleep) -> Answer:
    """What the first attempt answers that comes through; `what` names the commit in the error.

    An attempt has to load the table, and to look whether an attempt before it has published after all: its answer may
    have been lost. Raises CommitConflict when others were faster, or the catalog did not answer, at every attempt.
    """
    cause: Exception | None = None
    for number in range(ATTEMPTS):
        if number:
            sleep(_FIRST_WAIT_S * 2 ** (number - 1))
        try:
            return attempt()
        except (CommitFailedException, NotConnectedError, HTTPClientError) as error:
            cause = error
        except ClientError as error:
            if error_code(error) not in _PASSING:
                raise
            cause = error
    raise CommitConflict(
        f"{what} could not be committed in {ATTEMPTS} attempts; the last ended with: {cause}. "
        "Nothing is lost: redrive the execution."
    )
