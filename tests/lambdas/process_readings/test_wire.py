"""The wire where no HTTP answer comes back at all."""

import socket
import threading
from collections.abc import Iterator

import pytest
from botocore.credentials import Credentials

from process_readings.wire import PassingError, Wire


@pytest.fixture
def hangs_up() -> Iterator[int]:
    """A port that reads the first bytes of each connection and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_ends_before_an_answer_may_be_tried_again(hangs_up: int, scheme: str) -> None:
    wire = Wire("hot", f"{scheme}://127.0.0.1:{hangs_up}", "eu-central-1", Credentials("key", "secret"), 1)

    with pytest.raises(PassingError):
        wire.put(["{}"])
