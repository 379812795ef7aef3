"""A run's report for people, in their browser."""

import sys
import tempfile
import webbrowser
from pathlib import Path

from compaction.store import Store
from ops.errors import OpsError
from ops.stack import Stack


def open_page(stack: Stack, key: str) -> None:
    """Fetch a page of the processed bucket and open it; standard error says where it is, also without a browser.

    Raises OpsError when there is none.
    """
    store = Store(stack.client("s3"), stack.outputs["ProcessedBucketName"])
    page = store.read(key)
    if page is None:
        raise OpsError(f"There is no report s3://{store.bucket}/{key}.")
    file = Path(tempfile.mkdtemp(prefix="sensorkeep-")) / Path(key).name
    file.write_bytes(page)
    opened = webbrowser.open(file.as_uri())
    print(f"The report is {file}" if opened else f"No browser was found. Open the report: {file}", file=sys.stderr)
