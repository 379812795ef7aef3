"""The edge of the three functions: what they read from their environment and their zip."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sensors.settings import FunctionSettings, load


@cache
def settings(environ: Mapping[str, str] = os.environ) -> FunctionSettings:
    """The settings of the environment: `settings.json` at the root of the zip, or the file that SETTINGS_FILE names."""
    return load(Path(environ.get("SETTINGS_FILE") or Path(__file__).parents[1] / "settings.json"))
