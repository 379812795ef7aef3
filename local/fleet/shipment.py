"""A fleet's whole trip: certificates for every device, then every message, with progress for people."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from rich.progress import Progress

from local.fleet.devices import Registry, Site
from local.fleet.message import Message, Tally
from local.fleet.mqtt import Publisher
from local.state import Running


@dataclasses.dataclass(frozen=True)
class Shipment:
    """What is to be sent: by which devices, and in which order."""

    devices: list[str]
    messages: Iterator[Message]
    total: int | None
    """None when it is not known before the files are read."""


@dataclasses.dataclass(frozen=True)
class Delivery:
    """What was sent, and how long the sending took."""

    tally: Tally
    seconds: float
    interrupted: bool
    """Whether Ctrl-C ended it."""


def ship(running: Running, site: Site, shipment: Shipment, progress: Progress) -> Delivery:
    """Give every device its certificate, then send everything to its topic. Raises FleetError.

    The site is one of the region of `running`; each has certificates of its own.
    """
    folder = Path(running.state_dir) / "devices" / running.region / site.thing_type
    registry = Registry(running, folder, site)
    named = registry.provision(shipment.devices)
    devices = list(progress.track(named, len(shipment.devices), description="certificates"))
    anchor = registry.trust_anchor()
    task = progress.add_task("messages", total=shipment.total)
    tally, begin, interrupted = Tally(), time.monotonic(), False
    try:
        with Publisher(running.mqtt_host, running.mqtt_port, devices, site.topic_prefix, anchor) as publisher:
            begin = time.monotonic()
            publisher.send(shipment.messages, tally, lambda: progress.update(task, completed=tally.published))
    except KeyboardInterrupt:
        interrupted = True
    progress.update(task, completed=tally.published, total=tally.published)
    return Delivery(tally, time.monotonic() - begin, interrupted)
