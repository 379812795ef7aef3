"""Tries of one message until the receiver takes it, refuses it, or the time is up."""

import datetime
import email.utils
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deliver_webhook.posting import Answer, NoAnswerError

MOST_TRIES: Final = 5
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 10.0
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500


class RefusedError(Exception):
    """The receiver will not take the message, however often it is sent; the message says what it answered."""

    def __init__(self, status: int) -> None:
        super().__init__(
            f"The receiver answered {status}{'; redirects are not followed' if 300 <= status < 400 else ''}."
        )
        self.status = status


class UnavailableError(Exception):
    """The receiver may take the message later; the message says what happened last."""


@dataclass(frozen=True)
class Clock:
    """Time, and the chance that spreads the tries of many senders: `jitter` gives a number from 0 to 1."""

    now_s: Callable[[], float]
    sleep: Callable[[float], None]
    jitter: Callable[[], float]


def deliver(post: Callable[[float], Answer], budget_s: float, clock: Clock) -> int:
    """Post until it is taken; how many tries it took. `post` is given the seconds that are left.

    Between tries there is a pause of full jitter (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/),
    or what the receiver asks for with `Retry-After`. Raises RefusedError and UnavailableError, and AddressRefusedError.
    """
    ends_s = clock.now_s() + budget_s
    for number in range(1, MOST_TRIES + 1):
        asked_s: float | None = None
        try:
            answer = post(ends_s - clock.now_s())
        except NoAnswerError as error:
            last = str(error)
        else:
            if 200 <= answer.status < 300:
                return number
            if answer.status < SERVER_ERROR and answer.status != TOO_MANY_REQUESTS:
                raise RefusedError(answer.status)
            last, asked_s = f"The receiver answered {answer.status}.", seconds(answer.retry_after, clock.now_s())
        pause_s = asked_s if asked_s is not None else clock.jitter() * backoff_s(number)
        if number == MOST_TRIES or clock.now_s() + pause_s >= ends_s:
            break
        clock.sleep(pause_s)
    raise UnavailableError(f"{last} That was try {number}.")


def backoff_s(number: int) -> float:
    """The longest pause after a try."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(2 ** (number - 1)))


def seconds(retry_after: str | None, now_s: float) -> float | None:
    """`Retry-After` in seconds from now, given as such or as a date (RFC 9110, 10.2.3); None for anything else."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        at = email.utils.parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    return max(0.0, at.replace(tzinfo=at.tzinfo or datetime.UTC).timestamp() - now_s)
