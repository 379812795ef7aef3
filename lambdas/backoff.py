"""How long to wait before asking DynamoDB again."""

import random
from typing import Final

FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 2.0


def delay_s(attempt: int) -> float:
    """Full jitter: anything up to a bound that doubles with each attempt, so that retries do not come in waves."""
    if attempt == 0:
        return 0.0
    return random.uniform(0, min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**attempt))  # noqa: S311 - spreads load, guards nothing
