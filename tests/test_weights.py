"""Weights: found, checked, fetched, imported and read without running anything."""

from __future__ import annotations

import gc
import hashlib
import http.server
import os
import pickle
import shutil
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from colorpipe import Batch, Chroma, Colorizer, Model, UsageError, WeightsError
from colorpipe.weights.checkpoints import load_strictly, read_tensors
from colorpipe.weights.store import ModelStore, default_cache, sha256

CONTENT = b"not really weights, but bytes with a hash" * 100
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Toy(Colorizer):
    name = "toy"
    summary = "reads weights"
    licence = "Apache-2.0"
    default_weights = "toy-small"

    def build(self, weights: Path | None) -> nn.Module:
        return nn.Identity()

    def predict(self, batch: Batch) -> Chroma:
        return Chroma(torch.zeros(len(batch), 2, 1, 1))


class Plain(Colorizer):
    name = "plain"
    summary = "needs no weights"
    licence = "Apache-2.0"

    def predict(self, batch: Batch) -> Chroma:
        return Chroma(torch.zeros(len(batch), 2, 1, 1))


def model(name: str, colorizer: str = "toy", **changes: Any) -> Model:
    values = {"licence": "CC0-1.0", "summary": "", "sha256": DIGEST, "size": len(CONTENT)} | changes
    return Model(name=name, colorizer=colorizer, **values)


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    file = tmp_path / "plugin" / "toy.safetensors"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def store(tmp_path: Path, bundled: Path) -> ModelStore:
    models = [
        model("toy-small", bundled=bundled),
        model("toy-large", url="https://example.invalid/large.pth"),
        model("other", "another", url="https://example.invalid/other.pth", sha256=hashlib.sha256(b"other").hexdigest()),
    ]
    return ModelStore({entry.name: entry for entry in models}, cache=tmp_path / "cache")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "downloaded by hand.pth"
    file.write_bytes(CONTENT)
    return file


# --- the store --------------------------------------------------------------------------------------------------------


def test_bundled_weights_are_used_where_they_lie(store: ModelStore, bundled: Path) -> None:
    assert store.status("toy-small") == "bundled"
    assert store.path("toy-small") == bundled
    assert not store.cache.exists()


def test_absent_weights_say_how_to_get_them(store: ModelStore) -> None:
    assert store.status("toy-large") == "absent"
    with pytest.raises(WeightsError) as caught:
        store.path("toy-large")
    for way in ("colorpipe models pull toy-large", "colorpipe models import toy-large FILE", "--weights FILE"):
        assert way in str(caught.value)


def test_an_unknown_name_lists_the_known(store: ModelStore) -> None:
    for method in (store.path, store.pull, store.status):
        with pytest.raises(UsageError, match=r"no weights 'nothing'.*other, toy-large, toy-small"):
            method("nothing")


def test_a_file_with_the_right_hash_is_imported_whole(store: ModelStore, good: Path) -> None:
    imported = store.import_file("toy-large", good)
    assert store.status("toy-large") == "cached"
    assert store.path("toy-large") == imported
    assert imported.suffix == ".pth"
    assert imported.read_bytes() == CONTENT
    assert os.listdir(store.cache) == [imported.name]


def test_another_file_is_not_imported_and_told_what_it_is(store: ModelStore, tmp_path: Path, good: Path) -> None:
    file = tmp_path / "wrong.pth"
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"wrong\.pth is not toy-large: its SHA-256 is d9298a10d1b0.*it is other"):
        store.import_file("toy-large", file)
    with pytest.raises(WeightsError, match=r"cannot import .*nowhere\.pth"):
        store.import_file("toy-large", tmp_path / "nowhere.pth")
    assert os.listdir(store.cache) == []
    with pytest.raises(UsageError, match="comes with toy"):
        store.import_file("toy-small", good)


