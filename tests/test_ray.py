"""``--cluster`` on a real Ray cluster: two nodes, as processes on this machine, and a driver in a process of its own.

What must hold while things are killed is looked at by ``test_cluster`` without Ray as well, in less time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from colorpipe.batch.journal import NAME
from colorpipe.batch.request import NullListener, RunRequest
from colorpipe.batch.runner import run
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Recipe, Stage
from tests.conftest import Cli
from tests.helpers import write_grey
from tests.test_cluster import DREAMER, PAINTER, album, journal, results, six_shots, whole

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.extra,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own: deprecations, sockets that it leaves
    pytest.mark.timeout(900),
]
STORE = 80 << 20
"""Bytes of a node's object store: the least that Ray takes is 75 MB."""
PICTURES = 400


class Nodes:
    """Two nodes of one core each; the first one has the cluster's head."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        arguments = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args=arguments)
        self.second: Any = None
        self.add()

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self) -> None:
        self.second = self.cluster.add_node(num_cpus=1, object_store_memory=STORE)

    def kill_second(self) -> None:
        """SIGKILL for its raylet and all that it started."""
        (raylet,) = [process.process.pid for process in self.second.all_processes["raylet"]]
        for pid in (raylet, *children(raylet)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.cluster.worker_nodes.discard(self.second)
        self.second.kill_all_processes(check_alive=False, allow_graceful=False)
        self.second = None

    def workers(self) -> list[int]:
        nodes = [self.cluster.head_node, self.second]
        raylets = [process.process.pid for node in nodes if node for process in node.all_processes["raylet"]]
        return [pid for raylet in raylets for pid in children(raylet) if command(pid).startswith("ray::Worker")]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    made = Nodes()
    yield made
    made.cluster.shutdown()


@pytest.fixture
def painter(tmp_path: Path) -> Path:
    file = tmp_path / "painter.py"
    file.write_text(PAINTER)
    return file


def start(
    nodes: Nodes, source: Path, output: Path, painter: Path, sleep: float = 0, method: str = "painter"
) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "colorpipe", "run", source, "-o", output, "--cluster", nodes.address, "--json", "-"]
    words += ["--plugin", painter, "--colorizer", method, "--temporal", "6", "--preset", "ultrafast"]
    words += ["--sleep", str(sleep)]
    with told(output, "out").open("w") as out, told(output, "err").open("w") as err:
        return subprocess.Popen([str(word) for word in words], stdout=out, stderr=err)


def told(output: Path, which: str) -> Path:
    """What a driver writes: a pipe that nobody reads would stop it."""
    return output.with_name(f"std{which}")


def finish(process: subprocess.Popen[bytes], output: Path) -> list[dict[str, Any]]:
    assert process.wait(600) == 0, told(output, "err").read_text()
    return [json.loads(line) for line in told(output, "out").read_text().splitlines()]


def plain(source: Path, output: Path, painter: Path, sleep: float = 0, method: str = "painter") -> None:
    """One process, without a cluster, in its own process since the plugin changes how long a segment is."""
    words = [sys.executable, "-m", "colorpipe", "run", source, "-o", output, "-q", "--plugin", painter]
    words += ["--colorizer", method, "--temporal", "6", "--preset", "ultrafast", "--sleep", str(sleep)]
    subprocess.run([str(word) for word in words], check=True)


def test_two_nodes_make_what_one_process_makes(nodes: Nodes, tmp_path: Path, painter: Path) -> None:
    source = album(tmp_path / "in", 40)
    six_shots(source / "reel.mp4")
    plain(source, tmp_path / "plain", painter)
    outcomes = finish(start(nodes, source, tmp_path / "out", painter), tmp_path / "out")
    assert Counter(outcome["status"] for outcome in outcomes) == {"done": 41}
    assert results(tmp_path / "out") == results(tmp_path / "plain")
    assert whole(tmp_path / "out") == whole(tmp_path / "plain")


def test_chance_is_one_in_all_parts(nodes: Nodes, tmp_path: Path, painter: Path) -> None:
    painter.write_text(DREAMER)
    source = six_shots(tmp_path / "in" / "reel.mp4").parent
    plain(source, tmp_path / "plain", painter, method="dreamer")
    (outcome,) = finish(start(nodes, source, tmp_path / "out", painter, method="dreamer"), tmp_path / "out")
    assert outcome["status"] == "done"
    assert results(tmp_path / "out") == results(tmp_path / "plain")


def test_an_address_where_nothing_listens_is_one_line(tmp_path: Path, cli: Cli) -> None:
    write_grey(tmp_path / "a.png")
    status, _, said = cli("run", tmp_path / "a.png", "-o", tmp_path / "out", "--cluster", "127.0.0.1:1")
    assert status == 2
    assert "--cluster 127.0.0.1:1: no Ray cluster answers: " in said
    assert not (tmp_path / "out").exists()


# --- what is killed ---------------------------------------------------------------------------------------------------


def kill_worker(nodes: Nodes, driver: subprocess.Popen[bytes], chance: random.Random) -> None:
    os.kill(chance.choice(nodes.workers()), signal.SIGKILL)


def kill_node(nodes: Nodes, driver: subprocess.Popen[bytes], chance: random.Random) -> None:
    nodes.kill_second()


def kill_driver(nodes: Nodes, driver: subprocess.Popen[bytes], chance: random.Random) -> None:
    driver.kill()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], set[str], Path]:
    """400 pictures and a film of six shots, and what a plain run makes of them."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "painter.py").write_text(PAINTER)
    source = album(folder / "in", PICTURES)
    six_shots(source / "reel.mp4")
    plain(source, folder / "plain", folder / "painter.py", 0.01)
    return source, results(folder / "plain"), whole(folder / "plain"), folder / "painter.py"


