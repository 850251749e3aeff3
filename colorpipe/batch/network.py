"""The network's part of a run: frames from the readers are gathered into calls, and passed to the writers in order."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait

from colorpipe.batch.channel import POLL, Stopped
from colorpipe.batch.context import RunContext
from colorpipe.batch.device_pool import Answers, DevicePool
from colorpipe.batch.state import Item
from colorpipe.color import Float


class Dispatcher:
    """Runs in the calling thread until every job has ended.

    Raises:
        Stopped: the run was stopped.
    """

    def __init__(self, context: RunContext, devices: DevicePool) -> None:
        self._context, self._devices = context, devices

    def run(self) -> None:
        asked: deque[tuple[list[Item], Future[Answers]]] = deque()
        ended, total = 0, self._context.total
        while ended < total:
            items = self._gather(total - ended, wait=not asked)
            ended += sum(item.frame is None for item in items)
            if any(item.prepared is not None for item in items):
                asked.append((items, self._devices.ask(items)))
            elif asked:
                asked[-1][0].extend(items)  # they wait for those before them
            else:
                self._hand_on(items, {})
            # One call more than there are devices: what their frames take is all that grows with the devices.
            while asked and (asked[0][1].done() or len(asked) > len(self._devices) or ended == total):
                items, call = asked.popleft()
                self._hand_on(items, self._answers(call))
        for channel in self._context.results:
            channel.put(None)

    def _gather(self, ends: int, *, wait: bool) -> list[Item]:
        """The items of one network call; empty if none comes for a moment and ``wait`` is false.

        Args:
            ends: Jobs whose end is still to come.
        """
        ready, at_once = self._context.ready, self._context.pipeline.runtime.at_once
        item = ready.get() if wait else ready.get_soon()
        items = [] if item is None else [item]
        while item is not None:
            ends -= item.frame is None
            asked = sum(item.prepared is not None for item in items)
            # Frames of a film with steady colour are passed on at once: its key frames come far apart.
            if not asked or asked >= at_once or not ends or item.step is not None:
                break
            item = ready.get_soon()
            if item is not None:
                items.append(item)
        return items

    def _answers(self, call: Future[Answers]) -> Answers:
        while not call.done():
            if self._context.stop.is_set():
                raise Stopped
            wait([call], POLL)
        return call.result()

    def _hand_on(self, items: Sequence[Item], answers: Answers) -> None:
        chroma: dict[int, Float] = {}
        for index, (answer, seconds) in answers.items():
            items[index].state.seconds["predict"] += seconds
            if isinstance(answer, Exception):
                items[index].state.fail(answer)
            else:
                chroma[index] = answer
        for index, item in enumerate(items):
            channel = self._context.results[item.state.index % self._context.lanes]
            channel.put(dataclasses.replace(item, ab=chroma.get(index)))