def test_damage_is_seen_before_use_and_by_verify(store: ModelStore, bundled: Path, good: Path) -> None:
    imported = store.import_file("toy-large", good)
    assert store.verify() == {"toy-small": "", "toy-large": ""}
    before = imported.stat()
    imported.write_bytes(CONTENT[:-1] + b"!")
    os.utime(imported, ns=(before.st_atime_ns, before.st_mtime_ns))  # what a failing disk does: size and time stay
    assert "damaged" in store.verify()["toy-large"]
    with pytest.raises(WeightsError, match=r"damaged.*models pull toy-large"):
        store.path("toy-large")
    bundled.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"damaged.*install it again"):
        store.path("toy-small")
    bundled.unlink()
    with pytest.raises(WeightsError, match=r"is missing.*install it again"):
        store.path("toy-small")
    assert store.verify()["toy-small"] != ""


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path))
    assert default_cache() == tmp_path / "weights"
    monkeypatch.delenv("COLORPIPE_CACHE")
    assert "colorpipe" in default_cache().parts


# --- resolving --weights ----------------------------------------------------------------------------------------------


def test_resolve_takes_the_default_a_name_or_a_file(store: ModelStore, bundled: Path, good: Path) -> None:
    default = store.resolve(None, Toy)
    assert default is not None
    assert (default.path, default.name, default.sha256) == (bundled, "toy-small", DIGEST)
    assert store.resolve("toy-small", Toy) == default
    by_file = store.resolve(str(good), Toy)
    assert by_file is not None
    assert (by_file.path, by_file.name, by_file.sha256) == (good, str(good), DIGEST)
    assert store.resolve(None, Plain) is None


@pytest.mark.parametrize(
    ("asked", "cls", "message"),
    [
        ("other", Toy, r"other are another's, not toy's.*--colorizer another"),
        ("nowhere.pth", Toy, r"nowhere\.pth: no such file.*toy-large, toy-small"),
        ("toy-small", Plain, r"plain works without weights"),
    ],
)
def test_resolve_refuses_what_does_not_fit(store: ModelStore, asked: str, cls: type[Colorizer], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        store.resolve(asked, cls)


def test_resolve_does_not_download(store: ModelStore) -> None:
    with pytest.raises(WeightsError, match="not on this machine"):
        store.resolve("toy-large", Toy)


# --- downloading, from a real https server ----------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing.pth":
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.path != "/whole.pth" else 0
        self.server.asked.append((self.path, start))  # type: ignore[attr-defined]
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        if self.path == "/slow.pth":  # breaks off after a thousand bytes, wherever it began
            self.wfile.write(CONTENT[start : start + 1000])
        elif self.path == "/cut.pth":  # brings a beginning, then nothing more
            self.wfile.write(CONTENT[: 0 if start else 50])
        else:
            self.wfile.write(CONTENT[start:])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keeps the test's output clean."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    folder = tmp_path_factory.mktemp("certificate")
    key, file = folder / "key.pem", folder / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(file)]
    subprocess.run([*make, *names], check=True, capture_output=True)
    return file, key


