"""A DynamoDB table, a bucket and a topic behind one HTTP port, which fail as they are told.

It speaks just what the function sends, and refuses what the real services refuse: more than 25 items, two of one key,
an unsigned request.
"""

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

Items = list[dict[str, Any]]
Answer = tuple[int, bytes]

OK = (200, b'{"UnprocessedItems":{}}')


def dynamodb_error(code: str, status: int = 400) -> Answer:
    return status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": f"{code}!"}).encode()


def answered(answer: Answer) -> Callable[[Items], Answer]:
    """A fault that answers one request whatever it holds, and writes nothing."""
    return lambda _puts: answer


@dataclass
class FakeAws:
    """State and faults; `table_faults` are used up one a request, `always` looks at every one of them."""

    device_key: str = "device_id"
    time_key: str = "timestamp"
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    table_faults: deque[Callable[[Items], Answer | None]] = field(default_factory=deque)
    always: Callable[[Items], Answer | None] = lambda _puts: None
    bucket_fault: Answer | None = None
    topic_faults: deque[str] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, request: dict[str, Any], headers: dict[str, str]) -> Answer:
        assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test-key/")
        assert headers["x-amz-security-token"] == "test-token"
        ((table, entries),) = request["RequestItems"].items()
        assert table == "hot"
        puts = [entry["PutRequest"]["Item"] for entry in entries]
        keys = [self.key(item) for item in puts]
        if len(puts) > 25 or len(set(keys)) < len(keys):
            return dynamodb_error("ValidationException")
        fault = self.table_faults.popleft()(puts) if self.table_faults else self.always(puts)
        if fault is not None:
            return fault
        self.items.update(zip(keys, puts, strict=True))
        return OK

    def leave(self, chosen: Callable[[dict[str, Any]], bool]) -> Callable[[Items], Answer]:
        """A fault: write a request but for the chosen items, which come back unprocessed."""

        def fault(puts: Items) -> Answer:
            left = [item for item in puts if chosen(item)]
            self.items.update({self.key(item): item for item in puts if not chosen(item)})
            return 200, json.dumps(
                {"UnprocessedItems": {"hot": [{"PutRequest": {"Item": one}} for one in left]}}
            ).encode()

        return fault

    def key(self, item: dict[str, Any]) -> tuple[str, str]:
        return item[self.device_key]["S"], next(iter(item[self.time_key].values()))

    def publish(self, form: dict[str, list[str]]) -> Answer:
        prefix = "PublishBatchRequestEntries.member."
        count = sum(name.startswith(prefix) and name.endswith(".Id") for name in form)
        assert 1 <= count <= 10
        failed = ""
        for number in range(1, count + 1):
            entry = f"{prefix}{number}."
            if self.topic_faults:
                failed += (
                    f"<member><Id>{form[entry + 'Id'][0]}</Id><Code>{self.topic_faults.popleft()}</Code>"
                    "<SenderFault>false</SenderFault></member>"
                )
                continue
            attributes = entry + "MessageAttributes.entry."
            named = {
                form[f"{attributes}{at}.Name"][0]: form[f"{attributes}{at}.Value.StringValue"][0] for at in (1, 2, 3)
            }
            self.messages.append({"message": json.loads(form[entry + "Message"][0]), "attributes": named})
        return 200, (
            '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful/>'
            f"<Failed>{failed}</Failed></PublishBatchResult></PublishBatchResponse>"
        ).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    aws: FakeAws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "")
        with self.aws.lock:
            if target == "DynamoDB_20120810.BatchWriteItem":
                self.aws.requests.append("dynamodb")
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._answer(*self.aws.write(json.loads(body), headers))
            else:
                self.aws.requests.append("sns")
                self._answer(*self.aws.publish(parse_qs(body.decode())))

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.aws.lock:
            self.aws.requests.append("s3")
            if self.aws.bucket_fault is not None:
                self._answer(*self.aws.bucket_fault)
                return
            self.aws.objects[unquote(self.path).removeprefix("/processed/")] = body
            self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        if status == 0:  # as a network does: no answer at all
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Tests are quiet."""


class Server(ThreadingHTTPServer):
    """Serves one FakeAws on a free port of this machine."""

    daemon_threads = True

    def __init__(self, aws: FakeAws) -> None:
        super().__init__(("127.0.0.1", 0), type("Handler", (_Handler,), {"aws": aws}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"
