"""The door of the page: who may call, and how much.

Refused are calls from other sites (no token, a foreign ``Origin`` or ``Sec-Fetch-Site``), through names that lead here
(``Host``), of forms and scripts of other kinds (``Content-Type``), with endless bodies, and endless queues.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY = 4 << 20
"""Bytes of a call's body: five thousand strokes are half of it."""
BODY_SECONDS = 15.0
"""Time for a body to arrive."""
MOST_CALLS = 64
"""Calls that wait or are worked on; more are told to come again."""
MOST_PATH = 500
"""Bytes of a path, and of what follows it: the page's own are below 100."""
TOKEN = b"x-colorpipe-token"
HEADERS = (
    (b"content-security-policy",
     b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
)  # fmt: skip


class Guard:
    """Lets calls of the own page through to ``app``, and answers all others itself.

    Args:
        token: What each call under ``/api/`` has to show.
        port: Of this server.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}
        self._calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope)
        if refusal is None and self._calls >= MOST_CALLS:
            refusal = 503, "busy: too many calls at once", "try again"
        if refusal is not None:
            await answer(send, *refusal)
            return
        self._calls += 1
        try:
            await self._let_in(scope, receive, send)
        finally:
            self._calls -= 1

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Status, reason and advice; None for a call that may come in."""
        if len(scope["raw_path"] or b"") > MOST_PATH or len(scope["query_string"]) > MOST_PATH:
            return 414, "no address of this page is as long", ""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 403, "this page answers to its own address alone", "open the address that colorpipe printed"
        if any(origin != b"http://" + hosts[0] for origin in _values(headers, b"origin")):
            return 403, "a call from another site", ""
        site = _values(headers, b"sec-fetch-site")
        api = scope["path"].startswith("/api/")
        if site not in ([b"same-origin"],) and (api or site not in ([], [b"none"])):
            return 403, "a call from another site", ""
        if scope["method"] not in ("GET", "HEAD", "PUT", "POST"):
            return 405, "no such method", ""
        if not api:
            return None if scope["method"] in ("GET", "HEAD") else (405, "no such method", "")
        shown = _values(headers, TOKEN)
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._token):
            return 403, "the token is missing or another's", "open the address that colorpipe printed"
        if scope["method"] in ("PUT", "POST"):
            kinds = [kind.partition(b";")[0].strip().lower() for kind in _values(headers, b"content-type")]
            if kinds != [b"application/json"]:
                return 415, "a body is JSON", "Content-Type: application/json"
            lengths = _values(headers, b"content-length")
            if lengths and not (lengths[0].isdigit() and int(lengths[0]) <= MOST_BODY):
                return _too_large()
        return None

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The call with its body, which is read here up to its limit."""
        body = b""
        if scope["method"] in ("PUT", "POST"):
            try:
                body = await asyncio.wait_for(_body(receive), BODY_SECONDS)
            except asyncio.TimeoutError:
                await answer(send, 408, "the call took too long to arrive", "")
                return
            except _GoneError:
                return
            except OverflowError:
                await answer(send, *_too_large())
                return
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def read() -> Message:
            return given.pop() if given else await receive()

        async def write(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        await self._app(scope, read, write)


class _GoneError(Exception):
    """The caller went away."""


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY:
            raise OverflowError
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large() -> tuple[int, str, str]:
    return 413, f"a call has at most {MOST_BODY >> 20} MB", ""


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]


async def answer(send: Send, status: int, error: str, hint: str) -> None:
    """A refusal, after which the connection ends: what else comes on it is not read."""
    body = json.dumps({"error": error, "hint": hint}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close"), *HEADERS]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
