"""The devices of a run: the network's calls spread over them."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from colorpipe.batch.state import Item
from colorpipe.color import Float
from colorpipe.pipeline.frame import Prepared
from colorpipe.pipeline.session import Session

Answers = dict[int, "tuple[Float | Exception, float]"]
"""Place of an item -> its chroma or the error, and seconds."""


class DevicePool:
    """A session's runtimes with a thread each; one alone on a CPU with two, where its cores take two calls at once."""

    def __init__(self, session: Session) -> None:
        self._pipeline, self._runtimes = session.pipeline, session.runtimes
        self._own = threading.local()
        self._learning = [threading.Lock() for _ in self._runtimes]
        count = len(self) if len(self) > 1 else min(2, self._runtimes[0].lanes)
        left = itertools.cycle(range(len(self)))
        torch = sys.modules.get("torch")  # an engine may have done without
        threads = torch.get_num_threads() if torch else 0
        # Without ``self``: in a circle with its executor a pool would keep its networks until Python looks for circles.
        own, runtimes = self._own, self._runtimes

        def begin() -> None:
            own.place = next(left)
            if torch is None:
                return
            from colorpipe.inference.runtime import keep_threads

            keep_threads(threads)  # as the caller has, or rounding would differ
            device = runtimes[own.place].device
            if device.type == "cuda" and device.index is not None:
                torch.cuda.set_device(device)  # a thread's own: for plugins that say just "cuda"

        self._pool = ThreadPoolExecutor(count, "device", initializer=begin)

    def __len__(self) -> int:
        return len(self._runtimes)

    def ask(self, items: Sequence[Item]) -> Future[Answers]:
        """Chroma for those that are for the network, from the device that is free first.

        From one alone at once, but for films with steady colour: their key frames come far apart, and other frames can
        be read and written meanwhile.
        """
        items = tuple(items)
        if len(self) > 1 or any(item.step is not None for item in items):
            return self._pool.submit(lambda: self._ask(items, self._own.place))
        done: Future[Answers] = Future()
        done.set_result(self._ask(items, 0))
        return done

    def close(self) -> None:
        """Wait for the calls under way; drop those that have not begun."""
        self._pool.shutdown(cancel_futures=True)

    def _ask(self, items: Sequence[Item], place: int) -> Answers:
        """Group frames of one view size and reference into one call, except a film's key frames."""
        groups: dict[object, list[tuple[int, Prepared]]] = {}
        for index, item in enumerate(items):
            if item.prepared is not None and not item.state.error:
                kind = item.prepared.L.shape, item.prepared.reference, item.step is None
                groups.setdefault(kind, []).append((index, item.prepared))
        answers: Answers = {}
        for group in groups.values():
            answers |= self._ask_group(items, group, place)
        return answers

    def _ask_group(self, items: Sequence[Item], group: list[tuple[int, Prepared]], place: int) -> Answers:
        start, runtime = time.perf_counter(), self._runtimes[place]
        try:
            reference, predictor_for = group[0][1].reference, items[group[0][0]].state.predictor_for
            through: Callable[..., list[Float]] = runtime.predict
            if reference is not None and predictor_for is not None:
                with self._learning[place]:  # two calls of one shot: the second takes what the first has learned
                    through = predictor_for(reference, runtime)
            alone = items[group[0][0]].step is not None
            sure: list[float] = []
            results = self._pipeline.predict([prepared for _, prepared in group], through, alone, sure)
        except Exception as error:
            if len(group) == 1:
                return {group[0][0]: (error, 0.0)}
            answers: Answers = {}
            for one in group:  # find out whose fault it is
                answers |= self._ask_group(items, [one], place)
            return answers
        for (index, _), confidence in zip(group, sure, strict=False):  # a method may tell none
            items[index].state.confidences.append(confidence)
        share = (time.perf_counter() - start) / len(group)
        return {index: (ab, share) for (index, _), ab in zip(group, results, strict=True)}
