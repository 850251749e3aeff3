"""The page's calls: each is one method of the album, its answer JSON or a picture."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from colorpipe.errors import ColorpipeError, UsageError, oneline
from colorpipe.web import guard, swatches
from colorpipe.web.album import Album
from colorpipe.web.items import MOST_POINTS, MOST_STROKES, check_frames
from colorpipe.web.studio import PAGE_SIDE, Kind
from colorpipe.web.work import BusyError

log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
SIDES = (64, 2048)
WORKERS, SLOW_WORKERS = 4, 2
"""Calls that are worked on at once; and of them that may take seconds, and leave the picture itself its way."""
Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The calls of one album."""

    def __init__(self, album: Album) -> None:
        self._album = album
        self._pool = ThreadPoolExecutor(WORKERS, "page")
        self._slow_pool = ThreadPoolExecutor(SLOW_WORKERS, "page-slow")

    def app(self) -> Starlette:
        """All routes, without the guard before them."""
        api = [
            ("album", "GET", self._told),
            ("state", "GET", self._state),
            ("methods", "GET", self._methods),
            ("colour", "GET", self._colour),
            ("settings", "POST", self._spread),
            ("save", "POST", self._save),
            ("job/stop", "POST", self._stop),
            ("items/{id:int}", "GET", self._item),
            ("items/{id:int}/thumbnail", "GET", self._thumbnail),
            ("items/{id:int}/picture", "GET", self._picture),
            ("items/{id:int}/strokes", "PUT", self._strokes),
            ("items/{id:int}/place", "GET", self._place),
            ("items/{id:int}/settings", "PUT", self._settings),
            ("items/{id:int}/proposals", "GET", self._proposals),
            ("items/{id:int}/proposals/{which:int}", "GET", self._proposal),
            ("items/{id:int}/colours", "PUT", self._name_colour),
            ("items/{id:int}/look-alikes", "POST", self._look_alikes),
            ("items/{id:int}/scan", "POST", self._scan),
            ("items/{id:int}/preview", "POST", self._preview),
            ("items/{id:int}/preview", "GET", self._preview_told),
            ("items/{id:int}/preview/{index:int}", "GET", self._preview_frame),
        ]
        routes = [Route(f"/api/{path}", self._guarded(do), methods=[method]) for path, method, do in api]
        routes += [Route("/", _page), Route("/static/{name}", _static)]
        return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})

    def close(self) -> None:
        """Take no more calls."""
        for pool in (self._pool, self._slow_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def _guarded(self, do: Handler) -> Handler:
        async def handler(request: Request) -> Response:
            try:
                return await do(request)
            except KeyError:
                return _error(404, "there is no such thing")
            except BusyError as error:
                return _error(409, error.message, error.hint)
            except ColorpipeError as error:
                return _error(400, error.message, error.hint)
            except Exception as error:  # a bug: the page is told in a line, the terminal in full
                log.exception("unexpected error in %s", request.url.path)
                return _error(500, f"unexpected {type(error).__name__}: {oneline(error)}")

        return handler

    async def _do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """``work`` in a thread, so that other calls are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*arguments))

    async def _do_slowly(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """``_do`` for what nobody waits for with a brush in hand."""
        return await asyncio.get_running_loop().run_in_executor(self._slow_pool, lambda: work(*arguments))

    # --- album --------------------------------------------------------------------------------------------------------

    async def _told(self, request: Request) -> Response:
        limits = {
            "body": guard.MOST_BODY,
            "strokes": MOST_STROKES,
            "points": MOST_POINTS,
            "side": list(SIDES),
            "page": PAGE_SIDE,
        }
        return JSONResponse({**await self._do(self._album.told), "limits": limits})

    async def _state(self, request: Request) -> Response:
        return JSONResponse(self._album.state())

    async def _methods(self, request: Request) -> Response:
        return JSONResponse(await self._do(self._album.catalogue.told))

    async def _colour(self, request: Request) -> Response:
        L = _number(request, "L", 0, 100)
        _, a, b = swatches.lab_of(request.query_params.get("hex", ""))
        return JSONResponse(swatches.swatch(L, (a, b)))

    async def _spread(self, request: Request) -> Response:
        asked = await _object(request, "from", "to")
        return JSONResponse(await self._do(self._album.spread, asked["from"], asked["to"]))

    async def _save(self, request: Request) -> Response:
        asked = await _object(request, "items", optional=("overwrite",))
        work = await self._do(self._album.save, asked["items"], asked.get("overwrite", False))
        return JSONResponse({"job": work.told()}, 202)

    async def _stop(self, request: Request) -> Response:
        self._album.bench.stop()
        last = self._album.bench.last
        return JSONResponse({"job": None if last is None else last.told()})

    # --- one item -----------------------------------------------------------------------------------------------------

    async def _item(self, request: Request) -> Response:
        return JSONResponse(await self._do(self._album.item_told, request.path_params["id"]))

    async def _thumbnail(self, request: Request) -> Response:
        item = self._album.item(request.path_params["id"])
        frame = check_frames(item, _frame(request))
        return _jpeg(await self._do_slowly(self._album.studio.thumbnail, item, frame))

    async def _picture(self, request: Request) -> Response:
        item = self._album.item(request.path_params["id"])
        frame = check_frames(item, _frame(request))
        kind = request.query_params.get("kind", "result")
        if kind not in ("grey", "result", "method"):
            raise UsageError(f"kind is grey, result or method, not {kind[:20]!r}")
        side = round(_number(request, "side", *SIDES, default=PAGE_SIDE))
        fine = request.query_params.get("fine", "0") == "1"
        wanted = cast(Kind, kind)
        made = await self._do(lambda: self._album.studio.picture(item, frame, wanted, side, fine=fine))
        height, width = made.size
        told = {"revision": made.revision, "width": width, "height": height, "seconds": f"{made.seconds:.3f}"}
        return _jpeg(made.data, {f"x-{name}": str(value) for name, value in told.items()})

    async def _strokes(self, request: Request) -> Response:
        asked = await _object(request, "strokes", optional=("frame",))
        number = request.path_params["id"]
        return JSONResponse(await self._do(self._album.paint, number, asked.get("frame", 0), asked["strokes"]))

    async def _place(self, request: Request) -> Response:
        item = self._album.item(request.path_params["id"])
        frame = check_frames(item, _frame(request))
        x, y = _number(request, "x", 0, 1), _number(request, "y", 0, 1)
        return JSONResponse(await self._do(self._album.studio.place, item, frame, x, y))

    async def _settings(self, request: Request) -> Response:
        return JSONResponse(await self._do(self._album.set, request.path_params["id"], await _json(request)))

    async def _proposals(self, request: Request) -> Response:
        made = await self._do(self._album.proposals, request.path_params["id"])
        return JSONResponse({"proposals": [one.told() for one in made]})

    async def _proposal(self, request: Request) -> Response:
        number, which = request.path_params["id"], request.path_params["which"]
        return _jpeg(await self._do_slowly(self._album.proposal, number, _frame(request), which))

    async def _name_colour(self, request: Request) -> Response:
        asked = await _object(request, "name", "ab")
        number = request.path_params["id"]
        return JSONResponse(await self._do(self._album.name_colour, number, asked["name"], asked["ab"]))

    async def _look_alikes(self, request: Request) -> Response:
        asked = await _object(request, "stroke", optional=("frame", "in"))
        given = request.path_params["id"], asked.get("frame", 0), asked["stroke"], asked.get("in", "item")
        return JSONResponse({"places": await self._do_slowly(self._album.look_alikes, *given)})

    # --- films --------------------------------------------------------------------------------------------------------

    async def _scan(self, request: Request) -> Response:
        work = await self._do(self._album.scan, request.path_params["id"])
        return JSONResponse({"job": work.told()}, 202)

    async def _preview(self, request: Request) -> Response:
        asked = await _object(request, "shot", optional=("most",))
        work = await self._do(self._album.preview, request.path_params["id"], asked["shot"], asked.get("most"))
        return JSONResponse({"job": work.told()}, 202)

    async def _preview_told(self, request: Request) -> Response:
        item = self._album.item(request.path_params["id"])
        return JSONResponse(self._album.films.preview_told(item))

    async def _preview_frame(self, request: Request) -> Response:
        item = self._album.item(request.path_params["id"])
        return _jpeg(self._album.films.preview_frame(item, request.path_params["index"]))


# --- what calls say ---------------------------------------------------------------------------------------------------


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body(), parse_constant=_refused)
    except (ValueError, RecursionError):
        raise UsageError("the call's body is not JSON") from None


def _refused(constant: str) -> float:
    raise ValueError(constant)


async def _object(request: Request, *required: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    told = await _json(request)
    names = (*required, *optional)
    if not isinstance(told, dict) or not set(required) <= set(told) <= set(names):
        raise UsageError(f"the call's body is an object of {', '.join(names)}")
    return told


def _frame(request: Request) -> int:
    text = request.query_params.get("frame", "0")
    if not (text.isdecimal() and text.isascii() and len(text) < 10):
        raise UsageError(f"a frame is a whole number from 0 on, not {text[:20]!r}")
    return int(text)


def _number(request: Request, name: str, least: float, most: float, default: float | None = None) -> float:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise UsageError(f"{name} is a number in {least:g}..{most:g}, not {(text or '')[:20]!r}")
    return value


# --- answers ----------------------------------------------------------------------------------------------------------


def _jpeg(data: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(data, media_type="image/jpeg", headers=headers)


def _error(status: int, error: str, hint: str = "") -> Response:
    return JSONResponse({"error": error, "hint": hint}, status)


async def _not_found(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return _error(status, "there is no such thing" if status == 404 else "no such method")


async def _page(request: Request) -> Response:
    return _file("index.html")


async def _static(request: Request) -> Response:
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    """A file of the page; the name has to be one that its folder lists, so that none leads elsewhere."""
    kind = KINDS.get(os.path.splitext(name)[1])
    known: set[str] = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(STATIC) as entries:
        known = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    if kind is None or name not in known:
        return _error(404, "there is no such file")
    return Response((STATIC / name).read_bytes(), headers={"content-type": kind})
