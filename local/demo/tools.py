"""The commands for people, run as a person runs them: `python -m ops …` against whatever the environment points to."""

import datetime
import json
import subprocess
import sys
from typing import Any


class ToolError(Exception):
    """A command failed; the message is what it said."""


def compact(*options: str) -> dict[str, Any]:
    """Compact everything that has arrived, the hour still open included; the run's report."""
    now = datetime.datetime.now(datetime.UTC)
    end = now.replace(minute=0, second=0, microsecond=0) + datetime.timedelta(hours=1)
    report: dict[str, Any] = _ops("compact", "--follow", "--to", end.isoformat(), *options)
    return report


def query(sql: str, *options: str) -> list[dict[str, Any]]:
    """The rows of a query of the Iceberg table."""
    answer = _ops("query", sql, *options)
    return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]


def _ops(*arguments: str) -> Any:
    command = [sys.executable, "-m", "ops", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"python -m ops {arguments[0]} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout)
