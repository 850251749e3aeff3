"""The server of the page: on this machine's own address alone, with a token that each call has to show."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import secrets
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from colorpipe.errors import UsageError
from colorpipe.web.album import Album

HOST = "127.0.0.1"
MOST_CONNECTIONS = 512
"""Connections at once: above the page's own calls, below what a process may hold open."""


class PageServer:
    """An album's page, served.

    Args:
        port: 0 takes any that is free.

    Raises:
        UsageError: the extra is not installed, or the port is taken.
    """

    def __init__(self, album: Album, port: int = 0) -> None:
        check_installed()
        import uvicorn

        from colorpipe.web.guard import Guard
        from colorpipe.web.routes import Routes

        self.album = album
        self.token = secrets.token_urlsafe(32)
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._routes = Routes(album)
        config = uvicorn.Config(
            Guard(self._routes.app(), self.token, self.port),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="error",  # a scanner of ports is no news
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=32 << 10,
        )
        self._server = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """What a browser opens; the token is in the part that it keeps to itself."""
        return f"http://{HOST}:{self.port}/#token={self.token}"

    def serve(self) -> None:
        """Until Ctrl-C, or ``stop`` from another thread."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._routes.close()
            self.album.close()
            self._socket.close()

    def stop(self) -> None:
        """End ``serve``."""
        self._server.should_exit = True

    def __enter__(self) -> PageServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def check_installed() -> None:
    """Raises UsageError where the extra ``web`` is not installed."""
    if any(importlib.util.find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise UsageError("the page needs Starlette and uvicorn", hint="pip install 'colorpipe[web]'")


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # so that a page can be begun anew at once under its port; nobody else may listen there meanwhile
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "it is taken" if taken else str(error)
        raise UsageError(f"cannot serve on port {port}: {reason}", hint="leave --port out, or give another") from None
    return made


@contextlib.contextmanager
def serve_in_thread(
    inputs: Sequence[str | Path], output: Path | None = None, port: int = 0, **album: Any
) -> Iterator[PageServer]:
    """A server beside the program that calls it: for tests, and for programs with a window of their own.

    Raises:
        ColorpipeError: as ``Album`` and ``PageServer``.
    """
    server = PageServer(Album(inputs, output, **album), port)
    thread = threading.Thread(target=server.serve, name="server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(30)
