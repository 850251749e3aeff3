"""Spreading of painted colours: the solver against a direct one, and corrections on made pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

from colorpipe.guidance import likeness
from colorpipe.guidance.correction import Corrector, graph_of, working_size
from colorpipe.guidance.hint_files import Hints
from colorpipe.guidance.solver import Graph, Spreader


def direct(graph: Graph, screen: float, fixed: np.ndarray, values: np.ndarray) -> np.ndarray:
    """By scipy's sparse LU."""
    height, width = graph.shape
    number = np.arange(height * width).reshape(height, width)
    one = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    other = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    weights = np.concatenate([graph.right.ravel(), graph.down.ravel()]).astype(float)
    links = scipy.sparse.coo_matrix((weights, (one, other)), (number.size, number.size)).tocsr()
    links = links + links.T
    matrix = (scipy.sparse.diags(np.asarray(links.sum(1)).ravel() + screen) - links).tocsr()
    held, flat = fixed.ravel(), values.reshape(len(values), -1).T.astype(float)
    flat[~held] = scipy.sparse.linalg.spsolve(
        matrix[~held][:, ~held].tocsc(), -(matrix[~held][:, held] @ flat[held])
    ).reshape(-1, len(values))
    return flat.T.reshape(values.shape)


def case(height: int, width: int, seed: int = 0) -> tuple[Graph, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    L = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), 2) * 400
    fixed = rng.random((height, width)) < 0.02
    fixed[height // 2, width // 2] = True
    return graph_of(L), fixed, rng.normal(0, 20, (2, height, width)).astype(np.float32)


@pytest.mark.parametrize("size", [(64, 96), (37, 51), (1, 40), (40, 1), (3, 2)])
def test_conjugate_gradients_reach_the_direct_solution(size: tuple[int, int]) -> None:
    graph, fixed, values = case(*size)
    exact = direct(graph, 1e-3, fixed, values)
    made = Spreader(graph, 1e-3, fixed).solve(values, iterations=60)
    assert np.abs(made - exact).max() < 0.02
    assert (made[:, fixed] == values[:, fixed]).all()


def test_few_steps_leave_a_small_error_and_a_warm_start_a_smaller_one() -> None:
    graph, fixed, values = case(96, 128)
    exact = direct(graph, 1e-4, fixed, values)
    spreader = Spreader(graph, 1e-4, fixed)
    made = spreader.solve(values, iterations=4)
    error = np.sqrt(np.mean((made - exact) ** 2))
    assert error < 0.05 * np.sqrt(np.mean(exact**2))
    again = spreader.solve(values, made, iterations=4)
    assert np.sqrt(np.mean((again - exact) ** 2)) < error / 2


def test_everything_fixed_and_a_single_pixel() -> None:
    graph, _, values = case(9, 7)
    assert (Spreader(graph, 0.1, np.ones((9, 7), bool)).solve(values) == values).all()
    one = Corrector(np.full((1, 1), 50, np.float32))
    hints = Hints(np.full((1, 1, 2), 30, np.float32), np.ones((1, 1), np.float32), np.zeros((1, 1), bool))
    assert (one.delta(np.zeros((1, 1, 2), np.float32), hints) == 30).all()


def coat_and_face() -> np.ndarray:
    """L of a dark coat on the left, a light face on the right, both with grain."""
    L = np.full((80, 120), 35, np.float32)
    L[:, 60:] = 75
    return L + np.random.default_rng(1).normal(0, 0.5, L.shape).astype(np.float32)


def dab(place: tuple[int, int], ab: tuple[float, float], keep: bool = False) -> Hints:
    hints = Hints.none((80, 120))
    where = np.s_[place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3]
    hints.ab[where], hints.weight[where], hints.keep[where] = ab, 0 if keep else 1, keep
    return hints


GREEN = (-40.0, 30.0)


def test_a_dab_of_green_colours_the_coat_and_not_the_face() -> None:
    predicted = np.full((80, 120, 2), 5, np.float32)
    delta = Corrector(coat_and_face()).delta(predicted, dab((40, 30), GREEN))
    assert np.allclose((predicted + delta)[38:43, 28:33], GREEN, atol=1e-4)
    assert np.abs((predicted + delta)[20:60, 10:55] - GREEN).max() < 4
    assert np.abs(delta[:, 62:]).max() < 3


def outlined(face: float, coat: float, line: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L of a coat and a face before a light wall, and where they are; a dark line of some pixels around the face."""
    L = np.full((240, 320), 85, np.float32)
    parts = []
    for grey, middle, axes in ((coat, (160, 180), (80, 72)), (face, (160, 72), (36, 42))):
        part = np.zeros(L.shape, np.uint8)
        cv2.ellipse(part, middle, axes, 0, 0, 360, 1, -1)
        L[part > 0] = grey
        parts.append(part)
    cv2.ellipse(L, (160, 72), (36, 42), 0, 0, 360, 15, line)
    L += np.random.default_rng(0).normal(0, 0.6, L.shape).astype(np.float32)
    window = np.ones((9, 9), np.uint8)
    return L, cv2.erode(parts[0] & ~parts[1], window) > 0, cv2.erode(parts[1], window) > 0


@pytest.mark.parametrize(("face", "coat", "line", "most"), [(50, 50, 3, 0.05), (62, 45, 1, 0.15), (75, 35, 1, 0.02)])
def test_a_dab_on_the_coat_stays_out_of_an_outlined_face_of_the_same_grey(
    face: float, coat: float, line: int, most: float
) -> None:
    L, on_coat, on_face = outlined(face, coat, line)
    hints = Hints.none((240, 320))
    hints.ab[175:182, 125:132], hints.weight[175:182, 125:132] = GREEN, 1
    change = np.linalg.norm(Corrector(L).delta(np.zeros((240, 320, 2), np.float32), hints), axis=-1) / 50
    assert change[on_coat].mean() > 0.9
    assert change[on_face].mean() < most


def test_what_a_method_sees_keeps_a_dab_on_its_own_thing() -> None:
    """Two things of one grey, connected: only what is seen tells them apart."""
    L = 50 + np.random.default_rng(0).normal(0, 6, (120, 160)).astype(np.float32)
    hints = Hints.none((120, 160))
    hints.ab[58:63, 38:43], hints.weight[58:63, 38:43] = GREEN, 1
    features = np.zeros((2, 30, 40), np.float32)
    features[0, :, :20], features[1, :, 20:] = 1, 1
    predicted = np.zeros((120, 160, 2), np.float32)
    blind, seeing = (
        np.linalg.norm(Corrector(L, features=given).delta(predicted, hints), axis=-1) for given in (None, features)
    )
    assert seeing[20:100, 10:70].mean() > 0.9 * blind[20:100, 10:70].mean()
    assert seeing[20:100, 90:110].mean() < 0.5 * blind[20:100, 90:110].mean()


def test_many_dots_are_taken_together_and_each_is_exact() -> None:
    rng = np.random.default_rng(2)
    L = rng.uniform(30, 70, (90, 120)).astype(np.float32)
    hints = Hints.none((90, 120))
    rows, columns = rng.integers(0, 90, 400), rng.integers(0, 120, 400)
    hints.ab[rows, columns], hints.weight[rows, columns] = rng.uniform(-40, 40, (400, 2)), 1
    groups = likeness.grouped(hints.weight, hints.keep)
    assert groups.max() < likeness.MOST
    assert ((groups >= 0) == (hints.weight > 0)).all()
    predicted = np.zeros((90, 120, 2), np.float32)
    made = Corrector(L).delta(predicted, hints)
    assert np.allclose(made[hints.weight > 0], hints.ab[hints.weight > 0], atol=1e-4)
    assert np.isfinite(made).all()


def test_the_method_s_own_shading_stays_under_a_correction() -> None:
    predicted = np.dstack([np.linspace(0, 10, 120, dtype=np.float32)[None].repeat(80, 0), np.zeros((80, 120))])
    predicted = predicted.astype(np.float32)
    made = predicted + Corrector(coat_and_face()).delta(predicted, dab((40, 30), GREEN))
    assert made[40, 50, 0] - made[40, 12, 0] == pytest.approx(predicted[40, 50, 0] - predicted[40, 12, 0], abs=0.8)


def test_reach_bounds_a_hint_where_nothing_stops_it() -> None:
    plain, predicted = np.full((80, 120), 50, np.float32), np.zeros((80, 120, 2), np.float32)
    near, far = (np.abs(Corrector(plain, reach).delta(predicted, dab((40, 60), GREEN))) for reach in (0.1, 0.5))
    distance = np.hypot(*(np.mgrid[:80, :120] - np.array([40, 60])[:, None, None]))
    assert near[distance > 16].max() == 0
    assert far[distance > 64].max() == 0
    assert far[40, 80].max() > 30 > 1 > near[40, 80].max()


def test_keep_is_a_wall_and_neutral_takes_colour_away() -> None:
    plain, predicted = np.full((80, 120), 50, np.float32), np.full((80, 120, 2), 12, np.float32)
    corrector = Corrector(plain)
    leaking = corrector.delta(predicted, dab((40, 30), GREEN))
    walled = corrector.delta(predicted, dab((40, 30), GREEN).over(dab((40, 90), (0, 0), keep=True)))
    assert (walled[38:43, 88:93] == 0).all()
    assert np.abs(walled[30:50, 80:100]).mean() < 0.4 * np.abs(leaking[30:50, 80:100]).mean()
    grey = predicted + corrector.delta(predicted, dab((40, 30), (0, 0)))
    assert np.abs(grey[30:50, 20:40]).max() < 1


def test_half_a_weight_goes_half_the_way() -> None:
    predicted, hints = np.zeros((80, 120, 2), np.float32), dab((40, 30), GREEN)
    half = Hints(hints.ab, hints.weight / 2, hints.keep)
    corrector = Corrector(coat_and_face())
    whole = corrector.delta(predicted, hints)
    assert np.allclose(corrector.delta(predicted, half), whole / 2, atol=0.2)


def test_the_working_size_is_bounded() -> None:
    assert working_size(1080, 1920) == (288, 512)
    assert working_size(30, 40) == (30, 40)
    assert working_size(1, 100_000) == (1, 512)
