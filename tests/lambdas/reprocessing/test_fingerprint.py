"""What tells today's rules from yesterday's, in the zips that functions are deployed as."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

import build
from config.settings import load
from reprocessing import fingerprint as module
from reprocessing.fingerprint import SOURCES, fingerprint
from sensors.settings import Decoding, FunctionSettings, Metric, Threshold
from templates.shared.modules import reachable
from templates.shared.packages import write_function

LAMBDAS = Path(build.__file__).parent / "lambdas"


def settings(**changed: object) -> FunctionSettings:
    told = msgspec.convert(load("local", {}).model_dump(mode="json"), FunctionSettings)
    return msgspec.structs.replace(told, **changed)


def test_everything_that_decodes_and_drops_duplicates_is_hashed():
    reached = {
        str(path.relative_to(LAMBDAS))
        for entry in ("compaction.intake", "compaction.arrange")
        for path in reachable(LAMBDAS, entry)
    }

    beside = {"compaction/__init__.py", "sensors/__init__.py", "compaction/errors.py"}  # words for people
    assert reached - beside == set(SOURCES)


def test_whoever_imports_the_fingerprint_has_all_that_it_hashes_in_the_zip():
    packed = {str(path.relative_to(LAMBDAS)) for path in reachable(LAMBDAS, "reprocessing.fingerprint")}

    assert packed.issuperset(SOURCES)


BY_THE_SAME_RULES = ("plan_reprocess", "decode_objects", "plan_merge", "merge_readings")
"""Functions that have to agree on the rules, and that need different modules."""


def test_the_zips_of_a_build_have_one_fingerprint(tmp_path):
    sources = shutil.copytree(LAMBDAS, tmp_path / "lambdas", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    held, answers = set(), set()
    for function in BY_THE_SAME_RULES:
        packed, folder = tmp_path / f"{function}.zip", tmp_path / function
        write_function(sources, function, msgspec.json.encode(settings()), packed)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
            held.add(tuple(name for name in archive.namelist() if not name.startswith(function)))
        answers.add(_in(folder))

    assert len(held) > 1
    assert answers == {fingerprint(settings())}


TEMPERATURE = settings().metrics["temperature"]


@pytest.mark.parametrize(
    "changed",
    [
        {"decoding": Decoding(late_after_h=25)},
        {"metrics": {"temperature": Metric("°C", (Threshold("critical", above=99.0),))}},
        {"metrics": {**settings().metrics, "temperature": msgspec.structs.replace(TEMPERATURE, scale=1.001)}},
        {"metrics": {**settings().metrics, "temperature": msgspec.structs.replace(TEMPERATURE, offset=-0.5)}},
        {"lake": msgspec.structs.replace(settings().lake, partition_by="hour")},
    ],
)
def test_other_rules_have_another_fingerprint(changed):
    assert fingerprint(settings(**changed)) != fingerprint(settings())


def test_settings_that_shape_no_reading_are_no_part_of_it():
    faster = msgspec.structs.replace(settings().reprocessing, max_rate=1)

    assert fingerprint(settings(reprocessing=faster, suffix="elsewhere")) == fingerprint(settings())


def test_other_code_has_another_fingerprint(tmp_path, monkeypatch):
    for file in SOURCES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(LAMBDAS / file, tmp_path / file)
    before = fingerprint(settings())
    (tmp_path / SOURCES[0]).write_bytes(b"# mended\n")
    monkeypatch.setattr(module, "_ROOT", tmp_path)

    assert fingerprint(settings()) != before


def _in(folder: Path) -> str:
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from pathlib import Path\n"
        "from sensors.settings import load; from reprocessing import fingerprint as f\n"
        f"assert f.__file__.startswith({str(folder)!r})\n"
        f"print(f.fingerprint(load(Path({str(folder / 'settings.json')!r}))))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    ).stdout.strip()
