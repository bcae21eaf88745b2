"""A line to a database server that can be cut and mended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Line:
    """Forwards connections on a port of its own to a server, until it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self.server = host, port
        self.port = 0
        self._open: list[socket.socket] = []
        self.mend()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End all that goes through, and take no more."""
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self.server)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=forward, args=(one, other), daemon=True).start()


def forward(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while found := one.recv(65536):
            other.sendall(found)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)
