"""A newcomer's copy of the repository with a little recorded data, so that nothing of this one is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from local import process

FILES, ROWS = 2, 300


def make(folder: Path) -> Path:
    """Copy the working tree below `folder`; its `.venv` is the environment that runs the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=process.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    copy = folder / "sensorkeep"
    for name in filter(None, listed.stdout.split("\0")):
        if (process.ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(process.ROOT / name, copy / name)
    (Path(sys.prefix) / "ready").touch()
    (copy / ".venv").symlink_to(sys.prefix)
    (copy / "build").mkdir()
    if (process.ROOT / "build" / ".cache").is_dir():  # the layers, which other tests have built
        (copy / "build" / ".cache").symlink_to(process.ROOT / "build" / ".cache")
    _record(folder / "data" / "skab" / "valve1")
    return copy


def environment(copy: Path) -> dict[str, str]:
    """A newcomer's environment: the recorded data, and nothing that points at another AWS."""
    named = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name not in {"ENVIRONMENT_SUFFIX", "PYTHONPATH"}
    }
    tools = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{named['PATH']}"
    return named | {"SENSORKEEP_DATA": str(copy.parent / "data"), "PATH": tools, "COLUMNS": "120"}


def _record(folder: Path) -> None:
    """As many files as `FILES`, a device each, of `ROWS` readings a second apart."""
    folder.mkdir(parents=True)
    for file in range(FILES):
        rows = (f"2020-03-09 10:{row // 60:02}:{row % 60:02};{row / 10};{70 + file}" for row in range(ROWS))
        (folder / f"{file}.csv").write_text("\n".join(["datetime;Pressure;Temperature", *rows]), encoding="utf-8")
