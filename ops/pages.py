"""A run's report for people, in their browser."""

import sys
import tempfile
import webbrowser
from pathlib import Path

from compaction.store import Store
from ops.errors import OpsError
from ops.stack import Stack


def open_page(stack: Stack, uri: str) -> None:
    """Fetch the page of an S3 address and open it; standard error says where it is, also where there is no browser.

    Raises OpsError when there is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    page = Store(stack.client("s3"), bucket).read(key)
    if page is None:
        raise OpsError(f"There is no report {uri}.")
    file = Path(tempfile.mkdtemp(prefix="sensorkeep-")) / Path(key).name
    file.write_bytes(page)
    opened = webbrowser.open(file.as_uri())
    print(f"The report is {file}" if opened else f"No browser was found. Open the report: {file}", file=sys.stderr)
