"""patch-knn against a search over all patches, and on pictures whose answer is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from colorpipe import Batch, Encoding, Frame, Lab, OptionError, Session, UsageError, color
from colorpipe.guidance.reference import code_values, grey_codes, palette, patches, tint
from colorpipe_patch_knn import PatchKnn, knn
from tests.conftest import Cli
from tests.helpers import write_grey

COFFEE = Path(__file__).parents[1] / "samples" / "colour" / "coffee.jpg"
CPU = torch.device("cpu")
FLAT = np.array([(200, 60, 40), (30, 140, 60), (40, 60, 190), (235, 225, 200)], np.uint8)


def lab_of(rgb: np.ndarray) -> Lab:
    return color.rgb_to_lab(rgb.astype(np.float32) / np.float32(255))


def few_greys(shape: tuple[int, int], levels: int, seed: int) -> np.ndarray:
    """A random picture of so few greys that many patches are equal, and many equally near."""
    return (np.random.default_rng(seed).integers(0, levels, shape) * (255 // levels)).astype(np.uint8)


def learned(rgb: np.ndarray, **options: object) -> PatchKnn:
    made = PatchKnn(PatchKnn.Options(**options))
    made.learn(lab_of(rgb), CPU)
    return made


def predicted(colorizer: PatchKnn, *greys: np.ndarray) -> np.ndarray:
    """(N, H, W, 2) ab."""
    L = color.lightness_of(np.stack(greys).astype(np.float32) / np.float32(255))
    return colorizer.predict(Batch(torch.from_numpy(L[:, None]))).ab.permute(0, 2, 3, 1).numpy()


def luminosity(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = cv2.split(rgb)
    return color.grey((red, green, blue), "luminosity")


def all_compared(known: np.ndarray, wanted: np.ndarray, n: int) -> np.ndarray:
    """The n nearest by squared difference, of equals the first: every pair, in whole numbers."""
    squares = ((wanted.astype(np.int64)[:, None] - known.astype(np.int64)) ** 2).sum(2)
    return np.argsort(squares, axis=1, kind="stable")[:, :n]


@pytest.mark.parametrize("side", [3, 5, 7, 15])
@pytest.mark.parametrize("levels", [2, 4, 256])
@pytest.mark.parametrize("n", [1, 20])
def test_the_nearest_are_those_of_comparing_all_with_all(side: int, levels: int, n: int) -> None:
    known = patches(few_greys((20, 23), levels, seed=1), side)
    wanted = patches(few_greys((17, 19), levels, seed=2), side)
    assert np.array_equal(knn.PatchIndex(known, n).nearest(wanted), all_compared(known, wanted, n))


@pytest.mark.parametrize("side", [3, 7])
def test_neither_threads_nor_portions_change_what_is_found(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known, wanted = (patches(few_greys((40, 40), 8, seed), side) for seed in (1, 2))
    expected = knn.PatchIndex(known, 6).nearest(wanted)
    monkeypatch.setattr(knn, "KEYS", 1000)
    monkeypatch.setattr(knn, "PAIRS", 20_000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert np.array_equal(knn.PatchIndex(known, 6).nearest(wanted), expected)


def test_large_patches_keep_their_whole_numbers() -> None:
    """A step of one code value in one pixel of 225 is seen from the other end of the scale and from beside."""
    black, *bright = np.full((9, 225), 255, np.uint8)
    black[:] = 0
    for step, patch in enumerate(bright):
        patch[: 7 - step] = 254
    index = knn.PatchIndex(np.stack(bright), 8)
    assert index.nearest(np.stack([black, bright[-1]])).tolist() == [[*range(8)], [*range(7, -1, -1)]]


def test_votes_worked_by_hand() -> None:
    votes = np.array(
        [
            [3, 1, 1, 1, 2, 2],  # three for 1
            [3, 1, 2, 2, 1, 0],  # two each for 1 and 2, whose nearest is nearer
            [0, 3, 2, 1, 4, 5],  # one each: the nearest
            [2, 5, 5, 2, 5, 2],  # three each: 2's nearest is nearer
        ]
    )
    assert knn.majority(votes).tolist() == [1, 1, 0, 2]
    tints = np.array([[0, 0], [1, 10], [2, 20], [3, 30], [4, 40], [5, 50]], np.float32)
    assert knn.mean(tints, votes)[:, 0].tolist() == pytest.approx([10 / 6, 9 / 6, 15 / 6, 21 / 6])
    assert knn.mean(tints, votes)[:, 1].tolist() == pytest.approx([100 / 6, 90 / 6, 150 / 6, 210 / 6])


@pytest.mark.parametrize("vote", ["majority", "mean"])
@pytest.mark.parametrize("side", [3, 5, 9])
def test_a_whole_prediction_is_that_of_plain_loops(vote: str, side: int) -> None:
    rng = np.random.default_rng(4)
    rgb = (rng.integers(0, 6, (14, 11, 3)) * 50).astype(np.uint8)
    grey = few_greys((9, 13), 6, seed=3)
    found = predicted(learned(rgb, k=7, patch=side, vote=vote, seed=2), grey)[0]

    colours, entry = palette(rgb.reshape(-1, 3), 7, seed=2)
    nearest = all_compared(patches(luminosity(rgb), side), patches(grey, side), 6)
    L = color.lightness_of(grey.astype(np.float32) / np.float32(255)).ravel()
    for place, neighbours in enumerate(nearest):
        lab = color.rgb_to_lab((colours[entry[neighbours]] / 255).astype(np.float32)[None])
        assert lab.ab is not None
        shaded = lab.ab[0] * ((L[place] + 16) / (lab.L[0] + 16))[:, None]
        if vote == "mean":
            wanted = shaded.mean(0)
        else:
            counts = Counter(entry[neighbours].tolist())
            most = [colour for colour in counts if counts[colour] == max(counts.values())]  # in order of distance
            wanted = shaded[entry[neighbours].tolist().index(most[0])]
        assert np.abs(found.reshape(-1, 2)[place] - wanted).max() < 1e-3


@pytest.mark.parametrize("side", [3, 5, 7])
def test_a_picture_learned_from_itself_gets_its_own_colours(side: int) -> None:
    rgb = FLAT[np.random.default_rng(0).integers(0, 4, (6, 9))].repeat(7, 0).repeat(7, 1)
    made = learned(rgb, k=4, patch=side, neighbours=1)
    grey = luminosity(rgb)
    L = color.lightness_of(grey.astype(np.float32) / np.float32(255))
    assert np.array_equal(predicted(made, grey)[0], tint(rgb) * (L[..., None] + 16))


def test_borders_are_coloured_as_the_inside() -> None:
    rgb = np.repeat(FLAT[None, :2], 8, 0).repeat(10, 1)  # 8x20, two halves
    ab = predicted(learned(rgb, k=2), luminosity(rgb))[0]
    assert np.ptp(ab[:, :9], axis=(0, 1)).max() == 0
    assert np.ptp(ab[:, 11:], axis=(0, 1)).max() == 0
    assert np.abs(ab[0, 0] - ab[0, -1]).max() > 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 3)])
@pytest.mark.parametrize("side", [3, 15])
def test_a_tiny_reference_is_enough(shape: tuple[int, int], side: int) -> None:
    rgb = np.broadcast_to(FLAT[0], (*shape, 3)).copy()
    ab = predicted(learned(rgb, patch=side), few_greys((5, 4), 9, 0))[0]
    a, b = np.moveaxis(ab, -1, 0)
    expected = tint(FLAT[0])
    assert np.allclose(a / b, expected[0] / expected[1], atol=1e-4)
    assert (a > 0).all()


def test_a_reference_of_one_colour_gives_it_everywhere() -> None:
    rgb = np.full((20, 20, 3), FLAT[2], np.uint8)
    made = learned(rgb, k=64)
    grey = few_greys((8, 8), 200, 0)
    L = color.lightness_of(grey.astype(np.float32) / np.float32(255))
    assert np.abs(predicted(made, grey)[0] - tint(FLAT[2]) * (L[..., None] + 16)).max() < 1e-3


def test_neighbours_in_the_batch_do_not_matter_and_the_last_reference_counts() -> None:
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 256, (2, 30, 30, 3), dtype=np.uint8)
    greys = rng.integers(0, 256, (3, 12, 10), dtype=np.uint8)
    made = learned(first)
    before = predicted(made, greys[1])
    assert np.array_equal(predicted(made, *greys)[1], before[0])
    made.learn(lab_of(second), CPU)
    assert not np.array_equal(predicted(made, greys[1]), before)
    made.learn(lab_of(first), CPU)
    assert np.array_equal(predicted(made, greys[1]), before)


def test_grey_says_how_the_reference_becomes_grey() -> None:
    """Two colours of the same luminosity, told apart by BT.601's weights."""
    red, green = np.array([(219, 40, 40), (40, 92, 43)], np.uint8)
    rgb = np.repeat(np.stack([red, green])[None], 10, 0).repeat(10, 1)
    assert np.ptp(luminosity(rgb)) == 0
    codes = color.grey(tuple(cv2.split(rgb)), "rec601")
    ab = predicted(learned(rgb, k=2, grey="rec601"), codes)[0]
    assert ab[5, 2, 0] > 20 > 0 > ab[5, -3, 0]


