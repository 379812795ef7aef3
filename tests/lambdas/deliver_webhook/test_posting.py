"""One POST: to the address that was checked, under the name that was meant, and never for longer than allowed."""

import socket
import ssl
import time
import types
from collections.abc import Callable

import pytest

from deliver_webhook import addresses, posting
from deliver_webhook.addresses import AddressRefusedError
from deliver_webhook.posting import NoAnswerError, Receiver
from tests.lambdas.deliver_webhook.conftest import HOST, Raw

Looked = list[str]


def receiver(url: str, *, tls: ssl.SSLContext | None = None, allow_private: bool = True) -> Receiver:
    return Receiver(url, allow_private, tls or ssl.create_default_context())


def found_at(*found: str) -> Callable[..., list[tuple[object, ...]]]:
    return lambda _host, port, **_: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def test_the_body_is_posted_as_it_is_to_path_and_query(raw: Raw) -> None:
    answer = receiver(f"http://127.0.0.1:{raw.port}/alerts?plant=1&line=2").post(
        {"webhook-id": "m1", "content-type": "application/json"}, b'{"a": 1}', 5
    )

    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    assert answer.status == 200
    assert head.startswith(b"POST /alerts?plant=1&line=2 HTTP/1.1\r\n")
    assert f"\r\nHost: 127.0.0.1:{raw.port}\r\n".encode() in head
    assert b"\r\nwebhook-id: m1\r\n" in head
    assert body == b'{"a": 1}'


def test_an_address_without_a_path_is_posted_to_the_root(raw: Raw) -> None:
    receiver(f"http://127.0.0.1:{raw.port}?plant=1").post({}, b"{}", 5)

    assert raw.requests[0].startswith(b"POST /?plant=1 HTTP/1.1\r\n")


def test_the_pause_that_the_receiver_asks_for_is_handed_on(raw: Raw) -> None:
    raw.answers.append(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nendless ")

    answer = receiver(f"http://127.0.0.1:{raw.port}/").post({}, b"{}", 5)

    assert (answer.status, answer.retry_after) == (503, "7")


def test_the_host_is_looked_up_once_and_connected_to_where_it_was_found(
    raw_tls: Raw, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another address a moment later (DNS rebinding) leads nowhere else."""
    looked: Looked = []

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        looked.append(host)
        found = "127.0.0.1" if len(looked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found, port))]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", only_for(HOST, look_up))
    answer = receiver(f"https://{HOST}:{raw_tls.port}/", tls=trusting).post({}, b"{}", 5)

    assert answer.status == 200
    assert looked == [HOST]
    assert f"\r\nHost: {HOST}:{raw_tls.port}\r\n".encode() in raw_tls.requests[0]


def only_for(host: str, look_up: Callable[..., object]) -> Callable[..., object]:
    """The look-up of one host replaced; connecting to an address asks the same function, which then tells no lie."""
    real = socket.getaddrinfo
    return lambda name, *more, **options: (look_up if name == host else real)(name, *more, **options)


def test_a_certificate_of_another_host_is_not_accepted(
    raw_tls: Raw, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses.socket, "getaddrinfo", only_for("other.example.com", found_at("127.0.0.1")))

    with pytest.raises(NoAnswerError, match=r"CERTIFICATE_VERIFY_FAILED.*other\.example\.com"):
        receiver(f"https://other.example.com:{raw_tls.port}/", tls=trusting).post({}, b"{}", 5)

    assert raw_tls.requests == []


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(raw_tls: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "getaddrinfo", only_for(HOST, found_at("127.0.0.1")))

    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
        receiver(f"https://{HOST}:{raw_tls.port}/").post({}, b"{}", 5)

    assert raw_tls.requests == []


def test_a_refused_address_is_not_connected_to(raw: Raw) -> None:
    with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.1"):
        receiver(f"http://127.0.0.1:{raw.port}/", allow_private=False).post({}, b"{}", 5)

    assert raw.requests == []


def test_a_host_that_is_not_found_may_be_found_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)
    with pytest.raises(NoAnswerError, match=r"hooks\.example\.com was not found: .*Name or service not known"):
        receiver(f"https://{HOST}/").post({}, b"{}", 5)


def test_the_next_address_is_tried_when_the_first_does_not_answer(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "getaddrinfo", only_for(HOST, found_at("127.0.0.2", "127.0.0.1")))

    assert receiver(f"http://{HOST}:{raw.port}/").post({}, b"{}", 5).status == 200


def test_a_receiver_that_is_not_there_may_be_there_later(raw: Raw) -> None:
    with pytest.raises(NoAnswerError, match=r"127\.0\.0\.2 did not answer: ConnectionRefusedError"):
        receiver(f"http://127.0.0.2:{raw.port}/").post({}, b"{}", 5)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
def test_an_answer_that_is_none_may_be_one_later(raw: Raw, answer: bytes) -> None:
    raw.answers.append(answer)

    with pytest.raises(NoAnswerError, match="did not answer"):
        receiver(f"http://127.0.0.1:{raw.port}/").post({}, b"{}", 5)


def test_a_receiver_that_says_nothing_is_not_waited_for(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "READ_TIMEOUT_S", 0.05)
    raw.drip_s = 60

    with pytest.raises(NoAnswerError, match="did not answer: TimeoutError"):
        receiver(f"http://127.0.0.1:{raw.port}/").post({}, b"{}", 5)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_drips_its_answer_is_cut_off(
    raw: Raw, raw_tls: Raw, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Each byte comes in time for a read, and all of them never."""
    monkeypatch.setattr(addresses.socket, "getaddrinfo", only_for(HOST, found_at("127.0.0.1")))
    server = raw if scheme == "http" else raw_tls
    server.answers.append(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000)
    server.drip_s = 0.02
    started_s = time.monotonic()

    with pytest.raises(NoAnswerError, match="no whole answer in time"):
        receiver(f"{scheme}://{HOST}:{server.port}/", tls=trusting).post({}, b"{}", 0.3)

    assert time.monotonic() - started_s < 10, "200 s of dripping were waited for"


def test_the_time_that_looking_up_and_connecting_took_is_not_given_again(
    raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that never comes, after a minute of looking up."""
    clock = iter([100.0, 160.0])
    monkeypatch.setattr(posting, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    raw.drip_s = 60

    with pytest.raises(NoAnswerError, match="no whole answer in time"):
        receiver(f"http://127.0.0.1:{raw.port}/").post({}, b"{}", 60)


def test_the_body_of_an_answer_is_not_read(raw: Raw) -> None:
    raw.answers.append(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")

    assert receiver(f"http://127.0.0.1:{raw.port}/").post({}, b"{}", 5).status == 200
