"""A gate before a server, which lets connections through, or breaks them in a chosen way."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

_CHUNK = 65_536
_PATIENCE_SECONDS = 5.0


class Mood(Enum):
    """What happens to a connection that comes now."""

    OPEN = "let through"
    SHUT = "closed at once"
    CUT = "let through, and cut amid the request"
    MUTE = "let through, and cut when the answer comes"
    HALF = "answered by the half of an answer, and nothing more"
    STALL = "taken, and nothing more"


class Gate:
    """Listens on a loopback port and forwards to a server that may move.

    Args:
        port: returns where the server listens now.

    Attributes:
        mood: what happens to connections that come from now on.
        stalled: set when a connection waits for an answer that does not come.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        self.mood = Mood.OPEN
        self.stalled = threading.Event()
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Stop listening and break what is open."""
        self._listener.close()
        for each in tuple(self._open):
            _end(each)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                threading.Thread(target=self._serve, args=(client, self.mood), daemon=True).start()

    def _serve(self, client: socket.socket, mood: Mood) -> None:
        client.settimeout(_PATIENCE_SECONDS)
        try:
            if mood in (Mood.STALL, Mood.HALF):
                client.recv(_CHUNK)
                if mood is Mood.HALF:
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
                self.stalled.set()
                while client.recv(_CHUNK):
                    pass
            elif mood is not Mood.SHUT:
                self._forward(client, mood)
        except OSError:
            pass
        finally:
            self._open.discard(client)
            _end(client)

    def _forward(self, client: socket.socket, mood: Mood) -> None:
        with socket.create_connection(("127.0.0.1", self._port()), _PATIENCE_SECONDS) as server:
            if mood is Mood.CUT:
                server.sendall(client.recv(_CHUNK)[:200])
                return
            back = threading.Thread(target=_copy, args=(server, client, mood), daemon=True)
            back.start()
            _copy(client, server, Mood.OPEN)
            back.join(_PATIENCE_SECONDS)


def _copy(source: socket.socket, target: socket.socket, mood: Mood) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            if mood is Mood.MUTE:
                break
            target.sendall(data)
    _end(target)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
