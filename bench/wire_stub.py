"""The network, replaced below the HTTP client: requests are built, signed and sent in full, and go nowhere."""

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from unittest import mock

from urllib3.connection import HTTPConnection

ENDPOINT: Final = "http://127.0.0.1:9"  # nothing is ever sent there

_SNS = "<PublishBatchResponse xmlns='http://sns.amazonaws.com/doc/2010-03-31/'><PublishBatchResult/></PublishBatchResponse>"
ANSWERS: Final = {
    b"DynamoDB_20120810.BatchWriteItem": b'{"UnprocessedItems":{}}',
    b"DynamoDB_20120810.PutItem": b"{}",
    b"Action=Publish": _SNS.encode(),
    b"PUT /": b"",
}
"""What a request must hold, and the body of its answer."""


class Wire:
    """Counts the requests that were sent."""

    def __init__(self) -> None:
        self.requests = 0


class _Socket:
    """The part of a socket that http.client, urllib3 and botocore use; it answers each request once it is complete."""

    def __init__(self, wire: Wire, quiet: socket.socket, readable: socket.socket) -> None:
        self._wire = wire
        self._quiet = quiet
        self._readable = readable
        self._sent = b""

    def sendall(self, data: bytes) -> None:
        self._sent += data

    def makefile(self, *_arguments: object) -> io.BytesIO:
        if self._is_asked_to_continue():
            self._sent = self._sent.replace(b"Expect", b"Expected")
            return io.BytesIO(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = next(body for marker, body in ANSWERS.items() if marker in self._sent)
        self._sent = b""
        self._wire.requests += 1
        return io.BytesIO(b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: 1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def fileno(self) -> int:
        return (self._readable if self._is_asked_to_continue() else self._quiet).fileno()

    def _is_asked_to_continue(self) -> bool:
        """S3 clients send the headers of a PUT ahead and wait for leave to send the body."""
        return self._sent.endswith(b"\r\n\r\n") and b"Expect: 100-continue" in self._sent

    def settimeout(self, _timeout_s: float | None) -> None:
        """Nothing here can take long."""

    def close(self) -> None:
        """Nothing to give back; all connections share two real sockets."""


@contextmanager
def stubbed() -> Iterator[Wire]:
    """Every HTTP connection opened in here is to the stub."""
    wire = Wire()
    quiet, readable = socket.socketpair()
    quiet.send(b"-")  # so that one end can be read from for ever, and the other, as an idle connection, never

    def connect(connection: HTTPConnection) -> None:
        connection.sock = _Socket(wire, quiet, readable)

    with quiet, readable, mock.patch.object(HTTPConnection, "connect", connect):
        yield wire