# a connection that breaks is left to the garbage collector
unclosed = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture
def server(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    file, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    httpd = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    httpd.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    monkeypatch.setenv("NO_PROXY", "localhost")
    yield f"https://localhost:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()
    gc.collect()


@unclosed
def test_pull_downloads_checks_and_tells_its_progress(server: str, tmp_path: Path) -> None:
    store = ModelStore({"toy": model("toy", url=f"{server}/toy.pth")}, cache=tmp_path / "cache")
    told: list[tuple[int, int]] = []
    file = store.pull("toy", lambda done, total: told.append((done, total)))
    assert file.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert store.path("toy") == file
    file.write_bytes(b"damaged")
    assert store.pull("toy").read_bytes() == CONTENT


def test_pull_does_not_download_what_is_here(store: ModelStore, good: Path, bundled: Path) -> None:
    imported = store.import_file("toy-large", good)
    assert store.pull("toy-large") == imported  # its address leads nowhere
    assert store.pull("toy-small") == bundled


@unclosed
@pytest.mark.parametrize(
    ("path", "changes", "reason"),
    [
        ("/toy.pth", {"sha256": "0" * 64}, "does not have the SHA-256 registered for toy"),
        ("/missing.pth", {}, "404"),
    ],
)
def test_a_failed_pull_is_one_line_and_leaves_nothing(
    server: str, tmp_path: Path, path: str, changes: dict[str, Any], reason: str
) -> None:
    store = ModelStore({"toy": model("toy", url=server + path, **changes)}, cache=tmp_path / "cache")
    with pytest.raises(WeightsError, match=reason) as caught:
        store.pull("toy")
    assert f"{server}{path}" in caught.value.message
    assert "\n" not in str(caught.value)
    assert "colorpipe models import toy FILE" in caught.value.hint
    assert os.listdir(store.cache) == []


@unclosed
def test_a_broken_download_is_gone_on_from(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within one call while something comes, else by the next call; what is there is no file of weights until then."""
    monkeypatch.setattr("colorpipe.weights.download.BLOCK", 25)
    store = ModelStore({"toy": model("toy", url=f"{server}/cut.pth")}, cache=tmp_path / "cache")
    with pytest.raises(WeightsError, match=r"cannot download .*/cut\.pth") as caught:
        store.pull("toy")
    assert "the same command goes on from" in caught.value.hint
    assert store.status("toy") == "absent"
    assert store.begun("toy") == 50
    store = ModelStore({"toy": model("toy", url=f"{server}/slow.pth")}, cache=tmp_path / "cache")
    told: list[tuple[int, int]] = []
    assert store.pull("toy", lambda done, total: told.append((done, total))).read_bytes() == CONTENT
    assert told[0] == (75, len(CONTENT))
    assert os.listdir(store.cache) == [store.models["toy"].filename]


@unclosed
@pytest.mark.parametrize("path", ["/toy.pth", "/whole.pth"])
@pytest.mark.parametrize("left", [b"of another version", b"x" * 2 * len(CONTENT), CONTENT])
def test_what_an_earlier_download_left_is_checked(server: str, tmp_path: Path, path: str, left: bytes) -> None:
    """Also by a server that knows no pieces."""
    store = ModelStore({"toy": model("toy", url=server + path)}, cache=tmp_path / "cache")
    store.cache.mkdir()
    (store.cache / f".{store.models['toy'].filename}.part").write_bytes(left)
    assert store.pull("toy").read_bytes() == CONTENT
    assert os.listdir(store.cache) == [store.models["toy"].filename]


def test_two_downloads_of_one_file_do_not_mix(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    store = ModelStore({"toy": model("toy", url="https://localhost:9/toy.pth")}, cache=tmp_path)
    with (tmp_path / f".{store.models['toy'].filename}.part").open("ab") as other:
        other.write(b"half")
        other.flush()
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(WeightsError, match="another process is downloading it"):
            store.pull("toy")
    assert store.begun("toy") == 4


@pytest.fixture
def plain_server() -> Iterator[str]:
    """On this machine alone, without TLS."""
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@unclosed
@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), (None, 0), ("--yes", 0)])
def test_a_large_download_is_told_and_asked_about(
    plain_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    answer: str | None,
    status: int,
) -> None:
    from colorpipe.cli import models
    from colorpipe.cli.app import main

    plugin = tmp_path / "weights.py"
    plugin.write_text(
        "from colorpipe import Model, hookimpl\n\n\n@hookimpl\ndef colorpipe_models():\n"
        f"    return [Model(name='big', colorizer='zhang', licence='CC0-1.0', summary='', sha256='{DIGEST}', "
        f"size=250_000_000, url='{plain_server}/toy.pth')]\n"
    )
    monkeypatch.setenv("COLORPIPE_CACHE", str(tmp_path / "cache"))
    if answer in ("y", "n"):
        monkeypatch.setattr(models.sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(models.sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(models.typer, "confirm", lambda text, **options: answer == "y")
    else:
        monkeypatch.setattr(models.typer, "confirm", lambda *words, **options: pytest.fail("nobody is there to ask"))
    words = ["models", "pull", "big", "--plugin", str(plugin), *(["--yes"] if answer == "--yes" else [])]
    assert main(words) == status
    told = capfd.readouterr().err
    assert "big: 250.0 MB from 127.0.0.1; licence CC0-1.0" in told
    assert (tmp_path / "cache" / "weights").exists() == (answer != "n")


def test_pull_wants_https_and_an_address(tmp_path: Path) -> None:
    entries = {"plain": model("plain", url="http://example.invalid/x.pth"), "none": model("none")}
    store = ModelStore(entries, cache=tmp_path)
    with pytest.raises(WeightsError, match="not an https address"):
        store.pull("plain")
    with pytest.raises(WeightsError, match=r"no address is registered.*models import none FILE"):
        store.pull("none")
    with pytest.raises(WeightsError, match="`colorpipe models import none FILE`, or --weights"):
        store.path("none")


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    store = ModelStore({"toy": model("toy", url="https://localhost:9/toy.pth")}, cache=tmp_path)
    with pytest.raises(WeightsError, match=r"cannot download https://localhost:9/toy\.pth") as caught:
        store.pull("toy")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


# --- reading files ----------------------------------------------------------------------------------------------------

TENSORS = {"conv.weight": torch.arange(8.0).reshape(2, 4), "conv.bias": torch.tensor([1.0, -1.0])}


def torch_file(folder: Path, content: Any, **options: Any) -> Path:
    file = folder / "saved.bin"  # the suffix says nothing: the content is looked at
    torch.save(content, file, **options)
    return file


def same(tensors: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == TENSORS.keys() and all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before 1.6"])
def test_torch_files_of_both_kinds(tmp_path: Path, options: dict[str, Any]) -> None:
    tensors, metadata = read_tensors(torch_file(tmp_path, TENSORS, **options))
    assert same(tensors)
    assert metadata == {}


def test_safetensors_are_not_taken_for_a_pickle(tmp_path: Path) -> None:
    """One in 32 files begins with the byte that pickles begin with: it is the header's length."""
    file = tmp_path / "w.safetensors"
    for length in range(300):
        save_file(TENSORS, file, {"note": "x" * length})
        if file.read_bytes()[0] == 0x80:
            break
    tensors, metadata = read_tensors(file)
    assert file.read_bytes()[0] == 0x80
    assert tensors.keys() == TENSORS.keys()
    assert metadata == {"note": "x" * length}


def test_safetensors_with_metadata_survive_the_files_replacement(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file(TENSORS, file, {"natural_T": "0.38"})
    tensors, metadata = read_tensors(file)
    file.write_bytes(bytes(file.stat().st_size))
    assert same(tensors)
    assert metadata == {"natural_T": "0.38"}


@pytest.mark.parametrize("key", ["state_dict", "params", "model"])
def test_a_nested_state_dict_is_taken_out_and_the_rest_named(tmp_path: Path, key: str) -> None:
    tensors, metadata = read_tensors(torch_file(tmp_path, {key: TENSORS, "epoch": 3, "optimizer": {"state": {}}}))
    assert same(tensors)
    assert metadata == {"left_out": "epoch, optimizer"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"params": TENSORS, "state_dict": TENSORS}, "several networks: state_dict, params"),
        ({"conv.weight": TENSORS["conv.bias"], "epoch": 3}, "a int under 'epoch', not a tensor"),
        ({1: TENSORS["conv.bias"]}, "under 1"),
        ([TENSORS["conv.bias"]], "a list, not named tensors"),
        (TENSORS["conv.bias"], "a Tensor, not named tensors"),
        ({}, "nothing, not named tensors"),
    ],
)
def test_anything_but_named_tensors_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        read_tensors(torch_file(tmp_path, content))


