"""The edge of the functions: the settings that they find in their environment and their zip."""

import os
from functools import cache
from pathlib import Path

from sensors.settings import FunctionSettings, load


@cache
def settings() -> FunctionSettings:
    """The settings of the environment: `settings.json` at the root of the zip, or the file that SETTINGS_FILE names."""
    return load(Path(os.environ.get("SETTINGS_FILE") or Path(__file__).parent / "settings.json"))
