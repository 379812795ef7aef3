"""The zips of functions and layers: what is in them, and that it is enough."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

import build
from config.settings import load
from templates.shared.catalogue import FUNCTIONS
from templates.shared.layers import LAMBDAS, layer_of, layers_of
from templates.shared.limits import BuildError
from templates.shared.modules import reachable
from templates.shared.packages import EPOCH, write_function, write_layer
from tests.changed import with_all_channels
from tests.templates.elf import linked

LAYERS = [layer.file for layer in layers_of(FUNCTIONS)]
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
def opt(local, tmp_path_factory) -> dict[str, Path]:
    """Each layer unpacked, as functions find it; what is equal in several is one file."""
    top, known, found = tmp_path_factory.mktemp("opt"), {}, {}
    for layer in LAYERS:
        found[layer] = top / layer / "python"
        with zipfile.ZipFile(local.directory / layer) as archive:
            for entry in archive.infolist():
                target = top / layer / entry.filename
                first = known.setdefault((entry.filename, entry.CRC), target)
                if first is target:
                    archive.extract(entry, top / layer)
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.hardlink_to(first)
    return found


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
    start = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]!r}\n{code}"
    environ = {"AWS_REGION": "eu-central-1", "PATH": os.environ["PATH"]}
    command = [sys.executable, "-I", "-S", "-c", start]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_the_clean_interpreter_is_clean(runtime):
    assert run_alone("import boto3", runtime).returncode == 0
    for package in ("msgspec", "aws_lambda_powertools", "pytest", "sensors"):
        assert "ModuleNotFoundError" in run_alone(f"import {package}", runtime).stderr


IMPORT_EACH = """
import importlib, sys
from pathlib import Path
for function, folder in {folders!r}.items():
    sys.path.insert(0, folder)
    assert callable(importlib.import_module(f"{{function}}.handler").handle), function
    sys.path.remove(folder)
    own = {{path.stem for path in Path(folder).iterdir()}}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
"""
"""One interpreter for all, since it is the packages that take long to load; no handler sees what another's zip has."""


@pytest.mark.parametrize("layer", LAYERS)
def test_handlers_need_their_own_zip_their_layer_and_the_runtime_only(local, opt, runtime, tmp_path, layer):
    folders = {name: str(tmp_path / name) for name in FUNCTIONS if layer_of(name).file == layer}
    for name, folder in folders.items():
        with zipfile.ZipFile(local.directory / f"{name}.zip") as archive:
            archive.extractall(folder)

    result = run_alone(IMPORT_EACH.format(folders=folders), opt[layer], runtime)

    assert folders
    assert result.returncode == 0, result.stderr


def names(built: build.Built, file: str) -> list[str]:
    with zipfile.ZipFile(built.directory / file) as archive:
        return archive.namelist()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_our_own_files_and_no_sources_of_another_function(local, function):
    held = names(local, f"{function}.zip")

    assert all((LAMBDAS / name).is_file() for name in held if name != "settings.json")
    assert {name.split("/")[0] for name in held} & set(FUNCTIONS) == {function}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_holds_packages_alone_and_none_of_the_runtime(local, layer):
    folders, packages = zip(*(name.split("/")[:2] for name in names(local, layer)), strict=True)

    assert set(folders) == {"python"}
    assert not {*packages} & {*IN_THE_RUNTIME, *(path.name for path in LAMBDAS.iterdir())}


@pytest.mark.parametrize("file", [*LAYERS, *(f"{function}.zip" for function in FUNCTIONS)])
def test_zip_entries_are_sorted_dated_alike_and_without_bytecode(local, file):
    with zipfile.ZipFile(local.directory / file) as archive:
        entries = archive.infolist()

    held = [entry.filename for entry in entries]
    assert held == sorted(set(held))
    assert {entry.date_time for entry in entries} == {EPOCH}
    assert not [name for name in held if name.endswith(".pyc") or "__pycache__" in name or "/tests/" in name]


def test_the_settings_that_functions_read_are_in_the_zip(local):
    with zipfile.ZipFile(local.directory / "process_readings.zip") as archive:
        told = json.loads(archive.read("settings.json"))

    assert set(told) == build.FUNCTION_SETTINGS
    assert told["system"] == "sensorkeep"
    assert told["metrics"]["temperature"]["thresholds"][0]["above"] == 100.0


def test_packages_installed_anew_give_the_same_bytes(local, tmp_path):
    layer = layer_of("process_readings")

    write_layer(layer.lock, "host", tmp_path / "cache", tmp_path / "again.zip")

    assert (tmp_path / "again.zip").read_bytes() == (local.directory / layer.file).read_bytes()


