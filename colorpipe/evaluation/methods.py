"""Rows of a comparison: a method, which is timed, or the grey and the ground truth to compare it with."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from colorpipe.evaluation.cases import Case
from colorpipe.evaluation.clips import Clip
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.pipeline.session import Session

if TYPE_CHECKING:
    from colorpipe.evaluation.specs import Method
    from colorpipe.plugins.host import PluginHost
    from colorpipe.types import ChromaDistribution, Frame, Recipe


@dataclass(frozen=True)
class Colorized:
    """A method's result for a picture or a clip, and its seconds."""

    frames: tuple[Frame, ...]
    """One for a picture."""
    learning: float = 0.0
    colorizing: float = 0.0
    distribution: ChromaDistribution | None = None
    shots: int = 0
    key_frames: int = 0
    """Frames of a clip that the network saw."""


class GreyBaseline:
    """Leaves a picture grey."""

    recipe: Recipe | None = None
    start_up = learning = 0.0
    learns = False

    def open(self, case: Case | Clip) -> None:
        """Does nothing: there is nothing to load."""

    def __call__(self, case: Case | Clip) -> Colorized:
        return Colorized(case.greys)


class GroundTruth(GreyBaseline):
    """Uses the true colours: a film's own are not quite steady either."""

    def __call__(self, case: Case | Clip) -> Colorized:
        return Colorized(case.truths)


class MethodRunner:
    """One method, loaded when its first picture comes."""

    def __init__(self, method: Method, host: PluginHost) -> None:
        self.method, self.host = method, host
        self.learns = method.learns
        self.start_up = self.learning = 0.0
        self._session: Session | None = None
        self._learned_from: Case | Clip | None = None
        self._seen: deque[ChromaDistribution] = deque(maxlen=1)  # the last one: a film has one for each frame

    @property
    def recipe(self) -> Recipe | None:
        """Complete, once the method is loaded; a picture's own reference is no part of it."""
        if self._session is None:
            return None
        recipe = self._session.recipe
        recipe = replace(recipe, engine=self.method.recipe.engine)
        return replace(recipe, reference_sha256=None) if self.learns else recipe

    def open(self, case: Case | Clip) -> Session:
        """Load it, once; a method that learns from each picture begins with this one."""
        if self._session is None:
            start = time.perf_counter()
            reference = case.reference if self.learns else self.method.reference
            # One picture at a time: each may have its own reference, and its seconds are to be its own.
            # torch, which the scores of others were made with, and which also gives the distributions.
            recipe = replace(self.method.recipe, engine="torch")
            session = Session(recipe, batch=1, host=self.host, reference=reference)
            runtime = session.pipeline.runtime
            self.start_up = time.perf_counter() - start - runtime.learning
            self.learning = 0.0 if self.learns else runtime.learning
            runtime.watch = self._seen.append  # a method of this object would keep both until a garbage collection
            self._session, self._learned_from = session, case
        return self._session

    def __call__(self, case: Case | Clip) -> Colorized:
        session = self.open(case)
        if isinstance(case, Clip):
            return self._film(session, case)
        if self.learns and case is not self._learned_from:
            assert case.reference is not None  # a protocol with a region to learn from gives one
            session.learn(case.reference)
        learning = session.pipeline.runtime.learning if self.learns else 0.0
        self._seen.clear()
        start = time.perf_counter()
        frame = session.frame(case.grey)
        return Colorized((frame,), learning, time.perf_counter() - start, self._seen[-1] if self._seen else None)

    def _film(self, session: Session, clip: Clip) -> Colorized:
        start = time.perf_counter()
        film = session.film(clip.greys, SidecarFiles())  # a protocol gives the grey and nothing else
        frames = tuple(film)
        seconds = time.perf_counter() - start
        return Colorized(frames, colorizing=seconds, shots=film.shots, key_frames=film.key_frames)
