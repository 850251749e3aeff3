"""The page of ``colorpipe paint`` in a real Chromium: a person's pointer, fingers and keys, and what is seen."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests import browser
from tests.browser import PATIENCE, Browser
from tests.paint_page import SAMPLES

Place = tuple[float, float]
Rgb = NDArray[np.int16]

needs_browser = pytest.mark.skipif(
    browser.find() is None, reason=f"no browser on this machine: install one of {', '.join(browser.NAMES)}"
)
KEYS = {
    "Enter": 13, "Tab": 9, "Escape": 27, "Delete": 46, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36,
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Shift": 16, "F6": 117, " ": 32,
}  # fmt: skip
CTRL, SHIFT = 2, 8
WHERE = """(() => {
  const canvas = document.querySelector('#picture');
  const {width, height} = canvas;
  const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  const opaque = (x, y) => data[4 * (y * width + x) + 3] > 0;
  const [middle, centre] = [height >> 1, width >> 1];
  let [left, right, top, bottom] = [0, width - 1, 0, height - 1];
  while (left < width && !opaque(left, middle)) left += 1;
  while (right > left && !opaque(right, middle)) right -= 1;
  while (top < height && !opaque(centre, top)) top += 1;
  while (bottom > top && !opaque(centre, bottom)) bottom -= 1;
  return [left, top, right + 1, bottom + 1];
})()"""
"""Where the picture lies on its canvas, in the canvas's pixels."""


def film_of_two_shots(target: Path, each: int = 12, size: tuple[int, int] = (320, 180)) -> Path:
    """The first frames of the sample film, then a move over a street; 12 frames a second."""
    with av.open(str(SAMPLES / "chaplin.mp4")) as film:
        frames = [frame.to_ndarray(format="bgr24") for frame, _ in zip(film.decode(video=0), range(each), strict=False)]
    street = cv2.imread(str(SAMPLES / "saratoga-springs-1900s.jpg"))
    assert street is not None
    frames += [street[40:445, 4 * step : 720 + 4 * step] for step in range(each)]
    with av.open(str(target), "w") as out:
        stream: Any = out.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for picture in frames:
            whole = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(whole, "bgr24")))
        out.mux(stream.encode())
    return target