def test_a_layer_that_takes_the_place_of_another_leaves_the_kept_one_as_it_is(tmp_path):
    lock, out = tmp_path / "requirements.txt", tmp_path / "out.zip"
    lock.touch()
    write_layer(lock, "host", tmp_path / "cache", out)
    (kept,) = (tmp_path / "cache").iterdir()
    content = kept.read_bytes()

    shutil.copyfile(layer_of("deliver_webhook").lock, lock)
    unzipped_bytes = write_layer(lock, "host", tmp_path / "cache", out)

    assert unzipped_bytes > len(out.read_bytes()) > len(content)
    assert kept.read_bytes() == content


def test_the_layers_of_the_deployed_runtime_hold_its_machine_code(built):
    compiled = [name for name in names(built("dev"), layer_of("write_parquet").file) if ".cpython-" in name]

    assert compiled
    assert all(".cpython-313-aarch64-linux-gnu.so" in name for name in compiled)


@pytest.fixture(scope="module")
def links() -> dict[tuple[str, int], list[str]]:
    """What the libraries link that were looked at, by name and checksum: most are in several layers."""
    return {}


@pytest.mark.parametrize("layer", LAYERS)
def test_compiled_modules_find_every_library_they_link_in_the_layer_or_the_system(with_all_functions, links, layer):
    with zipfile.ZipFile(with_all_functions.directory / layer) as archive:
        compiled = [entry for entry in archive.infolist() if re.search(r"\.so(\.\d+)*$", entry.filename)]
        for entry in compiled:
            if (entry.filename, entry.CRC) not in links:
                links[entry.filename, entry.CRC] = linked(archive.read(entry))
    needed = {library: entry.filename for entry in compiled for library in links[entry.filename, entry.CRC]}

    there = {Path(entry.filename).name for entry in compiled} | OF_THE_SYSTEM
    assert compiled
    assert {library: name for library, name in needed.items() if library not in there} == {}


def test_a_function_without_a_handler_is_refused(tmp_path):
    with pytest.raises(BuildError, match=r"lambdas/absent/handler\.py does not exist"):
        write_function(tmp_path, "absent", b"", tmp_path / "absent.zip")


def ask_for(lambdas: Path, function: str, packages: str, lock: str | None = None) -> None:
    """Lists of packages of a function."""
    (lambdas / function).mkdir()
    (lambdas / function / "requirements.in").write_text(packages, encoding="utf-8")
    if lock is not None:
        (lambdas / function / "requirements.txt").write_text(lock, encoding="utf-8")


def test_functions_that_ask_for_the_same_packages_share_a_layer_that_is_called_by_them(tmp_path):
    ask_for(tmp_path, "plan", "zope.interface>=7\npyiceberg[glue, pyarrow]\n", lock="both")
    ask_for(tmp_path, "write", "# fast\nmsgspec\n", lock="one")
    ask_for(tmp_path, "commit", "pyiceberg[glue, pyarrow]\n\nzope.interface>=7\n", lock="both")

    found = layers_of(["plan", "write", "commit"], tmp_path)

    assert [layer.file for layer in found] == ["layer-msgspec.zip", "layer-pyiceberg-zope-interface.zip"]
    assert [layer.output for layer in found] == ["MsgspecLayerArn", "PyicebergZopeInterfaceLayerArn"]
    assert found[1] == layer_of("plan", tmp_path)


def test_the_same_packages_locked_differently_are_refused(tmp_path):
    ask_for(tmp_path, "plan", "msgspec\n", lock="msgspec==1")
    ask_for(tmp_path, "write", "msgspec\n", lock="msgspec==2")

    with pytest.raises(BuildError, match=r"lambdas/plan and lambdas/write ask for the same.* run `make lock`"):
        layers_of(["plan", "write"], tmp_path)


def test_a_function_without_a_lock_file_is_refused(tmp_path):
    ask_for(tmp_path, "fresh", "msgspec\n")

    with pytest.raises(BuildError, match=r"lambdas/fresh/requirements\.txt does not exist\. Run `make lock`"):
        layer_of("fresh", tmp_path)
    with pytest.raises(BuildError, match=r"lambdas/bare/requirements\.in does not exist\. List its packages there"):
        layer_of("bare", tmp_path)


def test_packages_that_cannot_be_installed_are_refused_with_the_reason(tmp_path):
    lock = tmp_path / "requirements.txt"
    lock.write_text("msgspec==0.22.0\n", encoding="utf-8")

    with pytest.raises(BuildError, match=r"cannot be installed for host:\n.*hash"):
        write_layer(lock, "host", tmp_path / "cache", tmp_path / "broken.zip")
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
        "words/page.py": "",
        "words/page.html": "<p>",
        "words/other.html": "",
    }
    for name, text in sources.items():
        path = tmp_path / "lambdas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write_function(tmp_path / "lambdas", "show", b"{}", tmp_path / "show.zip")

    with zipfile.ZipFile(tmp_path / "show.zip") as archive:
        assert archive.namelist() == ["settings.json", "show/handler.py", "words/page.html", "words/page.py"]