def seen(output: Path) -> int:
    """What is there by now: recorded results, and segments of the film."""
    done = output / NAME
    count = done.read_text().count('"done"') if done.exists() else 0
    return count + 10 * len(list(output.glob(".reel.mp4.colorpipe/.part*/*.segment")))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kill", [kill_worker, kill_node, kill_driver])
def test_everything_is_done_once_whatever_is_killed(
    nodes: Nodes, large: tuple[Path, dict[str, object], set[str], Path], tmp_path: Path,
    kill: Callable[[Nodes, subprocess.Popen[bytes], random.Random], None], seed: int,
) -> None:  # fmt: skip
    source, wanted, left, painter = large
    output = tmp_path / "out"
    chance = random.Random(f"{kill.__name__} {seed}")
    moment = chance.randint(1, PICTURES)
    driver = start(nodes, source, output, painter, 0.01)
    deadline = time.monotonic() + 300
    while seen(output) < moment and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    if driver.poll() is not None or time.monotonic() >= deadline:
        driver.kill()
        pytest.fail(f"{seen(output)} of {moment}: {told(output, 'err').read_text()}")
    kill(nodes, driver, chance)
    made = {name: data for name, data in results(output).items() if wanted[name] != data}
    assert not made, "partial"
    if kill is kill_driver:
        driver.wait()
        driver = start(nodes, source, output, painter, 0.01)
    outcomes = finish(driver, output)
    assert Counter(outcome["status"] for outcome in outcomes).keys() <= {"done", "skipped"}
    assert len({outcome["input"] for outcome in outcomes}) == len(outcomes) == PICTURES + 1
    assert results(output) == wanted
    assert whole(output) == left
    done = Counter(line["output"] for line in journal(output) if line["event"] == "done")
    assert set(done.values()) == {1}, "made twice"
    if nodes.second is None:
        nodes.add()


@pytest.mark.slow
def test_two_workers_are_nearly_twice_as_fast_as_one(nodes: Nodes, tmp_path: Path, painter: Path) -> None:
    """On work that is not held up by this machine's cores."""
    source = album(tmp_path / "in", 120)
    seconds = {}
    for workers in (2, 1):
        if workers == 1:
            nodes.kill_second()
            time.sleep(15)  # the head needs to notice
        times: list[float] = []

        class Clock(NullListener):
            def used(self, *_: Any, times: list[float] = times) -> None:
                times.append(time.monotonic())

        recipe = Recipe(Stage("painter", {"sleep": 0.5}))
        request = RunRequest([source], recipe, tmp_path / f"{workers}", cluster=nodes.address, batch=1)
        outcomes = run(request, PluginHost.load([painter]), Clock())
        seconds[workers] = time.monotonic() - times[0]
        assert {outcome.status for outcome in outcomes} == {"done"}
    nodes.add()
    shutil.rmtree(tmp_path / "1")
    assert seconds[1] / seconds[2] >= 1.8, seconds