class Intruder:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "intruded"
    content = {"conv.weight": TENSORS["conv.weight"], "conv.bias": Intruder(mark)}
    bare = tmp_path / "bare.pth"
    bare.write_bytes(pickle.dumps(content, protocol=2))
    old = torch_file(tmp_path, content, _use_new_zipfile_serialization=False).rename(tmp_path / "old.pth")
    for file in (bare, old, torch_file(tmp_path, content)):
        with pytest.raises(WeightsError, match="contains code or objects, not plain tensors; nothing of it was run"):
            read_tensors(file)
    assert not mark.exists()
    pickle.loads(bare.read_bytes())
    assert mark.exists(), "the file would have shown a careless reader"


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "program.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; its files are still about
        torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), file)
    with pytest.raises(WeightsError, match="contains code"):
        read_tensors(file)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80", b"<!DOCTYPE html>", b"PK\x03\x04" + bytes(60), bytes(100)])
def test_files_that_are_no_weights_are_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "page.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"page\.pth is (damaged|neither)"):
        read_tensors(file)
    with pytest.raises(WeightsError, match=r"cannot read .*nowhere"):
        read_tensors(tmp_path / "nowhere.pth")
    with pytest.raises(WeightsError, match=r"page\.pth is (damaged|neither)"):
        read_tensors(tmp_path)  # every file of weights in it
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="holds no weights"):
        read_tensors(tmp_path / "empty")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("samples")
    save_file(TENSORS, folder / "w.safetensors")
    kinds = [torch_file(folder, TENSORS).read_bytes()]
    kinds.append(torch_file(folder, TENSORS, _use_new_zipfile_serialization=False).read_bytes())
    return [*kinds, (folder / "w.safetensors").read_bytes()]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_read_or_refused_but_never_anything_else(
    samples: list[bytes], tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(samples)))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    file = tmp_path / "damaged.pth"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        tensors, _ = read_tensors(file)
    except WeightsError as error:
        message = error.message
    else:
        assert all(isinstance(value, torch.Tensor) for value in tensors.values())
        return
    assert "damaged.pth" in message
    assert "\n" not in message


