"""The functions' zips: what is in them, and that it is enough."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

import build
from config.settings import load
from templates.shared.catalogue import FUNCTIONS
from templates.shared.limits import BuildError
from templates.shared.modules import reachable
from templates.shared.packages import EPOCH, build_zip
from tests.changed import with_all_channels
from tests.templates.elf import linked

LAMBDAS = Path(build.__file__).parent / "lambdas"
OF_THE_SYSTEM = {
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
}
"""Libraries of Amazon Linux 2023 that manylinux wheels may rely on (PEP 599)."""

IN_THE_RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
"""What the Lambda runtime has beside the standard library."""


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> build.Built:
    """The build of `local`, with every function, for this machine."""
    return build.build(with_all_channels(load("local", {})), tmp_path_factory.mktemp("local"), target="host")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory) -> Path:
    """A folder of packages with boto3 and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in IN_THE_RUNTIME:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (folder / top).exists():
                (folder / top).symlink_to(distribution(name).locate_file(top))
    return folder


def run_alone(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that has the standard library and these folders."""
    start = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]!r}; {code}"
    environ = {"AWS_REGION": "eu-central-1", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-I", "-S", "-c", start]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_the_clean_interpreter_is_clean(runtime):
    assert run_alone("import boto3", runtime).returncode == 0
    for package in ("msgspec", "aws_lambda_powertools", "pytest", "sensors"):
        assert "ModuleNotFoundError" in run_alone(f"import {package}", runtime).stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_needs_its_zip_and_the_runtime_only(local, runtime, tmp_path, function):
    with zipfile.ZipFile(local.directory / f"{function}.zip") as archive:
        archive.extractall(tmp_path)

    result = run_alone(f"from {function}.handler import handle; assert callable(handle)", tmp_path, runtime)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_no_sources_of_another_function(local, function):
    with zipfile.ZipFile(local.directory / f"{function}.zip") as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}

    assert folders & set(FUNCTIONS) == {function}
    assert not folders & set(IN_THE_RUNTIME)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_zip_entries_are_sorted_dated_alike_and_without_bytecode(local, function):
    with zipfile.ZipFile(local.directory / f"{function}.zip") as archive:
        entries = archive.infolist()

    names = [entry.filename for entry in entries]
    assert names == sorted(set(names))
    assert {entry.date_time for entry in entries} == {EPOCH}
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name or "/tests/" in name]


def test_the_settings_that_functions_read_are_in_the_zip(local):
    with zipfile.ZipFile(local.directory / "process_readings.zip") as archive:
        told = json.loads(archive.read("settings.json"))

    assert set(told) == build.FUNCTION_SETTINGS
    assert told["system"] == "sensorkeep"
    assert told["metrics"]["temperature"]["thresholds"][0]["above"] == 100.0


def test_packages_installed_anew_give_the_same_bytes(local, tmp_path):
    told = zipfile.ZipFile(local.directory / "process_readings.zip").read("settings.json")

    build_zip(LAMBDAS, "process_readings", told, "host", tmp_path / "cache", tmp_path / "again.zip")

    assert (tmp_path / "again.zip").read_bytes() == (local.directory / "process_readings.zip").read_bytes()


def test_the_zips_of_the_deployed_runtime_hold_its_machine_code(built):
    with zipfile.ZipFile(built("dev").directory / "write_parquet.zip") as archive:
        compiled = [name for name in archive.namelist() if ".cpython-" in name]

    assert compiled
    assert all(".cpython-313-aarch64-linux-gnu.so" in name for name in compiled)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_compiled_modules_find_every_library_they_link_in_the_zip_or_the_system(with_all_functions, function):
    with zipfile.ZipFile(with_all_functions.directory / f"{function}.zip") as archive:
        compiled = [name for name in archive.namelist() if re.search(r"\.so(\.\d+)*$", name)]
        needed = {library: name for name in compiled for library in linked(archive.read(name))}

    there = {Path(name).name for name in compiled} | OF_THE_SYSTEM
    assert compiled
    assert {library: name for library, name in needed.items() if library not in there} == {}


def test_a_function_without_a_handler_is_refused(tmp_path):
    with pytest.raises(BuildError, match=r"lambdas/absent/handler\.py does not exist"):
        build_zip(tmp_path, "absent", b"", "host", tmp_path, tmp_path / "absent.zip")


def test_a_function_without_a_lock_file_is_refused(tmp_path):
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "handler.py").touch()

    with pytest.raises(BuildError, match=r"lambdas/fresh/requirements\.txt does not exist\. Run `make lock`"):
        build_zip(tmp_path, "fresh", b"", "host", tmp_path, tmp_path / "fresh.zip")


def test_packages_that_cannot_be_installed_are_refused_with_the_reason(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "handler.py").touch()
    (tmp_path / "broken" / "requirements.txt").write_text("msgspec==0.22.0\n", encoding="utf-8")

    with pytest.raises(BuildError, match=r"cannot be installed for host:\n.*hash"):
        build_zip(tmp_path, "broken", b"", "host", tmp_path / "cache", tmp_path / "broken.zip")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("source", "reached"),
    [
        ("import shared.sums", {"shared/__init__.py", "shared/sums.py"}),
        ("from shared import sums", {"shared/__init__.py", "shared/sums.py"}),
        ("from shared.sums import add", {"shared/__init__.py", "shared/sums.py"}),
        ("def handle():\n    import shared.sums", {"shared/__init__.py", "shared/sums.py"}),
        ("from . import near", {"task/near.py"}),
        ("from .near import far", {"task/near.py"}),
        ("import shared.loops", {"shared/__init__.py", "shared/loops.py", "shared/sums.py"}),
        ("import json, boto3", set()),
    ],
)
def test_modules_are_found_however_they_are_imported(tmp_path, source, reached):
    files = {
        "task/handler.py": source,
        "task/near.py": "",
        "shared/__init__.py": "",
        "shared/sums.py": "import shared.sums",
        "shared/loops.py": "from shared import sums",
        "shared/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    assert {str(path.relative_to(tmp_path)) for path in reachable(tmp_path, "task.handler")} == {
        "task/handler.py",
        *reached,
    }


def test_the_page_beside_a_module_is_in_the_zip_with_it_and_no_other(tmp_path):
    sources = {
        "show/handler.py": "import words.page\n",
        "show/requirements.txt": "",
        "words/page.py": "",
        "words/page.html": "<p>",
        "words/other.html": "",
    }
    for name, text in sources.items():
        path = tmp_path / "lambdas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    build_zip(tmp_path / "lambdas", "show", b"{}", "host", tmp_path / "cache", tmp_path / "show.zip")

    with zipfile.ZipFile(tmp_path / "show.zip") as archive:
        assert archive.namelist() == ["settings.json", "show/handler.py", "words/page.html", "words/page.py"]
