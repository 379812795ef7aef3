"""What a person is told when a command cannot go on: a sentence in place of a traceback."""

from urllib.error import URLError

from botocore.exceptions import BotoCoreError, ClientError

from config.settings import SettingsError
from local.demo.settling import UnsettledError
from local.demo.tools import ToolError
from local.deploy import DeployError
from local.fleet import FleetError
from local.process import StartError
from local.state import STATE_DIR
from templates.shared.limits import BuildError

TOLD = (StartError, SettingsError, BuildError, DeployError, FleetError, UnsettledError, ToolError)
"""Errors whose message says what, where and what to do."""
NO_ANSWER = (BotoCoreError, ClientError, URLError)


def sentence(error: Exception) -> str | None:
    """What to say about an error that a person can do something about; None for a fault of our own."""
    if isinstance(error, TOLD):
        return str(error)
    if isinstance(error, NO_ANSWER):
        return (
            f"The embedded AWS does not answer as it should: {error}. "
            f"Its log is {STATE_DIR / 'emulator.log'}; `make down` stops it, `make up` starts it afresh."
        )
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):  # an unreadable file, a full disk
        return str(error)
    return None
