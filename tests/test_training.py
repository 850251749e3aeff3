"""The training loop: data, order, checkpoints, resume after a kill, export."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from colorpipe import training
from colorpipe.errors import TrainingError, WeightsError
from colorpipe.evaluation import protocols
from colorpipe.training.data import (
    BatchOrder,
    Pictures,
    Samples,
    find_pictures,
    imitate_age,
    load_square,
    repeated,
    split,
    to_grey,
)

pytest.importorskip("lightning")

SIDE = 32


class TinyTask(training.Task):
    """One convolution from L to ab: enough of a network to be trained."""

    picture_side = SIDE

    def network(self) -> torch.nn.Module:
        return torch.nn.Conv2d(1, 2, 4, 4)

    def loss(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
        error: torch.Tensor = network(L / 100) - ab / 100
        return error.square().mean()

    def validate(self, network: torch.nn.Module, rgb: torch.Tensor) -> Mapping[str, float]:
        return {"loss": float(network(rgb[..., :1].permute(0, 3, 1, 2) / 255).square().mean())}

    def export(self, network: torch.nn.Module) -> tuple[Mapping[str, torch.Tensor], Mapping[str, str]]:
        return network.state_dict(), {"architecture": "tiny"}


def options(**changes: object) -> training.TrainingOptions:
    small: dict[str, object] = {
        "steps": 12,
        "batch": 4,
        "side": SIDE,
        "final_side": SIDE,
        "validate_every": 4,
        "device": "cpu",
    }
    return training.TrainingOptions(**{**small, "precision": "fp32", **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 small pictures, four of them in a folder below."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    rng = np.random.default_rng(0)
    for index in range(24):
        coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
        picture = cv2.resize(coarse, (60, 40), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / ("more" if index % 6 == 0 else ".") / f"{index:02d}.png"), picture)
    return folder


def losses(output: Path) -> list[tuple[str, str]]:
    with training.RunFiles(output).log.open() as handle:
        return [(row["step"], row["loss"]) for row in csv.DictReader(handle) if row.get("loss")]


def test_a_run_leaves_weights_log_and_plot(data: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    output = tmp_path / "new" / "tiny.safetensors"
    result = training.fit(TinyTask(options()), data, output)
    assert result.steps == 12
    assert result.scores["loss"] > 0
    assert [step for step, _ in losses(output)] == ["4", "8", "12"]
    assert training.RunFiles(output).plot.read_bytes().startswith(b"\x89PNG")
    with safe_open(output, "pt") as file:
        assert file.metadata() == {"architecture": "tiny"}
        assert {name: file.get_tensor(name).dtype for name in file.keys()} == {  # noqa: SIM118
            "weight": torch.float16,
            "bias": torch.float16,
        }
    assert sorted(p.name for p in output.parent.iterdir()) == ["tiny.ckpt", "tiny.csv", "tiny.png", "tiny.safetensors"]


def test_the_same_seed_gives_the_same_weights(data: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for output, seed in zip(outputs, (1, 1, 2), strict=True):
        training.fit(TinyTask(options(seed=seed, steps=3)), data, output)
    a, b, c = (output.read_bytes() for output in outputs)
    assert a == b != c


def test_a_killed_run_goes_on_along_the_same_curve(data: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle, then resume: log and weights equal those of a run that was left alone."""
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    training.fit(TinyTask(options(steps=20)), data, whole)
    script = (
        "import sys, time; sys.path[:0] = [sys.argv[1]]\n"
        "from pathlib import Path\n"
        "import test_training as t\n"
        "class Slow(t.TinyTask):\n"
        "    def loss(self, network, L, ab, step):\n"
        "        time.sleep(0.05 if step < 9 else 60)\n"
        "        return super().loss(network, L, ab, step)\n"
        "t.training.fit(Slow(t.options(steps=20, checkpoint_minutes=0)), Path(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    here = str(Path(__file__).parent)
    child = subprocess.Popen([sys.executable, "-c", script, here, str(data), str(cut)])
    checkpoint = training.RunFiles(cut).checkpoint
    try:
        deadline = time.monotonic() + 60
        while not any(step == "8" for step, _ in losses(cut)) if training.RunFiles(cut).log.exists() else True:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        while not checkpoint.exists():
            time.sleep(0.05)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with pytest.raises(TrainingError, match="unfinished run"):
        training.fit(TinyTask(options(steps=20)), data, cut)
    training.fit(TinyTask(options(steps=20, resume=True)), data, cut)
    assert losses(cut) == losses(whole)
    assert cut.read_bytes() == whole.read_bytes()


class Rivals(TinyTask):
    """Two networks, the second of which undoes what the first has just done."""

    losses_of = ("loss_first", "loss")

    def network(self) -> torch.nn.Module:
        return torch.nn.ModuleDict({"first": torch.nn.Conv2d(1, 2, 4, 4), "second": torch.nn.Conv2d(1, 2, 4, 4)})

    def optimizers(self, network: torch.nn.Module) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(network[name].parameters(), 0.1) for name in network]  # type: ignore[attr-defined, operator]

    def schedule(self, step: int, progress: float) -> float:
        return 1.0

    def losses(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> Iterator[torch.Tensor]:
        assert isinstance(network, torch.nn.ModuleDict)
        before = network["first"].weight.detach().clone()
        fake = torch.nn.functional.dropout(network["first"](L / 100), 0.1)
        yield (fake - ab / 100).square().mean() + 0 * network["second"](L).sum()
        assert not torch.equal(before, network["first"].weight), "its optimizer has not taken its step"
        weight, bias = (p.detach().clone() for p in network["first"].parameters())
        now = torch.nn.functional.conv2d(L / 100, weight, bias, 4)
        assert torch.equal(network["first"](L / 100), now), "autocast has kept the weights from before it"
        yield (network["first"](L / 100).detach() + network["second"](L / 100)).square().mean()

    def validate(self, network: torch.nn.Module, rgb: torch.Tensor) -> Mapping[str, float]:
        assert isinstance(network, torch.nn.ModuleDict)
        return super().validate(network["first"], rgb)


def test_two_networks_take_turns_and_resume(data: Path, tmp_path: Path) -> None:
    class Dies(Rivals):
        def losses(self, network: torch.nn.Module, *values: Any, step: int) -> Iterator[torch.Tensor]:
            if step == 7:
                raise KeyboardInterrupt
            return super().losses(network, *values, step=step)

    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    result = training.fit(Rivals(options()), data, whole)
    assert result.steps == 12
    with training.RunFiles(whole).log.open() as handle:
        rows = [row for row in csv.DictReader(handle) if row.get("loss")]
    assert [float(row["rate"]) for row in rows] == [pytest.approx(1.5e-3)] * 3
    assert all(float(row["loss_first"]) > 0 for row in rows)
    with pytest.raises(KeyboardInterrupt):
        training.fit(Dies(options()), data, cut)
    training.fit(Rivals(options(resume=True)), data, cut)
    assert losses(cut) == losses(whole)
    assert cut.read_bytes() == whole.read_bytes()


def test_the_second_network_answers_the_first_as_it_is_now(data: Path, tmp_path: Path) -> None:
    """In bf16, where autocast keeps converted weights: ``Rivals`` looks."""
    assert training.fit(Rivals(options(steps=3, precision="bf16")), data, tmp_path / "w.safetensors").steps == 3


def test_the_best_weights_are_kept_beside_the_last(data: Path, tmp_path: Path) -> None:
    class Worse(TinyTask):
        average = 0.0

        def loss(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
            return super().loss(network, L, ab, step)

        def validate(self, network: torch.nn.Module, rgb: torch.Tensor) -> Mapping[str, float]:
            self.seen = [*getattr(self, "seen", []), network.weight.detach().clone()]  # type: ignore[operator]
            return {"loss": float(len(self.seen))}

    from safetensors.torch import load_file

    task, output = Worse(options(keep_best=True)), tmp_path / "w.safetensors"
    training.fit(task, data, output)
    best, last = load_file(training.RunFiles(output).best), load_file(output)
    assert torch.equal(best["weight"], task.seen[1].half())  # the first look is at the start
    assert torch.equal(last["weight"], task.seen[-1].half())
    assert not torch.equal(best["weight"], last["weight"])


def test_a_preprocessor_changes_what_the_network_sees(data: Path, tmp_path: Path) -> None:
    class Looks(TinyTask):
        def loss(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
            self.highest = max(getattr(self, "highest", 0.0), float(L.amax((1, 2, 3)).min()))
            return super().loss(network, L, ab, step)

    for name, stretched in ((None, False), ("autocontrast", True)):
        task = Looks(options(preprocessor=name, steps=2))
        training.fit(task, data, tmp_path / f"{name}.safetensors")
        assert (task.highest > 99) == stretched


def test_equal_weights_give_an_equal_file(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from colorpipe.weights.checkpoints import read_tensors

    tensors = {name: torch.randn(5, generator=torch.Generator().manual_seed(0)) for name in "bca"}
    metadata = {name: name * 3 for name in "zyxwvut"}
    for name in ("first", "second"):
        training.save_weights(tmp_path / name, tensors, metadata)
        tensors, metadata = dict(reversed(tensors.items())), dict(reversed(metadata.items()))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert torch.equal(load_file(tmp_path / "first")["c"], tensors["c"].half())
    assert read_tensors(tmp_path / "first")[1] == metadata


def test_minutes_end_a_run(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "short.safetensors"
    result = training.fit(TinyTask(options(steps=10**6, minutes=0.01)), data, output)
    assert 0 < result.steps < 10**6
    assert output.exists()


def test_a_finished_run_is_extended(data: Path, tmp_path: Path) -> None:
    """The step count, the data's order and the optimizer go on; the schedule begins again."""
    output, seen = tmp_path / "w.safetensors", []

    class Noted(TinyTask):
        def loss(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
            seen.append((step, network.weight.detach().clone(), float(L.sum())))
            return super().loss(network, L, ab, step)

    first = training.fit(Noted(options(steps=8, rate=0.01)), data, output)
    weights, ended = output.read_bytes(), seen[-1]
    again = training.fit(Noted(options(steps=6, resume=True, rate=0.02)), data, output)
    assert (first.steps, again.steps) == (8, 14)
    assert again.minutes > first.minutes
    assert [step for step, *_ in seen] == list(range(14))
    assert (seen[8][1] - ended[1]).abs().max() < 0.01  # from where it was, not from random weights
    assert len({total for *_, total in seen}) == 14  # no batch comes twice
    assert output.read_bytes() != weights
    with training.RunFiles(output).log.open() as handle:
        rates = {int(row["step"]): float(row["rate"]) for row in csv.DictReader(handle) if row["rate"]}
    assert rates[12] > rates[8]
    assert again.start["loss"] == pytest.approx(first.scores["loss"], abs=1e-3)
    training.RunFiles(output).finished.unlink()
    with pytest.raises(TrainingError, match=r"has no checkpoint to go on from .*w\.ckpt is not there"):
        training.fit(Noted(options(resume=True)), data, output)
    assert output.exists()


def test_minutes_extend_a_finished_run(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    first = training.fit(TinyTask(options(steps=10**6, minutes=0.01)), data, output)
    again = training.fit(TinyTask(options(steps=10**6, minutes=0.01, resume=True)), data, output)
    assert again.steps > first.steps
    assert again.minutes >= first.minutes + 0.01


def test_pictures_from_elsewhere_take_the_place_of_the_held_out(data: Path, tmp_path: Path) -> None:
    """They decide when the run ends, wherever they lie; none is trained on, and the held-out ones are still scored."""
    album = tmp_path / "album"
    shutil.copytree(data, album)
    (album / "elsewhere").mkdir()
    for shade in range(3):
        cv2.imwrite(str(album / "elsewhere" / f"{shade}.png"), np.full((30, 30, 3), 100 + shade, np.uint8))
    trained: set[str] = set()

    class Seen(TinyTask):
        def prepare(self, pictures: training.TrainingPictures, training: list[int]) -> None:
            trained.update(pictures.names)

        def validate(self, network: torch.nn.Module, rgb: torch.Tensor) -> Mapping[str, float]:
            plain = bool((rgb.float().std((1, 2)) == 0).all())
            return {"loss": 1.0 if plain else 2.0, "gain": float(len(rgb))}

    task = Seen(options(steps=400, patience=2, validation=album / "elsewhere"))
    result = training.fit(task, album, tmp_path / "w.safetensors")
    assert result.steps == 12
    assert (result.scores, result.pictures) == ({"loss": 1.0, "gain": 3.0}, 3)
    assert result.held_out == {"loss": 2.0, "gain": 2.0}
    assert result.held_out_pictures == 2
    assert len(trained) == 24
    assert not any(Path(name).parent.name == "elsewhere" for name in trained)
    with training.RunFiles(tmp_path / "w.safetensors").log.open() as handle:
        assert {row["val_loss"] for row in csv.DictReader(handle) if row["val_loss"]} == {"1.0000"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="0 readable pictures are too few to score by; give at least 1"):
        training.fit(Seen(options(validation=tmp_path / "empty")), album, tmp_path / "v.safetensors")


def test_scores_are_explained_and_set_beside_the_start() -> None:
    from colorpipe.training.meanings import told

    class Own(TinyTask):
        meanings: ClassVar[Mapping[str, Any]] = {"skin": ("hue of faces, degrees off", "lower")}

    scores = {"loss": 0.5, "gain": 0.8, "vivid": 0.7, "skin": 9.0}
    start = {"loss": 0.5, "gain": -0.1, "vivid": 1.2, "skin": 4.0}
    loss, gain, vivid, skin = told(scores, Own(options()), start)
    assert loss == "  loss 0.500, as at the start (0.500): the error that training makes small; lower is better"
    assert gain.startswith("  gain 0.800, better than at the start (-0.100): decibels nearer to the true colours than")
    assert vivid.startswith("  vivid 0.700, worse than at the start (1.200): colourfulness beside the true pictures'")
    assert skin == "  skin 9.000, worse than at the start (4.000): hue of faces, degrees off; lower is better"


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_arrays_stay_in_the_heap_while_training_on_a_cpu(data: Path, tmp_path: Path) -> None:
    """A large array that is freed and made again has the same pages: the kernel need not clear them anew."""
    script = (
        "import resource, sys\n"
        "from colorpipe.training.memory import keep_memory\n"
        "if sys.argv[1] == 'kept': keep_memory()\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "b'1' * (1 << 26)\n"
        "before = faults()\n"
        "for _ in range(10): b'1' * (1 << 26)\n"
        "print(faults() - before)\n"
    )
    counts = {}
    for how in ("kept", "plain"):
        done = subprocess.run([sys.executable, "-c", script, how], capture_output=True, text=True, check=True)
        counts[how] = int(done.stdout)
    if counts["plain"] < 1000:
        pytest.skip("this C library keeps its memory anyway")
    assert counts["kept"] < counts["plain"] / 20


def test_patience_ends_a_run(data: Path, tmp_path: Path) -> None:
    class Stuck(TinyTask):
        def validate(self, network: torch.nn.Module, rgb: torch.Tensor) -> Mapping[str, float]:
            return {"loss": 1.0}

    result = training.fit(Stuck(options(steps=400, patience=2)), data, tmp_path / "stuck.safetensors")
    assert result.steps == 12  # the first validation sets the mark, the next two do not pass it


def test_nothing_is_printed_without_a_terminal(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    training.fit(TinyTask(options(steps=2)), data, tmp_path / "quiet.safetensors")
    assert capfd.readouterr() == ("", "")


def test_too_few_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(TrainingError, match="3 readable pictures are too few"):
        training.fit(TinyTask(options()), folder, tmp_path / "o.safetensors")
    with pytest.raises(TrainingError, match="is not a folder"):
        training.fit(TinyTask(options()), tmp_path / "absent", tmp_path / "p.safetensors")


def test_resume_without_a_checkpoint_begins(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    training.fit(TinyTask(options(steps=2)), data, tmp_path / "a.safetensors")
    training.fit(TinyTask(options(steps=2, resume=True)), data, tmp_path / "b.safetensors")
    assert "no checkpoint" in capfd.readouterr().err
    a, b = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_what_is_wrong_with_the_call_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="safetensors"):
        training.fit(TinyTask(options()), data, tmp_path / "o.pth")
    with pytest.raises(TrainingError, match="multiple of 32, not 100"):
        training.fit(TinyTask(options(side=100)), data, tmp_path / "o.safetensors")


def test_a_loss_that_is_not_finite_stops_the_run(data: Path, tmp_path: Path) -> None:
    class Broken(TinyTask):
        def loss(self, network: torch.nn.Module, L: torch.Tensor, ab: torch.Tensor, step: int) -> torch.Tensor:
            return super().loss(network, L, ab, step) * float("nan")

    with pytest.raises(TrainingError, match="loss is nan at step 4"):
        training.fit(Broken(options()), data, tmp_path / "o.safetensors")


def test_an_unreadable_picture_is_named_once_and_skipped(data: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    lines: list[str] = []
    files = [*find_pictures(data), tmp_path / "broken.jpg"]
    pictures = Pictures(files, SIDE, tmp_path / "map", lines.append)
    assert len(pictures) == 24
    assert len(lines) == 1
    assert "broken.jpg" in lines[0]
    Pictures(files, SIDE, tmp_path / "map", lines.append)  # taken up again: nothing is decoded, nothing said
    assert len(lines) == 1


def test_pictures_are_found_below_and_hidden_ones_are_not(data: Path, tmp_path: Path) -> None:
    assert len(find_pictures(data)) == 24
    for name in (".hidden.png", "notes.txt", "real.PNG"):
        (tmp_path / name).touch()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "icon.png").touch()
    assert [p.name for p in find_pictures(tmp_path)] == ["real.PNG"]


def test_a_picture_is_squashed_to_srgb(tmp_path: Path) -> None:
    alpha = np.dstack([np.full((20, 50, 3), (10, 20, 200), np.uint8), np.full((20, 50), 255, np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), alpha)
    cv2.imwrite(str(tmp_path / "g.png"), np.full((9, 7), 77, np.uint8))
    assert load_square(tmp_path / "a.png", 32).shape == (32, 32, 3)
    assert load_square(tmp_path / "a.png", 32)[5, 5].tolist() == [200, 20, 10]
    assert load_square(tmp_path / "g.png", 32)[0, 0].tolist() == [77, 77, 77]


def test_a_padded_picture_keeps_its_proportions(tmp_path: Path) -> None:
    for name, (height, width), inside in (
        ("wide", (20, 50), (9, 21)),
        ("tall", (50, 20), None),
        ("tiny", (2, 4), (8, 23)),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((height, width, 3), (10, 20, 200), np.uint8))
        square = load_square(tmp_path / f"{name}.png", 32, pad=True)
        assert square.shape == (32, 32, 3)
        assert square[16, 16].tolist() == [200, 20, 10]
        assert square[0, 0].tolist() == [255, 255, 255]
        if inside:  # rows of the picture
            coloured = np.flatnonzero((square[:, 16] != 255).any(-1))
            assert (coloured[0], coloured[-1]) == inside


def test_chroma_is_averaged_over_areas(data: Path, tmp_path: Path) -> None:
    from colorpipe.color import rgb_to_lab

    pictures = Pictures(find_pictures(data), SIDE, tmp_path, pytest.fail, pad=True)
    ab = pictures.chroma(3, 8)
    assert ab.shape == (8, 8, 2)
    mean = pictures[3].reshape(8, 4, 8, 4, 3).mean((1, 3)).astype(np.float32) / 255
    np.testing.assert_allclose(ab, rgb_to_lab(mean).ab, atol=1.5)  # the average is rounded to codes
    assert not np.array_equal(ab, Pictures(find_pictures(data), SIDE, tmp_path, pytest.fail).chroma(3, 8))


def test_the_split_hangs_on_file_names_only() -> None:
    names = [f"/a/{i}.jpg" for i in range(100)]
    training_part, held = split(names, 500)
    assert len(held) == 10
    assert sorted(training_part + held) == list(range(100))
    moved = [f"/elsewhere/{i}.jpg" for i in range(100)]
    assert split(moved, 500) == (training_part, held)
    assert len(split(names, 5)[1]) == 5


def test_a_share_may_be_held_out_and_a_protocol_scores_just_that() -> None:
    names = [f"{index}.jpg" for index in range(400)]
    training_part, validation = split(names, 500, 0.3)
    assert 100 < len(validation) < 140
    assert sorted(training_part + validation) == list(range(400))
    protocol = protocols.get("split-70-30.v1")
    assert {index for index in range(400) if protocol.is_scored(Path(names[index]))} == set(validation)
    assert [len(part) for part in split(names[:2], 1, 0.9)] == [1, 1], "neither side is empty"


def test_the_order_is_a_function_of_the_step() -> None:
    def side(step: int) -> int:
        return SIDE

    indices = list(range(10, 20))
    whole = iter(BatchOrder(indices, 3, 7, 0, side))
    first = [next(whole) for _ in range(12)]
    late = iter(BatchOrder(indices, 3, 7, 5, side))
    assert [next(late) for _ in range(7)] == first[5:]
    drawn = [draw.index for batch in first for draw in batch]
    assert all(sorted(drawn[i : i + 10]) == indices for i in (0, 10, 20))
    assert drawn[:10] != drawn[10:20]


def test_a_sample_is_a_function_of_its_number(data: Path, tmp_path: Path) -> None:
    pictures = Pictures(find_pictures(data), SIDE, tmp_path, pytest.fail)
    samples = Samples(pictures, seed=3, stride=4, age=1.0)
    batch = next(iter(BatchOrder(list(range(24)), 4, 3, 0, lambda step: 64)))
    L, ab = samples[batch[0]]
    assert L.shape == (1, 64, 64)
    assert L.dtype == np.float32
    assert 0 <= L.min() <= L.max() <= 100
    assert ab.shape == (2, 16, 16)
    assert ab.dtype == np.float32
    assert np.abs(ab).max() > 5
    np.testing.assert_array_equal(samples[batch[0]][0], L)
    assert not np.array_equal(samples[batch[1]][0], L)


def test_grey_stays_grey_whatever_the_film() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for seed in range(20):
        result = to_grey(np.dstack([ramp] * 3), np.random.default_rng(seed))
        assert result.dtype == np.uint8
        assert np.abs(result.astype(int) - ramp).max() <= 1


def test_listed_pictures_are_shown_more_often(data: Path, tmp_path: Path) -> None:
    names = [f"a/{number}.webp" for number in range(20)]
    listed = tmp_path / "more.txt"
    listed.write_text("3.webp\n7.webp\n3.webp\n\n19.webp\nnobody.webp\n")
    assert repeated(listed, names, list(range(15))) == [3, 3, 7]  # 19 is held out
    listed.write_text("nobody.webp\n")
    with pytest.raises(TrainingError, match=r"more\.txt names none"):
        repeated(listed, names, list(range(15)))
    with pytest.raises(TrainingError, match="cannot read the list"):
        training.fit(TinyTask(options(repeat=tmp_path / "absent.txt")), data, tmp_path / "o.safetensors")


def test_age_is_modest() -> None:
    picture = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8), (64, 64)).astype(np.uint8)
    for seed in range(20):
        aged = imitate_age(picture, np.random.default_rng(seed))
        assert aged.shape == picture.shape
        assert aged.dtype == np.uint8
        assert np.corrcoef(aged.ravel(), picture.ravel())[0, 1] > 0.9


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> training.TrainingResult:
    """Three steps of the compact network."""
    from colorpipe_zhang.options import TrainOptions
    from colorpipe_zhang.training import ZhangTask

    settings = TrainOptions(
        steps=3, batch=2, side=SIDE, final_side=64, final_share=0.4, validate_every=3, device="cpu", natural_T=0.5
    )
    return training.fit(ZhangTask(settings), data, tmp_path_factory.mktemp("zhang") / "w.safetensors")


class TestZhang:
    """The first task that uses the loop."""

    def test_the_export_loads_back_strictly(self, trained: training.TrainingResult) -> None:
        from colorpipe_zhang.compact import CompactZhang

        network = CompactZhang()
        network.load_state_dict(load_file(trained.output), strict=True)
        with torch.no_grad():
            assert network(torch.full((1, 1, 64, 64), 50.0)).isfinite().all()

    def test_the_metadata_say_how_it_was_made(self, trained: training.TrainingResult) -> None:
        from safetensors import safe_open

        with safe_open(trained.output, "pt") as file:
            metadata = file.metadata()
        assert metadata["architecture"] == "colorpipe-compact-zhang"
        assert float(metadata["natural_T"]) == 0.5
        assert float(metadata["natural_vibrance"]) >= 1
        assert len(json.loads(metadata["log_weights"])) == 313
        assert json.loads(metadata["training"])["rebalance"] == 0.5

    def test_scores(self, trained: training.TrainingResult) -> None:
        assert set(trained.scores) == {"loss", "gain", "vivid"}
        assert all(np.isfinite(v) for v in trained.scores.values())

    def test_the_correction_moves_the_bias_by_log_w(self) -> None:
        from colorpipe_zhang.options import TrainOptions
        from colorpipe_zhang.training import ZhangTask

        biases = []
        for share in (0.0, 0.25):
            task = ZhangTask(TrainOptions(rebalance_correction=share, lift=0, restraint=0))
            task.weights = torch.linspace(0.5, 8, 313)
            torch.manual_seed(0)
            biases.append(task.export(task.network())[0]["classify.bias"])
        torch.testing.assert_close(biases[0] - biases[1], 0.25 * torch.linspace(0.5, 8, 313).log())

    def test_where_it_begins(self, trained: training.TrainingResult, tmp_path: Path) -> None:
        from safetensors import safe_open

        from colorpipe_zhang import BUNDLED
        from colorpipe_zhang.compact import CompactZhang
        from colorpipe_zhang.options import TrainOptions
        from colorpipe_zhang.training import ZhangTask

        def begin(start: str) -> CompactZhang:
            torch.manual_seed(0)
            return ZhangTask(TrainOptions(start=start)).network()

        bundled = load_file(BUNDLED)
        encoder, whole, random = begin("encoder"), begin("bundled"), begin("random")
        top = bundled["top.weight"].float()
        for network in (encoder, whole):
            assert torch.equal(network.stem.weight, bundled["stem.weight"].float())
            assert not network.stem.weight.requires_grad
        assert torch.equal(whole.top.weight, top)
        assert torch.equal(encoder.top.weight, random.top.weight)
        assert not torch.equal(random.top.weight, top)
        assert random.stem.weight.requires_grad
        with safe_open(BUNDLED, "pt") as file:  # what the export added is not learned upon
            shift = torch.tensor(json.loads(file.metadata()["logit_shift"]))
            stated = torch.tensor(json.loads(file.metadata()["log_weights"]))
        torch.testing.assert_close(whole.classify.bias + shift, bundled["classify.bias"].float())
        other = ZhangTask(TrainOptions(start="bundled"))  # other rebalancing takes the place of what was learned with
        other.log_weights = torch.linspace(-1, 1, 313)
        torch.testing.assert_close(other.network().classify.bias - whole.classify.bias, other.log_weights - stated)
        assert torch.equal(begin(str(trained.output)).fuse4.weight, load_file(trained.output)["fuse4.weight"].float())
        (tmp_path / "other.safetensors").write_bytes(b"no weights")
        with pytest.raises(WeightsError, match=r"other\.safetensors"):
            begin(str(tmp_path / "other.safetensors"))

    def test_the_loss_prefers_the_right_colour(self) -> None:
        from colorpipe_zhang import bins
        from colorpipe_zhang.options import TrainOptions
        from colorpipe_zhang.training import ZhangTask

        task = ZhangTask(TrainOptions())
        ab = torch.tensor([30.0, -20.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
        centre = bins.bin_centres().tolist().index([30.0, -20.0])
        right, wrong = torch.zeros(1, 313, 4, 4), torch.zeros(1, 313, 4, 4)
        right[:, centre], wrong[:, (centre + 100) % 313] = 5, 5
        assert task._cross_entropy(right, ab) < task._cross_entropy(torch.zeros_like(right), ab)
        assert task._cross_entropy(torch.zeros_like(right), ab) < task._cross_entropy(wrong, ab)
