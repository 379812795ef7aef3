"""A TCP relay to the broker that can stop passing on its answers, and lose the connection."""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class DeafRelay:
    """Passes bytes both ways until it is told to lose the broker's answers."""

    host = "127.0.0.1"

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._deaf = threading.Event()
        self._open: list[socket.socket] = []

    def __enter__(self) -> "DeafRelay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_listening()
        self._cut()

    def deaf_after(self, count: int, items: Iterable[Item]) -> Iterator[Item]:
        """Lose all answers while the first `count` items pass, then the connection."""
        self._deaf.set()
        for number, item in enumerate(items):
            if number == count:
                self._cut()
                self._deaf.clear()
            yield item

    def closed_after(self, count: int, items: Iterable[Item]) -> Iterator[Item]:
        """Like `deaf_after`, and nothing can connect any more."""
        for number, item in enumerate(self.deaf_after(count, items)):
            if number == count:
                self._stop_listening()
            yield item

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):  # not connected, says macOS
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _cut(self) -> None:
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                device, _ = self._listener.accept()
                broker = socket.create_connection((self.host, self._broker_port))
                self._open += [device, broker]
                for source, target, answers in ((device, broker, False), (broker, device, True)):
                    threading.Thread(target=self._pass_on, args=(source, target, answers), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65536):
                if not (answers and self._deaf.is_set()):
                    target.sendall(data)
