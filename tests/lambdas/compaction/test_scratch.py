"""The function's disk: whose folders go, and what is said when it is full."""

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from compaction import spill
from compaction.columns import batch_of
from compaction.errors import DiskFull
from compaction.rejects import Rejects
from compaction.scratch import scratch_folder
from compaction.spill import SortedRuns
from sensors.reading import Reading, Reason, Rejection

HOLD = (
    "import sys; from compaction.scratch import scratch_folder\n"
    "with scratch_folder('') as folder: print(folder, flush=True); sys.stdin.read()"
)


@pytest.fixture(autouse=True)
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_is_gone_with_all_that_is_in_it_whatever_happens(disk: Path) -> None:
    with contextlib.suppress(KeyError), scratch_folder("") as folder:
        (folder / "run").write_bytes(b"rows")
        raise KeyError

    assert list(disk.iterdir()) == []


def test_what_a_killed_invocation_left_goes_and_what_others_use_stays(disk: Path) -> None:
    (disk / "sensorkeep-rows-killed").mkdir()
    (disk / "sensorkeep-rows-killed" / "run").write_bytes(b"rows")
    (disk / "of-somebody-else").mkdir()

    with scratch_folder("") as first, scratch_folder("") as second:
        assert {path.name for path in disk.iterdir()} == {first.name, second.name, "of-somebody-else"}


def test_a_folder_of_another_process_stays_until_that_is_killed(disk: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={"PYTHONPATH": "lambdas", "TMPDIR": str(disk)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        with scratch_folder(""):
            assert held.is_dir()
        holder.send_signal(signal.SIGKILL)

    with scratch_folder(""):
        assert not held.exists()


def fill_with_rows(folder: Path) -> None:
    (folder / "run-0.arrow").symlink_to("/dev/full")
    runs = SortedRuns(folder, 1, lambda _: None)
    for _ in range(9):
        runs.add(batch_of([Reading("a", at, {"x": 1.0}, {}, 0, 0, False) for at in range(1000)], (), [0] * 1000))


def fill_with_rejects(folder: Path) -> None:
    (folder / "quarantine.jsonl.gz").symlink_to("/dev/full")
    rejects = Rejects(folder)
    rejects.add(Rejection(Reason.NOT_JSON, "", 0), b"", "")
    rejects.complete("compact", "")


@pytest.mark.parametrize("fill", [fill_with_rows, fill_with_rejects])
def test_a_full_disk_is_a_failure_with_a_name_and_a_remedy(
    fill: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "RUN_BYTES", 100_000)

    with (
        pytest.raises(DiskFull, match=r"Raise compaction\.worker_disk_mb, or pray and"),
        scratch_folder("pray") as folder,
    ):
        fill(folder)


def test_other_errors_of_the_disk_pass_through() -> None:
    with pytest.raises(FileNotFoundError), scratch_folder("") as folder:
        pa.OSFile(str(folder / "none"))
