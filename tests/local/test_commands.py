"""The command line of the embedded AWS, without one that runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local import __main__, process, state


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No command may find the developer's own emulator."""
    for function in (state.running, process.stop):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    return tmp_path


@pytest.fixture
def running(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> state.Running:
    """A record of an emulator on a port where nothing listens."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    found = state.Running(1, "then", 1, 1, "eu-central-1", str(state_dir), keep=False)
    for module in (process, state):
        monkeypatch.setattr(module, "running", lambda: found)
    return found


def test_every_command_has_a_module_that_explains_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    for command in __main__.COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            __main__.main([command, "--help"])
        assert f"usage: python -m local {command}" in capsys.readouterr().out


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        __main__.main(["upp"])
    assert "'up'" in capsys.readouterr().err


@pytest.mark.parametrize("separator", [";;", ""])
def test_a_recording_that_cannot_be_asked_for_so_is_refused_with_a_sentence(
    separator: str, running: state.Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "oven.csv"
    recording.write_text("time;heat\n2020-01-01 00:00:00;1\n", encoding="utf-8")
    for options, complaint in (
        (["--separator", separator], "give one character"),
        (["--limit", "-1"], "give at least 1"),
        (["--speed", "nan"], "'nan' is not a speed"),
        (["--columns", "flow=F"], "has no column 'F'"),
    ):
        assert __main__.main(["simulate", "--replay", str(recording), *options]) == 1
        assert complaint in capsys.readouterr().err


def test_an_embedded_aws_that_does_not_answer_is_told_with_its_log(
    running: state.Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["status"], ["simulate", "--duration", "1"]):
        assert __main__.main(command) == 1
        told = capsys.readouterr().err
        assert "does not answer as it should" in told
        assert "emulator.log" in told


def test_settings_that_cannot_be_used_are_told_in_a_sentence(
    running: state.Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "Not A Suffix")
    for command in ("status", "simulate"):
        assert __main__.main([command]) == 1
        assert "suffix" in capsys.readouterr().err


@pytest.mark.parametrize("error", [LookupError, BrokenPipeError])
def test_a_fault_of_our_own_and_a_closed_pipe_are_not_told_as_the_persons(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(process, "running", broken)
    with pytest.raises(error):
        __main__.main(["env"])


def test_stopping_what_does_not_run_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["down"]) == 0
    assert capsys.readouterr().out == "The embedded AWS was not running.\n"


def test_there_are_no_exports_when_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["env"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "", "nothing that a shell would evaluate"
    assert "python -m local up" in printed.err


def test_the_status_of_nothing_is_told_to_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["status"]) == 1
    assert "not running" in capsys.readouterr().out
    assert __main__.main(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"running": False}


def test_the_exports_set_and_unset_what_an_aws_client_reads(
    state_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = state.Running(1, "then", 4567, 8884, "eu-central-1", str(state_dir), keep=False)
    monkeypatch.setattr(process, "running", lambda: running)
    assert __main__.main(["env"]) == 0
    exports = capsys.readouterr().out

    shell = f"AWS_PROFILE=mine; AWS_SESSION_TOKEN=mine; export AWS_PROFILE AWS_SESSION_TOKEN\n{exports}env"
    printed = subprocess.run(
        ["sh", "-c", shell], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )

    variables = dict(line.split("=", 1) for line in printed.stdout.splitlines())
    assert {name: value for name, value in variables.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4567",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }


def test_listing_the_commands_imports_none_of_them() -> None:
    program = "import sys; from local import __main__\ntry: __main__.main(['--help'])\nexcept SystemExit: pass\n"
    program += "print([name for name in sys.modules if name in ('boto3', 'rich', 'troposphere', 'ministack')])"
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=process.ROOT, capture_output=True, text=True, check=True
    )
    assert printed.stdout.splitlines()[-1] == "[]"
