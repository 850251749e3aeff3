"""The one path that a frame takes: prepare -> predict -> finish.

A photo is a source with one frame, a folder is many sources, a film is one timed source; here there are only frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from colorpipe import color
from colorpipe.color import published, resample
from colorpipe.guidance.correction import Corrector, working_size
from colorpipe.guidance.hint_files import Hints
from colorpipe.guidance.reference import read_lab
from colorpipe.guidance.sidecars import SidecarFiles
from colorpipe.inference.extra import Neighbours, companion_of, gathered
from colorpipe.settings import MediaOptions, MergeOptions
from colorpipe.types import Companion, Encoding, Frame, Metadata

if TYPE_CHECKING:
    from colorpipe.color import Float
    from colorpipe.color.merge_torch import DeviceMerge
    from colorpipe.pipeline.runtimes import AnyRuntime
    from colorpipe.plugins.interfaces import Preprocessor


OWN_COLOUR = "own colour"
"""Key of ``Frame.metadata.extra``: the planes that the source had, for ``keep_colour``."""
HintSource = Callable[[tuple[int, int], tuple[int, int]], Hints | None]
"""H and W of the picture, h and w wanted -> the hints at that size; None: nothing is painted."""


@dataclass(frozen=True)
class Prepared:
    """A frame on its way to the network, with the network's view of it."""

    frame: Frame
    """The frame that will be written; it lacks only colour."""
    L: Float
    """(h, w) 0..100."""
    hints: Float | None = None
    """(3, h, w): a, b and mask, for a method that takes them."""
    region: tuple[float, float, float, float] = (0, 0, 1, 1)
    """The picture's place in the network's view: top, left, bottom, right, as fractions of its sides."""
    reference: Path | None = None
    """Replaces the run's reference at this place of a film."""
    painted: Hints | None = None
    """Hints at the size at which they correct the prediction; None where nothing is painted."""
    companion: Companion | None = None
    """What belongs to it, for a method that asks for that."""
    neighbours: Neighbours | None = None
    """The frames around it, for a method that asks for them."""