@dataclass
class Tab:
    """One tab on the page; ``problems`` of the console are those of this tab."""

    window: Browser

    def open(self, address: str, width: int = 1280, height: int = 800, touch: bool = False) -> None:
        """A fresh tab of a given size, once the first picture is coloured."""
        window = self.window
        window._session = ""
        old = window.call("Target.getTargets")["targetInfos"]
        target = window.call("Target.createTarget", url="about:blank")["targetId"]
        for other in old:  # which would go on asking for a server that may have ended
            if other["type"] == "page":
                window.call("Target.closeTarget", targetId=other["targetId"])
        window._session = window.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        window.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            window.call(f"{domain}.enable")
        window.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch)
        window.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        window.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && document.querySelector('#picture') !== null")

    def js(self, expression: str) -> Any:
        return self.window.js(expression)

    def until(self, expression: str, what: str = "") -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.js(f"Boolean({expression})"):
            banner = self.js("document.querySelector('#banner')?.innerText ?? ''")
            assert time.monotonic() < end, f"{what or expression}: not in time; the page says {banner!r}"
            time.sleep(0.03)

    def settled(self) -> None:
        """The newest strokes and settings are on the canvas."""
        time.sleep(0.05)
        self.until(
            "document.querySelector('#stage').dataset.settled === 'true' && document.querySelector('#toast') !== null"
        )
        time.sleep(0.1)  # the canvas is drawn at the screen's next frame

    def show(self, name: str, settled: bool = True) -> None:
        """Open another picture of the album by its thumbnail."""
        self.until(f"[...document.querySelectorAll('.thumb')].some((one) => one.innerText.includes('{name}'))")
        self.js(f"[...document.querySelectorAll('.thumb')].find((one) => one.innerText.includes('{name}')).click()")
        if settled:
            self.until(f"document.querySelector('#file-name').innerText === '{name}'")
            self.settled()

    # what is seen

    def text(self, selector: str) -> str:
        return str(self.js(f"document.querySelector('{selector}').innerText"))

    def count(self, selector: str) -> int:
        return int(self.js(f"document.querySelectorAll('{selector}').length"))

    def picture(self) -> Rgb:
        """The picture as the canvas shows it, (height, width, 3)."""
        left, top, right, bottom = self.js(WHERE)
        width, height = right - left, bottom - top
        data = self.js(
            f"(() => {{ const data = document.querySelector('#picture').getContext('2d')"
            f".getImageData({left}, {top}, {width}, {height}).data; let text = '';"
            " for (let at = 0; at < data.length; at += 4096)"
            " text += String.fromCharCode(...data.subarray(at, at + 4096)); return btoa(text); })()"
        )
        rgba = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
        return rgba[..., :3].astype(np.int16)

    def screenshot(self) -> NDArray[np.uint8]:
        """The window as it is seen, in OpenCV's order of colours."""
        data = base64.b64decode(self.window.call("Page.captureScreenshot")["data"])
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        return picture.astype(np.uint8)

    @property
    def problems(self) -> list[str]:
        return self.window.problems

    # a person's hands

    def point_of(self, place: Place) -> Place:
        """Where a place of the picture is in the window."""
        left, top, right, bottom = self.js(WHERE)
        ratio, x, y = self.js(
            "(() => { const box = document.querySelector('#picture').getBoundingClientRect();"
            " return [devicePixelRatio, box.left, box.top]; })()"
        )
        return x + (left + (right - left) * place[0]) / ratio, y + (top + (bottom - top) * place[1]) / ratio

    def _mouse(self, kind: str, at: Place, pressed: int = 1) -> None:
        self.window.call(
            "Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", buttons=pressed,
            clickCount=0 if kind == "mouseMoved" else 1,
        )  # fmt: skip

    def drag(self, points: list[Place]) -> None:
        """Press at the first point of the window, move, let go at the last."""
        self._mouse("mouseMoved", points[0], 0)
        self._mouse("mousePressed", points[0])
        for before, after in itertools.pairwise(points):
            for step in (1, 2, 3):
                share = step / 3
                at = before[0] + (after[0] - before[0]) * share, before[1] + (after[1] - before[1]) * share
                self._mouse("mouseMoved", at)
        self._mouse("mouseReleased", points[-1], 0)

    def stroke(self, *places: Place) -> None:
        """Paint through places of the picture, and wait for the result."""
        self.drag([self.point_of(place) for place in places])
        self.settled()

    def click(self, selector: str, number: int = 0) -> None:
        """A press of the mouse on an element."""
        one = f"document.querySelectorAll({selector!r})[{number}]"
        self.js(f"{one}.scrollIntoView({{block: 'nearest'}})")
        box = self.js(f"{one}.getBoundingClientRect().toJSON()")
        self.drag([(box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)])

    def touch(self, *fingers: list[Place]) -> None:
        """One path for each finger, all at once."""
        for step in range(max(map(len, fingers))):
            points = [{"x": path[step][0], "y": path[step][1], "id": finger} for finger, path in enumerate(fingers)]
            kind = "touchStart" if step == 0 else "touchMove"
            self.window.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.window.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, *keys: str, hold: int = 0) -> None:
        """Keys one after the other, with Ctrl (2) or Shift (8) held."""
        for key in keys:
            code = KEYS.get(key, ord(key[0].upper()))
            named = key in KEYS and key != " "
            about = {"key": key, "windowsVirtualKeyCode": code, "modifiers": hold, "code": key if named else ""}
            text = {} if named or hold & CTRL else {"text": key}
            if key == "Enter":
                text = {"text": "\r"}
            self.window.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **about, **text)
            self.window.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def press(self, key: str, up: bool = False) -> None:
        """Hold a key down, or let it go."""
        kind, hold = ("keyUp", 0) if up else ("rawKeyDown", SHIFT)
        self.window.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=KEYS[key], modifiers=hold)

    def type(self, selector: str, text: str) -> None:
        """Write into a field, as a person does: select what is there, type, Enter."""
        self.js(f"(() => {{ const field = document.querySelector({selector!r}); field.focus(); field.select(); }})()")
        self.window.call("Input.insertText", text=text)
        self.key("Enter")


def labelled(label: str) -> str:
    """The setting with a label, as an expression of the page's language."""
    return f"[...document.querySelectorAll('.control')].find((one) => one.innerText.trim().startsWith({label!r}))"


def opened(folder: Path) -> Iterator[Browser]:
    with Browser(folder) as window:
        yield window