# --- loading strictly -------------------------------------------------------------------------------------------------


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def test_tensors_take_the_networks_dtype_and_place() -> None:
    source = network().half()
    source[0].bias.data = source[0].bias.data.to(torch.float8_e4m3fn)
    target = network()
    load_strictly(target, source.state_dict(), "it")
    assert {parameter.dtype for parameter in target.parameters()} == {torch.float32}
    assert torch.equal(target[0].weight, source[0].weight.float())
    assert target.eval()(torch.zeros(1, 1, 4, 4)).shape == (1, 2, 2, 2)


def test_batch_counters_may_be_absent_and_start_at_zero() -> None:
    tensors = {name: value for name, value in network().state_dict().items() if "num_batches" not in name}
    target = network()
    target[1].num_batches_tracked.fill_(5)
    load_strictly(target, tensors, "it")
    assert target[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.weight": None}, r"x\.pth as it: keys differ: 1 missing \(0\.weight\)"),
        ({"bro\nken": torch.zeros(1)}, r"x\.pth as it: keys differ: 1 unknown \(bro\\nken\)"),
        ({f"extra{i}": torch.zeros(1) for i in range(5)}, r"5 unknown \(extra0, extra1, extra2, \.\.\)"),
        ({"0.bias": torch.zeros(3)}, r"1 of another shape \(0\.bias is \(3,\), not \(2,\)\)"),
        ({"0.bias": torch.zeros(2, dtype=torch.int64)}, r"1 of another kind \(0\.bias of int64\)"),
        ({"0.bias": torch.zeros(2, dtype=torch.complex64)}, r"1 of another kind \(0\.bias of complex64\)"),
        ({"0.bias": torch.zeros(2, device="meta")}, r"1 of another kind"),
        ({"0.bias": torch.tensor([1.0, float("nan")])}, r"1 tensors are not finite \(0\.bias\)"),
    ],
)
def test_differences_are_counted_and_named_and_nothing_is_changed(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    tensors = {name: value for name, value in (network().state_dict() | change).items() if value is not None}
    target = network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_strictly(target, tensors, "x.pth as it")
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "w"
    file.write_bytes(b"one")
    assert sha256(file) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"another")
    assert sha256(file) == hashlib.sha256(b"another").hexdigest()


def test_the_registry_and_our_plugins_import_nothing_heavy() -> None:
    plugins = "colorpipe_zhang, colorpipe_siggraph17, colorpipe_decoders, colorpipe_preprocessors"
    heavy = "{'torch', 'numpy', 'cv2', 'av', 'pyvips', 'pooch', 'requests', 'safetensors'}"
    code = f"import sys, colorpipe.weights.store, {plugins}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