def test_a_large_reference_is_learned_at_the_size_at_which_pictures_are_seen() -> None:
    rgb = np.repeat(FLAT[None, :2], 4, 0).repeat(1500, 1)
    made = learned(rgb, k=2)
    assert made._index.nearest(patches(np.zeros((1, 1), np.uint8), 3)).max() < 1024 * 4
    assert PatchKnn.input_size.limit == 1024


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patch": 4}, "patch is odd, not 4"),
        ({"patch": 17}, r"patch takes a whole number in 3\.\.15"),
        ({"k": 1}, r"k takes a whole number in 2\.\.64"),
        ({"k": 65}, r"k takes a whole number in 2\.\.64"),
        ({"neighbours": 0}, "neighbours takes"),
        ({"vote": "most"}, r"vote takes a text in majority\|mean"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        PatchKnn.Options(**options)


def test_it_needs_a_reference_in_colour(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="patch-knn learns from a colour picture"):
        Session("patch-knn", device="cpu")
    write_grey(tmp_path / "grey.png")
    with pytest.raises(UsageError, match="the reference is grey"):
        Session("patch-knn", device="cpu", reference=tmp_path / "grey.png")


@pytest.mark.parametrize("options", [{}, {"k": 30}, {"vote": "mean"}])
def test_half_a_photograph_colours_the_other_half(options: dict[str, object]) -> None:
    rgb = cv2.resize(cv2.imread(str(COFFEE))[..., ::-1], (120, 120), interpolation=cv2.INTER_AREA)
    left, right = np.ascontiguousarray(rgb[:, :60]), np.ascontiguousarray(rgb[:, 60:])
    grey = luminosity(right)
    result = Session("patch-knn", device="cpu", reference=lab_of(left), **options).colorize(grey)  # type: ignore[arg-type]
    errors = [((x.astype(float) - right) ** 2).sum(2).mean() for x in (result, np.dstack([grey] * 3))]
    assert errors[0] < 0.15 * errors[1]


def test_full_size_chroma_reaches_the_picture_as_it_is(tmp_path: Path) -> None:
    """Nothing between the method and the file blurs: beyond 320 pixels a filter would."""
    rgb = FLAT[np.random.default_rng(0).integers(0, 4, (60, 100))].repeat(6, 0).repeat(6, 1)
    cv2.imwrite(str(tmp_path / "reference.png"), rgb[..., ::-1])
    session = Session("patch-knn", device="cpu", reference=tmp_path / "reference.png", k=4, neighbours=1)
    frame = Frame(luminosity(rgb), Encoding("rgb", 8))
    L = color.lightness(frame).L
    wanted = color.merge(frame, tint(rgb) * (L[..., None] + 16))
    assert np.array_equal(session.colorize(frame.luma), np.dstack(wanted.colour or ()))


def test_the_command_line_learns_from_a_file(workplace: Path, cli: Cli) -> None:
    write_grey(workplace / "photo.png", 40, 50)
    cv2.imwrite(str(workplace / "colour.png"), np.repeat(FLAT[None], 12, 0).repeat(12, 1)[..., ::-1])
    words = ("run", "photo.png", "-o", "out.png", "--colorizer", "patch-knn", "--device", "cpu")
    status, _, told = cli(*words)
    assert status == 2
    assert "patch-knn learns from a colour picture" in told
    status, _, told = cli(*words, "--reference", "colour.png", "--k", "4", "--vote", "mean")
    assert status == 0, told
    result = cv2.imread("out.png")
    assert result.shape == (40, 50, 3)
    assert np.ptp(result.astype(int), axis=2).mean() > 20
    status, _, told = cli(*words, "--reference", "colour.png", "--patch", "4")
    assert status == 2
    assert "patch is odd, not 4" in told


def test_greys_of_sixteen_bits_are_compared_in_eight() -> None:
    codes = few_greys((9, 9), 50, 1)
    assert np.array_equal(grey_codes(color.lightness_of((codes * np.float32(257) + 40) / np.float32(65535))), codes)
    rgb = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.array_equal(code_values(lab_of(rgb), "average", PatchKnn.input_size)[0], rgb)
