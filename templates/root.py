"""Root: nests the stacks in the order in which they depend on each other, and repeats what they offer."""

from collections.abc import Callable, Mapping

from troposphere import Template

from config.settings import Settings
from templates import (
    audit,
    batch,
    devices,
    ingest,
    layers,
    monitoring,
    network,
    notifications,
    queries,
    realtime,
    reprocessing,
    security,
    storage,
)
from templates.shared.limits import BuildError
from templates.shared.wiring import nest, offers

STACKS = {
    "security": security.build,
    "layers": layers.build,
    "network": network.build,
    "storage": storage.build,
    "audit": audit.build,
    "ingest": ingest.build,
    "devices": devices.build,
    "realtime": realtime.build,
    "notifications": notifications.build,
    "batch": batch.build,
    "reprocessing": reprocessing.build,
    "queries": queries.build,
    "monitoring": monitoring.build,
}

OPTIONAL: dict[str, Callable[[Settings], bool]] = {
    "network": lambda settings: settings.network.enabled,
    "audit": lambda settings: settings.audit.enabled,
    "notifications": notifications.is_wanted,
}
"""Stacks that only some systems have."""


def stacks(settings: Settings) -> dict[str, Template]:
    """Every template of a system by name, the root last."""
    wanted = (name for name in STACKS if name not in OPTIONAL or OPTIONAL[name](settings))
    nested = {name: STACKS[name](settings) for name in wanted}
    return {**nested, "root": build(settings, nested)}


def build(settings: Settings, nested: Mapping[str, Template]) -> Template:
    """The root over the nested stacks, given in order."""
    root = Template(f"Sensor data of {settings.stack_name}")
    offered: dict[str, object] = {}
    for name, template in nested.items():
        offered = nest(root, name, template, offered)
    offers(root, **offered, **_aliases(settings, offered))
    return root


def _aliases(settings: Settings, offered: Mapping[str, object]) -> dict[str, object]:
    """The same values under the names that the settings ask for."""
    for alias, name in settings.outputs.items():
        if name not in offered:
            raise BuildError(f"outputs.{alias} repeats '{name}', but the stacks offer only {sorted(offered)}.")
        if alias in offered:
            raise BuildError(f"outputs.{alias} is already an output of the stacks. Choose another name.")
    return {alias: offered[name] for alias, name in settings.outputs.items()}