class Pipeline:
    """The stages of one recipe, put together."""

    def __init__(
        self, preprocessors: Sequence[Preprocessor], runtime: AnyRuntime, merge: MergeOptions, media: MediaOptions
    ) -> None:
        # Repairs come first: they work on the picture at its own size, before others pad or shrink the network's view.
        self.preprocessors = tuple(sorted(preprocessors, key=lambda preprocessor: not preprocessor.restores))
        self.runtime = runtime
        self.merge = merge
        self.media = media
        self.on_device = None if runtime.device.type == "cpu" else _on_device(runtime)

    def prepare(
        self,
        frame: Frame,
        target: Encoding | None = None,
        hinted: HintSource | None = None,
        reference: Path | None = None,
        companion: Companion | None = None,
    ) -> Prepared:
        """Keep the full-size luma; preprocess and shrink a copy to what the network wants.

        Args:
            target: The encoding that the sink wants, where it differs from the source's (other chroma subsampling).
        """
        companion = companion or self.companion_of(frame, SidecarFiles())
        return replace(self.network_view(self.restore(frame, target), hinted, reference), companion=companion)

    def restore(self, frame: Frame, target: Encoding | None = None) -> Frame:
        """The frame that will be written, lacking only colour: repaired by the preprocessors that restore."""
        for preprocessor in self.preprocessors:
            frame = preprocessor.convert(frame)
        repairs = [preprocessor for preprocessor in self.preprocessors if preprocessor.restores]
        if repairs:
            lab = color.lightness(frame)
            for preprocessor in repairs:
                lab = preprocessor.apply(lab)
            frame = replace(frame, luma=color.to_codes(color.grey_of(lab.L), frame.encoding))
        return replace(frame, encoding=target or frame.encoding, colour=None, metadata=self._with_colour(frame))

    def _with_colour(self, frame: Frame) -> Metadata:
        """The frame's metadata, with the source's own colours if they are needed later."""
        if not self.merge.keep_colour or frame.colour is None:
            return frame.metadata
        return replace(frame.metadata, extra={**frame.metadata.extra, OWN_COLOUR: frame.colour})

    def network_view(self, frame: Frame, hinted: HintSource | None = None, reference: Path | None = None) -> Prepared:
        """The network's view of a frame that ``restore`` gave."""
        L, region = self._lightness(frame)
        size = L.shape[0], L.shape[1]
        native, painted = None, None
        if hinted is not None:
            if self.runtime.colorizer.takes_hints:
                native = self._native(hinted, frame, _box(region, size), size)
            painted = hinted((frame.height, frame.width), working_size(frame.height, frame.width))
        return Prepared(frame, L, native, region, reference, painted if painted is not None and painted.any else None)

    def _lightness(self, frame: Frame) -> tuple[Float, tuple[float, float, float, float]]:
        """L (h, w) 0..100 as the network sees it, and the picture's place in it as fractions of its sides."""
        region = (0.0, 0.0, 1.0, 1.0)
        seen: NDArray[Any]
        changes = [preprocessor for preprocessor in self.preprocessors if not preprocessor.restores]
        if changes:
            lab = color.lightness(frame)
            for preprocessor in changes:
                region = _within(region, preprocessor.locate(lab.L.shape[0], lab.L.shape[1]))
                lab = preprocessor.apply(lab)
            seen = color.grey_of(lab.L)
        else:  # 8-bit codes shrink as they are, as the published scripts shrink them
            seen = frame.luma if frame.luma.dtype == np.uint8 else color.grey_plane(frame)
        wanted = self.runtime.input_size_of(frame)
        size = resample.view_size(seen.shape[0], seen.shape[1], wanted)
        view = resample.shrink(seen, size, wanted.by, without_torch=self.runtime.without_torch)
        if view.dtype == np.uint8:
            return color.lightness(Frame(view, frame.encoding)).L, region
        return color.lightness_of(_grey(view, frame.encoding) if seen.dtype == np.uint8 else view), region

    def companion_of(self, frame: Frame, sidecars: SidecarFiles, result: int = 0) -> Companion | None:
        """What belongs to a picture, or to a film with this first frame, for a method that asks for any of it.

        Args:
            result: Which of the method's results is wanted.

        Raises:
            InputError: a file beside it cannot be read.
        """
        colorizer, own = self.runtime.colorizer, None
        if "reference" in colorizer.looks_at and frame.pts is None and 0 in sidecars.references:
            own = read_lab(sidecars.references[0], self.media)
        return companion_of(colorizer, frame, prompt=sidecars.words(), reference=own, result=result)

    def neighbours_of(self, frame: Frame, before: Sequence[Frame], after: Sequence[Frame]) -> Neighbours | None:
        """The views of the frames around one, for a method that asks for them; None for others.

        Args:
            before, after: Frames of its shot, in order; the nearest ``colorizer.neighbours`` count.
        """
        count = self.runtime.colorizer.neighbours
        if not count:
            return None
        before, after = list(before[-count:]), list(after[:count])
        lacking = count - len(before), count - len(after)
        shown = [*before[:1] * lacking[0], *before, *after, *after[-1:] * lacking[1]]
        if not before:
            shown = [frame] * count + shown
        if not after:
            shown = shown + [frame] * count
        there = [False] * lacking[0] + [True] * (len(before) + len(after)) + [False] * lacking[1]
        return Neighbours(np.stack([self._lightness(one)[0] for one in shown]), tuple(there))

    @staticmethod
    def _native(
        hinted: HintSource, frame: Frame, box: tuple[int, int, int, int], size: tuple[int, int]
    ) -> Float | None:
        """Hints (3, h, w) over the whole of the network's view, of which the picture takes up ``box``."""
        top, left, bottom, right = box
        inner = hinted((frame.height, frame.width), (bottom - top, right - left))
        values = None if inner is None else inner.for_network()
        if values is None:
            return None
        native = np.zeros((3, *size), np.float32)
        native[:, top:bottom, left:right] = values
        return native

    def predict(
        self,
        batch: Sequence[Prepared],
        through: Callable[..., list[Float]] | None = None,
        alone: bool = False,
        sure: list[float] | None = None,
    ) -> list[Float]:
        """Chroma (h', w', 2) for each, through the network and its decoder.

        Args:
            through: What ``Session.predictor_for`` gives for their reference; None is the runtime as it is.
            alone, sure: As of ``Runtime.predict``.
        """
        hinted = None
        if any(prepared.hints is not None for prepared in batch):
            blank = np.zeros((3, *batch[0].L.shape), np.float32)
            hinted = np.stack([blank if prepared.hints is None else prepared.hints for prepared in batch])
        predict = through or self.runtime.predict
        extra = gathered([one.companion for one in batch], [one.neighbours for one in batch])
        return predict(
            np.stack([prepared.L for prepared in batch])[:, None], hinted, alone=alone, sure=sure, extra=extra
        )

    def features(self, frame: Frame) -> Float | None:
        """What the method sees at each place of a frame as it was read, (C, h', w') over the picture; None where it
        does not tell. One call of the network."""
        return self.features_of(self.prepare(frame))

    def features_of(self, prepared: Prepared) -> Float | None:
        """``features`` of a frame whose view is there already."""
        found = self.runtime.features(prepared.L[None, None])
        if found is None:
            return None
        top, left, bottom, right = _box(prepared.region, found.shape[1:])
        return found[:, top:bottom, left:right]

    def finish(self, prepared: Prepared, ab: Float) -> Frame:
        """Upsample chroma and put it under the untouched luma."""
        ab, view_size = self.crop_chroma(prepared, ab)
        return self.merge_chroma(prepared.frame, ab, view_size)

    def crop_chroma(
        self, prepared: Prepared, ab: Float, corrector: Corrector | None = None
    ) -> tuple[Float, tuple[int, int]]:
        """The chroma that lies over the picture, and the size of that part of the network's view.

        Where something is painted, the chroma is corrected by that, and has the size at which that is done. Where the
        published script lays U and V over the luma, and that is asked for, these take its place.

        Args:
            corrector: Of this very picture, size and reach, from an earlier call; None makes one.
        """
        L, painted = prepared.L, prepared.painted
        if painted is None or not self.merge.saturation:  # without saturation there is no colour to paint
            if self._over_luma(prepared.frame):
                ab = self._differences(L, ab)
            return _crop(ab, L.shape, prepared.region)
        L, ab = self._corrected(prepared, *_crop(ab, L.shape, prepared.region), painted, corrector)
        if self._over_luma(prepared.frame):
            ab = self._differences(L, ab)
        return ab, (ab.shape[0], ab.shape[1])

    def _differences(self, L: Float, ab: Float) -> Float:
        shift = self.merge.shift
        if shift is not None:  # the differences are multiplied by the saturation later
            ab = ab + np.array(shift, np.float32) / np.float32(self.merge.saturation)
        return published.differences(L, ab)

    def _corrected(
        self,
        prepared: Prepared,
        ab: Float,
        view_size: tuple[int, int],
        painted: Hints,
        corrector: Corrector | None = None,
    ) -> tuple[Float, Float]:
        """L (h, w) and the chroma corrected by hints, (h, w, 2), at their size."""
        frame = prepared.frame
        size = painted.weight.shape[0], painted.weight.shape[1]
        small = np.asarray(cv2.resize(frame.luma, size[::-1], interpolation=cv2.INTER_AREA))
        black, white = color.luma_range(frame.encoding)
        predicted = resample.upsample(ab, small, size, self._method(frame), view_size, white - black)[0 : size[0]]
        L = color.lightness(Frame(small, frame.encoding)).L
        # Painted colours are the final ones: take back the temperature and saturation that are applied later.
        shift = np.array(self.merge.shift or (0, 0), np.float32)
        seen = replace(painted, ab=(painted.ab - shift) / np.float32(self.merge.saturation))
        if corrector is None:
            corrector = Corrector(L, self.merge.hint_reach, features=self.features_of(prepared))
        delta = corrector.delta(predicted, seen)
        return L, np.asarray(predicted + delta, np.float32)

    def _method(self, frame: Frame) -> resample.Upsampling:
        return self.merge.upsample or ("guided" if frame.encoding.family == "rgb" else "bilinear")

    def merge_chroma(self, frame: Frame, ab: Float, view_size: tuple[int, int]) -> Frame:
        """A frame with chroma (h, w, 2) over the whole of it, which comes from a view of size ``view_size``.

        With ``keep_colour`` its own colours stay where it has some.
        """
        made = self._colorized(frame, ab, view_size)
        own = frame.metadata.extra.get(OWN_COLOUR)
        return made if own is None else color.with_own_colour(made, own)

    def _colorized(self, frame: Frame, ab: Float, view_size: tuple[int, int]) -> Frame:
        still = frame.encoding.family == "rgb"
        method = self._method(frame)
        size = (frame.height, frame.width) if still else frame.encoding.chroma_shape(frame.height, frame.width)
        gamut = self._gamut(frame)
        if self.merge.saturation != 1:
            ab = ab * np.float32(self.merge.saturation)
        if self._over_luma(frame):
            return published.over_luma(frame, resample.smooth_pairs(ab, size))
        if self.merge.shift is not None:
            ab = ab + np.array(self.merge.shift, np.float32)
        if self.on_device is not None:
            return self.on_device(frame, ab, method=method, view_size=view_size, keep=self.merge.keep, gamut=gamut)
        black, white = color.luma_range(frame.encoding)
        full = resample.upsample(ab, frame.luma, size, method, view_size, white - black)
        return color.merge(frame, full, self.merge.keep, gamut)

    def _gamut(self, frame: Frame) -> color.Gamut:
        return self.merge.gamut or ("clip" if self._plain(frame) else "fit")

    def _plain(self, frame: Frame) -> bool:
        """Whether a still is merged unguided, as the published scripts do; clipped as well, it is exactly their
        picture."""
        return frame.encoding.family == "rgb" and self.merge.upsample in ("bilinear", "nearest")

    def _over_luma(self, frame: Frame) -> bool:
        """Whether to reproduce, for a still, a published script that lays U and V over the luma."""
        yuv = self.runtime.colorizer.published == "yuv"
        return yuv and self._plain(frame) and self._gamut(frame) == "clip"


