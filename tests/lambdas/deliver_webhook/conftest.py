"""A receiver on the loopback address, over HTTP and over TLS with a certificate of its own authority."""

import contextlib
import datetime
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "hooks.example.com"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Raw:
    """A server that keeps what it is sent and answers with bytes; each of `answers` is for one connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.drip_s = 0.0
        self.ended = threading.Event()
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):  # the client may go away, which some tests are about
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as client:
            self.requests.append(_request(client))
            for byte in self.answers.pop(0) if self.answers else OK:
                client.sendall(bytes([byte]))
                if self.drip_s and self.ended.wait(self.drip_s):
                    return

    def close(self) -> None:
        self.ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def _request(connection: socket.socket) -> bytes:
    """A whole request, with the body that its head announces; what there is of one when the client goes away."""
    with connection.makefile("rb") as stream:
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := stream.readline()):
            head += line
        length = re.search(rb"Content-Length: (\d+)", head)
        return head + stream.read(int(length[1]) if length else 0)


@pytest.fixture
def raw() -> Iterator[Raw]:
    server = Raw()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `HOST` that trusts itself, with its key in the same file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string(f"CN={HOST}")
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "host.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def raw_tls(certificate: Path) -> Iterator[Raw]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = Raw(context)
    yield server
    server.close()


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    """What a client verifies with that trusts the receiver's certificate."""
    return ssl.create_default_context(cafile=str(certificate))
