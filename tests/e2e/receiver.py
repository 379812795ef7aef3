"""A receiver of webhooks on this machine, which checks signatures with the keys that it was given."""

import base64
import collections
import dataclasses
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str]]


@dataclasses.dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    def is_signed_with(self, secret: str) -> bool:
        """Whether a receiver that holds only this key (`whsec_…`) takes it for ours."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        own = "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
        return own in self.headers["webhook-signature"].split(" ")


class Receiver:
    """Answers 200, unless `answers` holds another one for the next request, or the signature is not of `only_key`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: collections.deque[Answer] = collections.deque()
        self.always: Answer | None = None
        self.only_key: str | None = None
        self.url = ""

    def about(self, text: str) -> list[Received]:
        """What was received with this text in its body."""
        return [one for one in self.received if text.encode() in one.body]

    def answer(self, request: Received) -> Answer:
        self.received.append(request)
        if self.answers:
            return self.answers.popleft()
        if self.only_key and not request.is_signed_with(self.only_key):
            return 401, {}
        return self.always or (200, {})


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback address."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more = receiver.answer(Received(self.path, headers, body))
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: the tests look at what was received."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield receiver
        server.shutdown()
        thread.join()
