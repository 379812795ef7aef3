"""The settings with which tests of whole systems switch everything on."""

from collections.abc import Iterator
from typing import Any

from config.fields import Model
from config.settings import load
from tests.changed import everything_on

LEFT_OFF = {"alerts.webhook.allow_private_addresses"}
"""It makes the webhook allow more, and nothing more exist."""


def switched_off(section: Model, path: str = "") -> Iterator[str]:
    """Settings without a value, that are false, empty or none; those of a section that is there, one by one."""
    for name in type(section).model_fields:
        value: Any = getattr(section, name)
        if isinstance(value, Model):
            yield from switched_off(value, f"{path}{name}.")
        elif value in (None, False, (), {}, "none"):
            yield f"{path}{name}"


def test_no_setting_is_off_when_everything_is_on():
    assert set(switched_off(everything_on())) == LEFT_OFF


def test_what_an_environment_leaves_off_is_seen():
    assert {"alerts.webhook", "credentials", "network.enabled"} < set(switched_off(load("dev", {})))
