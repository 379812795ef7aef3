"""A lake of its own for each test, on the embedded AWS or in memory, and what a function finds beside its code."""

import json
import types
from pathlib import Path

import pytest

import environment
from config.settings import load
from tests import lake as lakes
from tests.memory_aws import Effects


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> lakes.Lake:
    for name, value in lakes.environ().items():
        monkeypatch.setenv(name, value)
    return lakes.Lake()


@pytest.fixture
def memory_lake() -> lakes.Lake:
    return lakes.Lake(aws=lakes.in_memory(Effects()))


@pytest.fixture
def settings_file(tmp_path: Path) -> str:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(load("local", {}).model_dump(mode="json")), encoding="utf-8")
    return str(path)


@pytest.fixture
def deployed(lake: lakes.Lake, settings_file: str, monkeypatch: pytest.MonkeyPatch) -> lakes.Lake:
    """The lake, with functions set up for it."""
    variables = {
        "SETTINGS_FILE": settings_file,
        "RAW_BUCKET": lake.raw,
        "PROCESSED_BUCKET": lake.processed,
        "LAKE_DATABASE": lake.database,
        "POWERTOOLS_METRICS_NAMESPACE": "Sensors",
        "POWERTOOLS_SERVICE_NAME": "lake",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment.settings.cache_clear()
    return lake


@pytest.fixture
def context() -> types.SimpleNamespace:
    return types.SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:eu-central-1:000000000000:function:f",
        aws_request_id="1",
    )
