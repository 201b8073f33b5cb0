"""A proxy that loses answers: what was sent has arrived, and nobody is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class CuttingProxy:
    """Forwards connections on loopback to a port, and cuts one of them when it is told to.

    Attributes:
        target: The port that is forwarded to.
        cut_at: The connection that sends these bytes next is cut; empty: none.
        deliver: The bytes still arrive, and only the answer is lost.
        cuts: How many connections were cut.
    """

    target: int
    cut_at: bytes = b""
    deliver: bool = True
    cuts: int = 0
    _listener: socket.socket = field(default_factory=socket.socket)

    def __post_init__(self) -> None:
        """Listen on a free port."""
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for work in (self._requests, self._answers):
                threading.Thread(target=work, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if self.cut_at and self.cut_at in data:
                    self.cut_at = b""
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)  # whoever waits for the answer gets none
                    if self.deliver:
                        server.sendall(data)
                        server.recv(1 << 16)
                    break
                server.sendall(data)
        for side in (client, server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := server.recv(1 << 16):
                client.sendall(data)
