"""Publishing over MQTT 5 with mutual TLS: a connection a device, all of them served by one loop.

One loop, because a thread a device costs more processor time than the messages do. QoS 1: a message counts when the
broker has acknowledged it; what a lost connection leaves unanswered is sent again and counted as redelivered.
"""

import contextlib
import selectors
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from local.fleet import FleetError
from local.fleet.devices import Device, tls_context
from local.fleet.message import Message, Tally

IN_FLIGHT = 100
"""Unacknowledged messages of one connection; AWS IoT takes no more than 100."""
PACE_S = 0.01
"""Messages are sent in bursts this far apart: waking up for each would cost more than sending it."""
HOUSEKEEPING_S = 1.0
CONNECT_TIMEOUT_S = 15.0
ATTEMPTS = 8
"""Lost connections in a row, with no message acknowledged between them, after which the fleet gives up."""
LONGEST_WAIT_S = 5.0


class Connection:
    """One device's connection, and its messages without an acknowledgement."""

    def __init__(self, device: Device, topic: str, trust_anchor: Path, selector: selectors.BaseSelector) -> None:
        self.name = device.name
        self.ready = False
        self.losses = 0
        self.fault = "no answer"
        self.pending: dict[int, Message] = {}
        self.retry_at = 0.0
        self._topic = topic
        self._closing = False
        self._tally: Tally | None = None
        self._selector = selector
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=device.name, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.tls_set_context(tls_context(device, trust_anchor))
        self._client.max_inflight_messages_set(0)  # the bound is ours: paho's own would queue without one
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_socket_open = lambda _client, _data, opened: self._watch(opened)
        self._client.on_socket_close = lambda _client, _data, closed: self._unwatch(closed)

    def open(self, host: str, port: int) -> None:
        """Connect for the first time; the broker's answer comes through `read`. Raises OSError."""
        self._client.connect(host, port, keepalive=60)

    def reopen(self) -> None:
        """Connect again after a loss; what is pending is sent again once the broker answers."""
        self.retry_at = time.monotonic() + min(0.1 * 2**self.losses, LONGEST_WAIT_S)
        try:
            self._client.reconnect()
        except OSError as error:
            self.losses += 1
            self.fault = str(error)

    def publish(self, message: Message, tally: Tally) -> None:
        """Send one message, to be counted in `tally` once acknowledged."""
        self._tally = tally
        sent = self._client.publish(self._topic, message.payload, qos=1)
        self.pending[sent.mid] = message

    def read(self) -> None:
        """Handle what the broker has sent."""
        self._client.loop_read()
        # TLS may hold decrypted bytes that the selector does not see
        while (connected := self._client.socket()) is not None and cast(ssl.SSLSocket, connected).pending():
            self._client.loop_read()

    def flush(self) -> None:
        """Send what the network did not take at once."""
        if self._client.want_write():
            self._client.loop_write()

    def keep_alive(self) -> None:
        """Ping the broker when nothing was sent for long."""
        self._client.loop_misc()

    def close(self) -> None:
        """Say goodbye."""
        self._closing = True
        self.ready = False
        self._client.disconnect()
        self._client.loop_misc()
        if (connected := self._client.socket()) is not None:
            self._unwatch(connected)
            connected.close()

    def _watch(self, opened: Any) -> None:
        self._selector.register(opened, selectors.EVENT_READ, self)

    def _unwatch(self, closed: Any) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(closed)

    def _on_connect(self, _client: Client, _data: object, _flags: object, code: ReasonCode, _more: object) -> None:
        self.ready = not code.is_failure
        self.fault = str(code)
        if self.ready and self._tally is not None:
            self._tally.redelivered += len(self.pending)

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, code: ReasonCode, _more: object) -> None:
        if self.ready:
            self.fault = str(code)
        self.ready = False
        if not self._closing:
            self.losses += 1

    def _on_publish(self, _client: Client, _data: object, mid: int, code: ReasonCode, _more: object) -> None:
        self.losses = 0
        message = self.pending.pop(mid, None)
        if message is None or self._tally is None:
            return
        if code.is_failure:
            self._tally.refused += 1
        else:
            self._tally.acknowledge(message)


class Publisher:
    """The connections of a fleet. Use it as a context manager: it connects on entry and closes on exit."""

    def __init__(self, host: str, port: int, devices: Iterable[Device], topic_prefix: str, trust_anchor: Path) -> None:
        self._address = (host, port)
        self._selector = selectors.DefaultSelector()
        self._connections = {
            device.name: Connection(device, f"{topic_prefix}/{device.name}/data", trust_anchor, self._selector)
            for device in devices
        }
        self._housekeeping_at = 0.0

    def __enter__(self) -> "Publisher":
        try:
            self._connect()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def send(self, messages: Iterable[Message], tally: Tally, watch: Callable[[], None] = lambda: None) -> None:
        """Send the messages when they are due and wait until every one is acknowledged, counting in `tally`.

        `watch` is called now and then. Raises FleetError when a connection cannot be kept. However it ends, what was
        sent and never answered stands in `tally.unacknowledged`.
        """
        begin = time.monotonic()
        served_at = begin
        try:
            for message in messages:
                connection = self._connections[message.device_id]
                early_s = begin + message.due_s - time.monotonic()
                while early_s > PACE_S:
                    time.sleep(min(early_s, 0.1))
                    self._serve(0)
                    watch()
                    early_s = begin + message.due_s - time.monotonic()
                if time.monotonic() - served_at > PACE_S:
                    self._serve(0)
                    watch()
                    served_at = time.monotonic()
                while not connection.ready or len(connection.pending) >= IN_FLIGHT:
                    self._serve(0.1)
                    watch()
                connection.publish(message, tally)
            while self._unanswered():
                self._serve(0.1)
                watch()
        finally:
            tally.unacknowledged += self._unanswered()

    def _connect(self) -> None:
        for connection in self._connections.values():
            try:
                connection.open(*self._address)
            except OSError as error:
                raise FleetError(f"{connection.name} cannot connect to {self._address}: {error}") from error
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while waiting := [connection for connection in self._connections.values() if not connection.ready]:
            refused = next((connection for connection in waiting if connection.losses), None)
            if refused or time.monotonic() > deadline:
                connection = refused or waiting[0]
                raise FleetError(f"The broker does not accept {connection.name}: {connection.fault}.")
            self._serve(0.1)

    def _close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._selector.close()

    def _unanswered(self) -> int:
        return sum(len(connection.pending) for connection in self._connections.values())

    def _serve(self, timeout_s: float) -> None:
        """Handle what has arrived, waiting up to `timeout_s` for something to arrive."""
        for key, _ in self._selector.select(timeout_s):
            key.data.read()
        now = time.monotonic()
        keep_alive = now >= self._housekeeping_at
        if keep_alive:
            self._housekeeping_at = now + HOUSEKEEPING_S
        for connection in self._connections.values():
            connection.flush()
            if keep_alive:
                connection.keep_alive()
            if connection.losses and not connection.ready:
                self._revive(connection, now)

    def _revive(self, connection: Connection, now: float) -> None:
        if connection.losses >= ATTEMPTS:
            raise FleetError(f"{connection.name} lost its connection {ATTEMPTS} times in a row: {connection.fault}.")
        if now >= connection.retry_at:
            connection.reopen()
