"""The functions' settings: what the build writes is what they read."""

import json

import msgspec
import pytest

from build import FUNCTION_SETTINGS
from compaction import columns
from config import fields
from config.settings import environments, load
from sensors import settings
from sensors.reading import RESERVED_NAMES


@pytest.mark.parametrize("environment", environments())
def test_every_environment_can_be_read_by_the_functions(environment, tmp_path):
    of_the_build = load(environment, {})
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(of_the_build.model_dump(mode="json", include=FUNCTION_SETTINGS)))

    of_the_functions = settings.load(path)

    assert of_the_functions.hot_table.device_key == of_the_build.hot_table.device_key
    assert of_the_functions.decoding.late_after_h == of_the_build.decoding.late_after_h
    assert list(of_the_functions.metrics) == list(of_the_build.metrics)
    assert of_the_functions.lake.partition_by == of_the_build.lake.partition_by


def test_the_decoder_is_told_of_the_metrics_that_are_not_stored_as_they_are_sent():
    told = load("local", {}).model_dump(mode="json")
    told["metrics"] = {
        "temperature": {"unit": "°F", "scale": 1.8, "offset": 32},
        "pressure": {"unit": "bar", "scale": 0.001},
        "vibration": {"unit": "mm/s"},
    }

    of_the_functions = msgspec.convert(told, settings.FunctionSettings)

    assert of_the_functions.decoding.calibrations == {
        "temperature": settings.Calibration(1.8, 32.0),
        "pressure": settings.Calibration(0.001, 0.0),
    }


def test_a_wrong_setting_is_named(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"system": "s", "suffix": "dev", "decoding": {"late_after_h": "soon"}}')

    with pytest.raises(msgspec.ValidationError, match="late_after_h"):
        settings.load(path)


def test_the_settings_refuse_the_metric_names_that_the_decoder_refuses():
    assert fields.RESERVED_NAMES == RESERVED_NAMES


def test_the_settings_refuse_the_metric_names_that_are_columns_of_the_table():
    assert fields.TABLE_COLUMNS == columns.RESERVED - RESERVED_NAMES
