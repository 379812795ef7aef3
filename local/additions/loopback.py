"""Keep every listener of the emulator on this machine.

MiniStack binds its MQTT broker (and some optional services) to all interfaces. Whatever asks for a wildcard address
in this process gets the loopback address instead, so that no part of the embedded AWS can be reached from outside.
"""

import socket
from typing import Any

WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what we refuse to bind


def install() -> None:
    """Replace `socket.socket.bind` for this process. Idempotent."""
    bind = socket.socket.bind
    if getattr(bind, "loopback_only", False):
        return

    def bind_to_loopback(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host, *rest = address
            address = (WILDCARDS.get(host, host), *rest)
        bind(self, address)

    bind_to_loopback.loopback_only = True  # type: ignore[attr-defined]
    socket.socket.bind = bind_to_loopback  # type: ignore[assignment,method-assign]
