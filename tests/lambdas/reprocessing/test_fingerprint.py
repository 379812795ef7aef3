"""What tells today's rules from yesterday's, in the zips that functions are deployed as."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import build
from config.settings import load
from reprocessing import fingerprint as module
from reprocessing.fingerprint import SOURCES, fingerprint
from sensors.settings import FunctionSettings, Limits, Metric, Threshold
from templates.shared.modules import reachable

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


def test_two_folders_with_different_modules_beside_give_the_same(tmp_path):
    told = msgspec.json.encode(settings())
    answers = set()
    for name, extra in (("one", []), ("two", ["compaction/writing.py", "sensors/rules.py"])):
        files = [str(path.relative_to(LAMBDAS)) for path in reachable(LAMBDAS, "reprocessing.fingerprint")]
        for file in files + extra:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(LAMBDAS / file, tmp_path / name / file)
        (tmp_path / name / "settings.json").write_bytes(told)
        answers.add(_in(tmp_path / name))

    assert answers == {fingerprint(settings())}


@pytest.mark.parametrize(
    "changed",
    [
        {"decoding": Limits(late_after_h=25)},
        {"metrics": {"temperature": Metric("°C", (Threshold("critical", above=99.0),))}},
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
