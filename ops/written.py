"""What runs have written down, for whoever may see a part of it alone."""

import json
from typing import Any

from compaction.store import Store


def read(store: Store, key: str) -> dict[str, Any] | None:
    """What an object says, or None. It is looked for by listing: S3 refuses one that is not there to who lists in part.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, on s3:ListBucket.
    """
    found = store.read(key) if key in store.keys(key) else None
    return None if found is None else json.loads(found)
