"""What the tests of ``colorpipe paint`` share: small pictures, a clip of two shots, and calls as a page makes them."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from colorpipe.web.server import PageServer

SAMPLES = Path(__file__).parent.parent / "samples"
GREEN = [None, -40.0, 35.0]


def photo(path: Path, sample: str = "migrant-mother-1936.jpg", side: int = 256) -> Path:
    """A sample, shrunk to ``side``."""
    picture = cv2.imread(str(SAMPLES / sample), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    scale = side / max(picture.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert cv2.imwrite(str(path), small)
    return path


def film(path: Path, shots: tuple[int, ...] = (14, 12), size: tuple[int, int] = (96, 128)) -> Path:
    """A clip in which textures glide by, another in each shot."""
    height, width = size
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt, stream.options = height, width, "yuv420p", {"crf": "10"}
        for number, count in enumerate(shots):
            noise = np.random.default_rng(number).integers(0, 255, (height, width + 2 * max(shots))).astype(np.uint8)
            texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 5 + 3 * number), None, 20, 235, cv2.NORM_MINMAX)  # type: ignore[call-overload]
            grey = np.full((height // 2, width), 128, np.uint8)
            for index in range(count):
                shown = np.vstack([np.ascontiguousarray(texture[:, 2 * index : 2 * index + width]), grey])
                for packet in stream.encode(av.VideoFrame.from_ndarray(shown, format="yuv420p")):
                    container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def stroke(x: float, y: float, radius: float = 0.02, **fields: Any) -> dict[str, Any]:
    """A dab of green."""
    return {"points": [[x, y]], "radius": radius, "lab": GREEN, **fields}


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def picture(self) -> np.ndarray:
        """(H, W, 3) RGB."""
        assert self.headers["content-type"] == "image/jpeg", self.body[:200]
        return decoded(self.body)


class Caller:
    """Calls a server as its own page does, but for the headers that a test gives."""

    def __init__(self, server: PageServer) -> None:
        self.server = server

    def __call__(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        """
        Args:
            body: Sent as JSON; bytes as they are.
            headers: With _ for -; None leaves a header out.
        """
        sent: dict[str, str | None] = {
            "Host": f"127.0.0.1:{self.server.port}",
            "X-Colorpipe-Token": self.server.token,
            "Sec-Fetch-Site": "same-origin",
        }
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
            sent["Content-Length"] = str(len(data))
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read())
        finally:
            connection.close()

    def done(self) -> dict[str, Any]:
        """The work that goes on, at its end."""
        assert self.server.album.bench.wait(120)
        return dict(self("GET", "/api/state").json["job"])


def decoded(data: bytes) -> np.ndarray:
    """(H, W, 3) RGB of a picture's bytes."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def files(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
