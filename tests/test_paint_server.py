"""``colorpipe paint`` over HTTP: what its page asks for, and everything else refused."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from colorpipe import color
from colorpipe.types import Recipe, Stage
from colorpipe.web import guard
from colorpipe.web.server import PageServer, serve_in_thread
from tests.conftest import Cli
from tests.paint_page import GREEN, Caller, files, photo, stroke

RECIPE = Recipe(Stage("zhang"), weights="zhang-compact")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """Three photos, one of them in a folder below."""
    folder = tmp_path_factory.mktemp("paint")
    photo(folder / "album" / "mother.png")
    photo(folder / "album" / "river.jpg", "new-york-riverfront-1931.jpg")
    photo(folder / "album" / "1946" / "trumpet.jpg", "louis-armstrong-1946.jpg")
    (folder / "secret.jpg").write_bytes((folder / "album" / "river.jpg").read_bytes())
    with serve_in_thread([folder / "album"], folder / "out", recipe=RECIPE) as made:
        yield made


@pytest.fixture
def call(server: PageServer) -> Caller:
    return Caller(server)


def number(call: Caller, name: str) -> int:
    return next(item["id"] for item in call("GET", "/api/album").json["items"] if item["name"] == name)


# --- what the page does -----------------------------------------------------------------------------------------------


def test_an_album_is_told_without_a_path_that_could_be_asked_for(call: Caller) -> None:
    told = call("GET", "/api/album").json
    assert [(item["name"], item["folder"], item["kind"]) for item in told["items"]] == [
        ("trumpet.jpg", "1946", "photo"),
        ("mother.png", "", "photo"),
        ("river.jpg", "", "photo"),
    ]
    assert told["limits"]["body"] == guard.MOST_BODY
    one = call("GET", f"/api/items/{number(call, 'mother.png')}").json
    assert (one["width"], one["height"]) == (198, 256)
    assert one["settings"]["options"]["merge"]["saturation"] == 1.0


def test_a_stroke_colours_its_place_and_not_the_rest_and_taking_it_back_gives_the_first_picture(call: Caller) -> None:
    item = number(call, "mother.png")
    where = f"/api/items/{item}/picture"
    grey, before = call("GET", f"{where}?kind=grey").picture, call("GET", where)
    painted = call("PUT", f"/api/items/{item}/strokes", {"frame": 0, "strokes": [stroke(0.2, 0.2, 0.03)]})
    assert painted.json["state"] == "changed"
    after = call("GET", where)
    assert int(after.headers["x-revision"]) == painted.json["revision"]
    ab = [np.asarray(color.rgb_to_lab(one.picture.astype(np.float32) / 255).ab) for one in (before, after)]
    height, width = grey.shape[:2]
    moved = np.linalg.norm(ab[1] - ab[0], axis=-1)
    assert moved[int(0.2 * height), int(0.2 * width)] > 20
    assert moved[int(0.95 * height), int(0.95 * width)] < 2
    assert np.abs(ab[1][int(0.2 * height), int(0.2 * width)] - GREEN[1:]).max() < 12  # as far as the gamut allows
    assert np.array_equal(call("GET", f"{where}?kind=method").picture, before.picture)
    call("PUT", f"/api/items/{item}/strokes", {"frame": 0, "strokes": []})
    assert call("GET", where).body == before.body


def test_grey_is_the_source_s_own(call: Caller, server: PageServer) -> None:
    item = number(call, "mother.png")
    shown = call("GET", f"/api/items/{item}/picture?kind=grey").picture
    source = cv2.imread(str(server.album.item(item).path), cv2.IMREAD_GRAYSCALE)
    assert source is not None
    assert np.abs(shown.mean(2) - source).max() < 12
    assert np.abs(shown.mean(2) - source).mean() < 2  # a JPEG of grain
    small = call("GET", f"/api/items/{item}/picture?kind=grey&side=64").picture
    assert max(small.shape) == 64
    assert max(call("GET", f"/api/items/{item}/thumbnail").picture.shape) == 160


def test_a_place_has_the_network_s_own_colours_and_those_that_exist_at_its_lightness(call: Caller) -> None:
    item = number(call, "river.jpg")
    told = call("GET", f"/api/items/{item}/place?x=0.5&y=0.1").json
    assert told["likely_from"] == "zhang"
    shares = [one["share"] for one in told["likely"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.3 < sum(shares) <= 1.001
    assert len(told["palette"]) == told["palette_hues"] * told["palette_rings"] + 1
    for one in told["palette"]:
        rgb = np.array([[list(bytes.fromhex(one["hex"][1:]))]], np.float32) / 255
        lab = color.rgb_to_lab(rgb)
        assert abs(float(lab.L[0, 0]) - told["L"]) < 0.6  # as exactly as whole codes tell it
        assert np.abs(np.asarray(lab.ab)[0, 0] - one["ab"]).max() < 1.5


def test_a_method_without_a_distribution_shows_the_default_s_colours(call: Caller) -> None:
    item = number(call, "river.jpg")
    assert call("PUT", f"/api/items/{item}/settings", {"colorizer": "gan"}).status == 200
    told = call("GET", f"/api/items/{item}/place?x=0.5&y=0.1").json
    assert told["likely_from"] == "zhang"
    assert told["likely"]
    back = call("PUT", f"/api/items/{item}/settings", {"colorizer": "zhang"}).json
    assert back["settings"]["weights"] == "zhang-compact"  # as on the command line


def test_a_colour_is_entered_as_rgb(call: Caller) -> None:
    told = call("GET", "/api/colour?L=53&hex=%23ff0000").json
    assert np.abs(np.array(told["ab"]) - (80.1, 67.2)).max() < 0.5
    assert call("GET", "/api/colour?L=53&hex=red").status == 400
    assert call("GET", "/api/colour?L=nan&hex=%23ff0000").status == 400


def test_settings_change_the_picture_at_once_and_are_checked(call: Caller) -> None:
    item = number(call, "river.jpg")
    where, settings = f"/api/items/{item}/picture", f"/api/items/{item}/settings"
    before = call("GET", where).picture
    told = call("PUT", settings, {"options": {"decoder": {"T": 0.05}, "merge": {"saturation": 2}}}).json
    assert told["settings"]["options"]["decoder"]["T"] == 0.05
    assert told["natural"]["T"] > 0.05
    after = call("GET", where).picture
    assert np.ptp(after.astype(int), axis=2).mean() > 1.3 * np.ptp(before.astype(int), axis=2).mean()
    for asked, words in (
        ({"options": {"merge": {"saturation": 9}}}, "saturation takes a number in 0..4"),
        ({"options": {"merge": {"saturation": "1"}}}, "takes no text"),
        ({"options": {"decoder": {"heat": 1}}}, "no option 'heat'"),
        ({"options": {"media": {"max_pixels": 1}}}, "not changed on the page"),
        ({"options": {"media": {"preset": "/etc/passwd"}}}, "not changed on the page"),
        ({"weights": "/etc/passwd"}, "no weights"),
        ({"colorizer": "siggraph18"}, "siggraph18"),
        ({"colorizer": "patch-knn"}, "learns from a colour picture"),
        ({"preprocessors": ["denoise"]}, "command line"),
        ({"owner": 1}, "no 'owner'"),
        ([], "an object"),
    ):
        answer = call("PUT", settings, asked)
        assert answer.status == 400, asked
        assert words in answer.json["error"]
    assert call("PUT", settings, {"options": {"decoder": {"T": None}, "merge": {"saturation": None}}}).status == 200
    assert np.array_equal(call("GET", where).picture, before)


def test_methods_tell_all_that_controls_are_drawn_from(call: Caller) -> None:
    told = call("GET", "/api/methods").json
    methods = {one["name"]: one for one in told["methods"]}
    assert methods["zhang"]["available"]
    assert methods["zhang"]["decoder"] == "annealed-mean"
    assert {one["name"] for one in methods["zhang"]["weights"]} >= {"zhang-base", "zhang-compact"}
    assert not methods["patch-knn"]["available"]
    T = next(one for one in told["decoders"]["annealed-mean"] if one["name"] == "T")
    assert (T["type"], T["min"], T["max"], T["optional"]) == ("number", 0.0, 2.0, True)
    assert {one["name"] for one in told["merge"]} >= {"saturation", "temperature", "hint_reach"}
    assert not next(one for one in told["media"] if one["name"] == "max_pixels")["editable"]


def test_six_proposals_differ_and_can_be_taken(call: Caller) -> None:
    item = number(call, "mother.png")
    made = call("GET", f"/api/items/{item}/proposals").json["proposals"]
    assert [one["number"] for one in made] == list(range(6))
    shown = [call("GET", f"/api/items/{item}/proposals/{one['number']}") for one in made]
    assert len({answer.body for answer in shown}) == 6
    assert all(answer.status == 200 for answer in shown)
    assert call("GET", f"/api/items/{item}/proposals/6").status == 404
    call("PUT", f"/api/items/{item}/settings", made[1]["settings"])
    taken = call("GET", f"/api/items/{item}/picture?side=256").picture
    assert np.abs(taken.astype(int) - shown[1].picture).mean() < 3
    call("PUT", f"/api/items/{item}/settings", {"options": {"decoder": {"T": None}}})


def test_look_alikes_are_apart_from_the_stroke(call: Caller) -> None:
    item = number(call, "river.jpg")
    told = call("POST", f"/api/items/{item}/look-alikes", {"stroke": stroke(0.5, 0.05), "in": "album"})
    assert told.status == 200
    for place in told.json["places"]:
        assert 0 <= place["x"] <= 1
        assert 0 < place["radius"] <= 0.1
        assert place["item"] in (1, 2, 3)
        assert abs(place["x"] - 0.5) + abs(place["y"] - 0.05) > 0.02 or place["item"] != item
    assert call("POST", f"/api/items/{item}/look-alikes", {"stroke": stroke(0.5, 0.05), "in": "disk"}).status == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"strokes": [stroke(1.2, 0)]}, "stroke 1: a point"),
        ({"strokes": [stroke(0.1, 0.1), stroke(0.1, 0.1, 0)]}, "stroke 2: radius"),
        ({"strokes": [stroke(0.1, 0.1, kind="smear")]}, "kind"),
        ({"strokes": [stroke(0.1, 0.1, lab=None)]}, "paint needs a colour"),
        ({"strokes": [stroke(0.1, 0.1, lab=None, name="nobody's")]}, "nobody's"),
        ({"strokes": [stroke(0.1, 0.1, frame=3)]}, "frame"),
        ({"strokes": [stroke(0.1, 0.1, path="/etc/passwd")]}, "path"),
        ({"strokes": {}}, "a list"),
        ({"strokes": [stroke(0.1, 0.1)] * 5001}, "at most 5000"),
        ({"frame": 1, "strokes": []}, "no frame 1"),
        ({"frame": True, "strokes": []}, "whole number"),
        ({"frame": -1, "strokes": []}, "whole number"),
        ({}, "strokes"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"strokes": NaN}', "not JSON"),
    ],
)
def test_strokes_that_are_none_change_nothing(call: Caller, body: Any, words: str) -> None:
    item = number(call, "mother.png")
    before = call("GET", f"/api/items/{item}").json["strokes"]
    answer = call("PUT", f"/api/items/{item}/strokes", body)
    assert answer.status == 400
    assert words in answer.json["error"]
    assert "\n" not in answer.json["error"]
    assert call("GET", f"/api/items/{item}").json["strokes"] == before


@pytest.mark.parametrize(
    "path",
    [
        "items/99",
        "items/0/picture",
        "items/99/thumbnail",
        "nothing",
        "items/1/nothing",
        "items/1/preview/0",
        "items/-1",
    ],
)
def test_what_is_not_there_is_said(call: Caller, path: str) -> None:
    answer = call("GET", f"/api/{path}")
    assert answer.status == 404
    assert answer.json["error"]


# --- what others try --------------------------------------------------------------------------------------------------

FOREIGN: dict[str, dict[str, str | None]] = {
    "host": {"Host": "evil.example"},
    "host without port": {"Host": "127.0.0.1"},
    "host of another port": {"Host": "127.0.0.1:1"},
    "host that begins like it": {"Host": "127.0.0.1.evil.example:{port}"},
    "host as another number": {"Host": "0.0.0.0:{port}"},
    "origin": {"Origin": "http://evil.example"},
    "origin null": {"Origin": "null"},
    "origin of another port": {"Origin": "http://127.0.0.1:1"},
    "origin over another scheme": {"Origin": "https://127.0.0.1:{port}"},
    "cross-site": {"Sec_Fetch_Site": "cross-site"},
    "same-site": {"Sec_Fetch_Site": "same-site"},
    "typed": {"Sec_Fetch_Site": "none"},
    "no site": {"Sec_Fetch_Site": None},
    "no token": {"X_Colorpipe_Token": None},
    "empty token": {"X_Colorpipe_Token": ""},
    "another token": {"X_Colorpipe_Token": "x" * 43},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_call_is_refused_and_nothing_changes(call: Caller, server: PageServer, name: str) -> None:
    headers = {
        key: value and value.replace("{port}", str(server.port))
        for key, value in FOREIGN[name].items()
    }  # fmt: skip
    folder = server.album.item(2).path.parent.parent
    item, before = number(call, "mother.png"), files(folder)
    for method, path, body in (
        ("GET", "/api/album", None),
        ("GET", f"/api/items/{item}/picture", None),
        ("GET", f"/api/items/{item}/thumbnail", None),
        ("PUT", f"/api/items/{item}/strokes", {"frame": 0, "strokes": [stroke(0.5, 0.5)]}),
        ("POST", "/api/save", {"items": "all"}),
    ):
        answer = call(method, path, body, **headers)
        assert answer.status == 403, (path, answer.body)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert call("GET", f"/api/items/{item}").json["strokes"] == {}
    assert files(folder) == before


def test_a_token_in_the_address_is_none(call: Caller, server: PageServer) -> None:
    assert call("GET", f"/api/album?token={server.token}", X_Colorpipe_Token=None).status == 403


def test_each_answer_has_the_policy(call: Caller) -> None:
    for answer in (
        call("GET", "/"),
        call("GET", "/api/album"),
        call("GET", "/nothing"),
        call("GET", "/api/album", Host="x"),
    ):
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_is_no_call(call: Caller, kind: str | None) -> None:
    answer = call("POST", "/api/save", {"items": "all"}, Content_Type=kind)
    assert answer.status == 415


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
def test_other_methods_are_none(call: Caller, method: str) -> None:
    assert call(method, "/api/album").status in (400, 405)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../album.py",
        "/static/%2e%2e%2falbum.py",
        "/static/..%2f..%2f__init__.py",
        "/static/%252e%252e%252falbum.py",
        "/static/..\\album.py",
        "/static/%5c..%5calbum.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "/static/index.html%00.js",
        "/static/",
        "/etc/passwd",
        "//etc/passwd",
        "/api/items/..%2f..%2fsecret.jpg/picture",
        "/api/items/1%2f..%2f..%2fsecret.jpg",
    ],
)
def test_no_path_leads_out(call: Caller, path: str) -> None:
    answer = call("GET", path)
    assert answer.status in (400, 403, 404), answer.body[:100]
    assert b"root:" not in answer.body
    assert b"def " not in answer.body


def opened(server: PageServer) -> str:
    """The head of a call, but for how long its body is."""
    head = f"PUT /api/items/1/strokes HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    head += f"X-Colorpipe-Token: {server.token}\r\nSec-Fetch-Site: same-origin\r\n"
    return head + "Content-Type: application/json\r\n"


def upload(server: PageServer, length: int | None, most: int, chunked: bool = False) -> tuple[bytes, int]:
    """A body that does not end, until the server says something; what it said, and the bytes sent by then."""
    head = (
        f"PUT /api/items/1/strokes HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Colorpipe-Token: {server.token}\r\n"
    )
    head += "Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {length}\r\n\r\n"
    part, sent = b"[" * (1 << 16), 0
    with socket.create_connection(("127.0.0.1", server.port), 30) as line:
        line.sendall(head.encode())
        line.setblocking(False)
        answer, end = b"", time.monotonic() + 60
        while not answer and sent < most and time.monotonic() < end:
            try:
                answer = line.recv(1 << 16)
                continue
            except BlockingIOError:
                pass
            except ConnectionError:
                return b"reset", sent
            try:
                line.setblocking(True)
                line.settimeout(5)
                line.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
                sent += len(part)
            except (ConnectionError, TimeoutError):
                sent += 0
            finally:
                line.setblocking(False)
        return answer, sent


def test_an_upload_of_2_gb_is_refused_at_its_beginning(call: Caller, server: PageServer) -> None:
    for chunked in (False, True):
        answer, sent = upload(server, 2 << 30, 64 << 20, chunked)
        assert answer.startswith((b"HTTP/1.1 413", b"reset")), answer[:100]
        assert sent < 48 << 20  # buffers of two sockets on the way
    assert call("GET", "/api/album").status == 200


def test_a_body_that_comes_too_slowly_is_given_up(
    call: Caller, server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    head = (
        f"PUT /api/items/1/strokes HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Colorpipe-Token: {server.token}\r\n"
    )
    head += "Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port), 30) as line:
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 408")
    assert call("GET", "/api/album").status == 200


def test_200_calls_at_once_are_answered_or_told_to_come_again(call: Caller) -> None:
    item = number(call, "mother.png")

    def one(number: int) -> int:
        if number % 4 == 0:
            return call("GET", f"/api/items/{item}/picture?side={64 + number % 16}&rev={number}").status
        return call("GET", "/api/state").status

    with ThreadPoolExecutor(200) as crowd:
        statuses = list(crowd.map(one, range(200)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 20
    assert call("GET", f"/api/items/{item}/picture").status == 200


def test_a_full_queue_is_told(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_CALLS", 0)
    answer = call("GET", "/api/state")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    monkeypatch.undo()
    assert call("GET", "/api/state").status == 200


def test_no_address_is_endless(call: Caller) -> None:
    assert call("GET", f"/api/items/{'9' * 5000}/picture").status == 414
    assert call("GET", f"/api/items/1/picture?rev={'9' * 5000}").status == 414
    assert call("GET", f"/api/items/{'9' * 400}/picture").status == 404


def test_garbage_on_the_line_does_not_stop_it(call: Caller, server: PageServer) -> None:
    for data in (b"\0" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 200_000, b"\x16\x03\x01\x02\x00\x01\x00"):
        with socket.create_connection(("127.0.0.1", server.port), 10) as line:
            line.settimeout(2)
            try:
                line.sendall(data)
                line.recv(100)
            except (TimeoutError, ConnectionError):
                pass
    assert call("GET", "/api/album").status == 200


def test_only_this_machine_is_listened_to(server: PageServer) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"


def test_a_link_out_of_the_album_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "secret" / "me.jpg")
    photo(tmp_path / "album" / "a.jpg")
    (tmp_path / "album" / "b.jpg").symlink_to(tmp_path / "secret" / "me.jpg")
    (tmp_path / "album" / "more").symlink_to(tmp_path / "secret")
    with serve_in_thread([tmp_path / "album"], tmp_path / "out", recipe=RECIPE) as server:
        call = Caller(server)
        items = {item["name"]: item for item in call("GET", "/api/album").json["items"]}
        assert items["a.jpg"]["state"] == "new"
        for name in ("b.jpg", "me.jpg"):
            refused = items[name]
            assert refused["state"] == "refused"
            assert "leads out of its album" in refused["error"]
            for kind in ("picture", "thumbnail", "place?x=0&y=0"):
                assert call("GET", f"/api/items/{refused['id']}/{kind}").status == 400
        # a file that becomes a link later
        later = tmp_path / "album" / "a.jpg"
        later.unlink()
        later.symlink_to(tmp_path / "secret" / "me.jpg")
        assert call("GET", f"/api/items/{items['a.jpg']['id']}/picture").status == 400
        assert call("POST", "/api/save", {"items": [items["a.jpg"]["id"]]}).status == 202
        call.done()
        assert call("GET", "/api/state").json["items"][0]["state"] == "failed"
    assert not list((tmp_path / "out").rglob("*.jpg"))
    assert [file.name for file in (tmp_path / "secret").iterdir()] == ["me.jpg"]


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_says_in_a_line_what_is_wrong(cli: Cli, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, told = cli("paint", "nothing.jpg", "--no-browser")
    assert (status, told.splitlines()[0]) == (2, "colorpipe: nothing.jpg does not exist")
    picture = photo(workplace / "a.jpg")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, told = cli("paint", picture, "--no-browser", "--port", port)
    assert status == 2
    assert told.splitlines()[0] == f"colorpipe: cannot serve on port {port}: it is taken"
    status, _, told = cli("paint", picture, "--no-browser", "--port", 99_999)
    assert status == 2
    assert "port 99999" in told
    find = __import__("importlib.util").util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "starlette" else find(name))
    status, _, told = cli("paint", picture, "--no-browser")
    assert status == 2
    assert "pip install 'colorpipe[web]'" in told


def test_the_command_serves_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    picture = photo(tmp_path / "a.jpg")
    command = [sys.executable, "-m", "colorpipe", "paint", str(picture), "-o", str(tmp_path / "out"), "--no-browser"]
    command += ["--weights", "zhang-compact", "--T", "0.3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        base, token = address.split("/#token=")

        class There:
            port = int(base.rpartition(":")[2])

        there: Any = There()
        there.token = token
        call = Caller(there)
        told = call("GET", "/api/items/1").json
        assert told["settings"]["options"]["decoder"]["T"] == 0.3
        assert told["settings"]["weights"] == "zhang-compact"
        process.send_signal(2)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert files(tmp_path) == {"a.jpg": picture.read_bytes()}


def test_the_command_s_help_loads_nothing_heavy() -> None:
    code = "import sys; from colorpipe.cli.app import main; main(['paint', '--help']); "
    code += (
        "print([name for name in ('torch', 'cv2', 'numpy', 'starlette', 'uvicorn', 'asyncio') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]", told.splitlines()[-1]
