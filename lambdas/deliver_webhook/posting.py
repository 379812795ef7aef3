"""One HTTPS POST: to an address that was checked, within a time, following nothing.

The socket is connected to the checked address itself, so that no second look-up can lead elsewhere; TLS still asks for,
and verifies, the certificate of the host's name.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from deliver_webhook.addresses import resolve

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 10.0
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class NoAnswerError(Exception):
    """The receiver was not found, not reached, or did not answer in time; the message says which."""


@dataclass(frozen=True)
class Answer:
    """What a receiver answered. Its body is left unread: nothing here depends on it."""

    status: int
    retry_after: str | None = None


class Receiver:
    """Where alerts are posted to. `tls` is the context that certificates are verified with."""

    def __init__(self, url: str, allow_private: bool, tls: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self._is_https = parts.scheme == "https"
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        self._target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._allow_private = allow_private
        self._tls = tls

    def post(self, headers: Mapping[str, str], body: bytes, within_s: float) -> Answer:
        """The receiver's answer. Raises NoAnswerError and AddressRefusedError."""
        ends_s = time.monotonic() + within_s
        try:
            addresses = resolve(self.host, self._port, self._allow_private)
        except OSError as error:
            raise NoAnswerError(f"{self.host} was not found: {error}") from error
        try:
            with _connected(addresses, self._port, within_s) as plain:
                return self._exchange(plain, headers, body, ends_s - time.monotonic())
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"{self.host} did not answer: {type(error).__name__}: {error}") from error

    def _exchange(self, plain: socket.socket, headers: Mapping[str, str], body: bytes, within_s: float) -> Answer:
        connected, connection = plain, http.client.HTTPConnection(self.host, self._port)
        if self._is_https:
            connected = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
            connection = http.client.HTTPSConnection(self.host, self._port, context=self._tls)
        with contextlib.closing(connected), contextlib.closing(connection), _cut_off(connected, within_s):
            if isinstance(connected, ssl.SSLSocket):
                connected.do_handshake()
            connection.sock = connected
            connection.request("POST", self._target, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers.get("Retry-After"))


def _connected(addresses: Sequence[str], port: int, within_s: float) -> socket.socket:
    """A socket to the first address that lets itself be connected to."""
    timeout_s = min(CONNECT_TIMEOUT_S, within_s) / len(addresses)
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return _connect(address, port, timeout_s)
    return _connect(addresses[-1], port, timeout_s)


def _connect(address: str, port: int, timeout_s: float) -> socket.socket:
    connected = socket.create_connection((address, port), timeout_s)
    connected.settimeout(READ_TIMEOUT_S)
    return connected


@contextlib.contextmanager
def _cut_off(connected: socket.socket, within_s: float) -> Iterator[None]:
    """End the connection after a while: a timeout alone begins anew with every byte of a slow answer.

    Raises TimeoutError when that has happened, whatever the answer looked like by then.
    """
    is_cut = threading.Event()

    def cut() -> None:
        is_cut.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # of the socket below TLS, which waits for nobody

    timer = threading.Timer(within_s, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if is_cut.is_set():
            raise TimeoutError("no whole answer in time")