def _on_device(runtime: Any) -> DeviceMerge:
    from colorpipe.color.merge_torch import DeviceMerge  # imports torch, which not every engine needs

    return DeviceMerge(runtime.device)


def _grey(codes: Float, encoding: Encoding) -> Float:
    """Code values, also between whole ones, -> grey 0..1."""
    black, white = color.luma_range(encoding)
    return np.asarray(np.clip((codes - black) / (white - black), 0, 1), np.float32)


def _within(
    outer: tuple[float, float, float, float], inner: tuple[float, float, float, float] | None
) -> tuple[float, float, float, float]:
    """The picture's place after one more preprocessor put its input at ``inner`` of its result."""
    if inner is None:
        return outer
    top, left, bottom, right = inner
    height, width = bottom - top, right - left
    return (
        top + outer[0] * height,
        left + outer[1] * width,
        top + outer[2] * height,
        left + outer[3] * width,
    )


def _crop(ab: Float, view: tuple[int, ...], region: tuple[float, float, float, float]) -> tuple[Float, tuple[int, int]]:
    """The part of the chroma that lies over the picture, and the size of that part in the network's view."""
    top, left, bottom, right = _box(region, ab.shape)
    seen = _box(region, view)
    return ab[top:bottom, left:right], (seen[2] - seen[0], seen[3] - seen[1])


def _box(region: tuple[float, float, float, float], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Fractions of the sides -> rows and columns: top, left, bottom, right, at least one pixel."""
    top, bottom = _span(region[0], region[2], shape[0])
    left, right = _span(region[1], region[3], shape[1])
    return top, left, bottom, right


def _span(start: float, stop: float, length: int) -> tuple[int, int]:
    first = min(round(start * length), length - 1)
    return first, max(first + 1, round(stop * length))
